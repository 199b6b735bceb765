// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { MessageChannel } from "node:worker_threads";
import type { Client, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { assertDeterminism, checkDeterminism, NotDeterministic } from "../../server/check.ts";
import { BulkyRoom, GoRoom, script } from "./go-room.ts";

// The stock room prints what hooks and handlers throw.
console.error = () => {};

class Unlisted {
  n = 1;
}
class DeckRoom extends GoRoom {
  deck = new Unlisted();
  go() {}
}
class LateDeckRoom extends GoRoom {
  deck: Unlisted | null = null;
  go() {
    this.deck = new Unlisted();
  }
}
class TimerRoom extends GoRoom {
  go() {
    setTimeout(() => {}, 10);
  }
}
class BornTimerRoom extends GoRoom {
  override onCreate() {
    setInterval(() => {}, 10);
  }
  go() {}
}
class FetchingRoom extends GoRoom {
  async go() {
    await fetch("http://localhost:1");
  }
}
const outside = new Promise<number>((resolve) => setTimeout(() => resolve(1), 5));
class AskingRoom extends GoRoom {
  async go() {
    this.state.n = await outside.then(() => new Promise<number>((resolve) => queueReal(() => resolve(2))));
  }
}
/** What a pool of connections that was opened at start does: no guard sees it. */
const { port1, port2 } = new MessageChannel();
const waiting: (() => void)[] = [];
port2.on("message", () => waiting.shift()?.());
port2.unref();
function queueReal(act: () => void): void {
  waiting.push(act);
  port1.postMessage(1);
}

const standing: [
  string,
  new () => Room,
  { verdict: string; what: RegExp; remedy: RegExp; at: RegExp | null },
][] = [
  [
    "an instance of an unlisted class",
    DeckRoom,
    {
      verdict: "declare",
      what: /^room\.deck is an instance of Unlisted, which is not listed$/,
      remedy: /classes: \[Unlisted\]/,
      at: null,
    },
  ],
  [
    "one that comes later",
    LateDeckRoom,
    {
      verdict: "declare",
      what: /^room\.deck is an instance of Unlisted/,
      remedy: /classes: \[Unlisted\]/,
      at: null,
    },
  ],
  [
    "a real timer in a handler",
    TimerRoom,
    {
      verdict: "change",
      what: /setTimeout\(\) inside room.*this\.clock\.setTimeout/,
      remedy: /as it says/,
      at: /findings\.test\.ts:\d+$/,
    },
  ],
  [
    "a real timer in onCreate",
    BornTimerRoom,
    {
      verdict: "change",
      what: /cannot be created: setInterval\(\) inside room/,
      remedy: /as it says/,
      at: /findings\.test\.ts:\d+$/,
    },
  ],
  [
    "a handler that fetches",
    FetchingRoom,
    {
      verdict: "change",
      what: /globalThis\.fetch\(\) inside room.*room\.propose\(\)/,
      remedy: /as it says/,
      at: /findings\.test\.ts:\d+$/,
    },
  ],
  [
    "a handler that waits for what no guard sees",
    AskingRoom,
    {
      verdict: "change",
      what: /the handler of "go" waits for something outside of the room's log/,
      remedy: /room\.propose\(\)/,
      at: null,
    },
  ],
];

for (const [what, roomClass, expected] of standing) {
  test(`[Y66] ${what} stands against replicating the class, with the place or path and the remedy`, async () => {
    const { problems } = await checkDeterminism(roomClass, script);
    const problem = problems[0];
    assert.is(problem?.verdict, expected.verdict, JSON.stringify(problems));
    assert.match(problem?.what ?? "", expected.what);
    assert.match(problem?.remedy ?? "", expected.remedy);
    if (expected.at === null) assert.is(problem?.at, null);
    else assert.match(problem?.at ?? "", expected.at);
    try {
      await assertDeterminism(roomClass, script);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, NotDeterministic);
      assert.match(
        (error as Error).message,
        expected.what.source.startsWith("^") ? roomClass.name : expected.what,
      );
    }
  });
}

test("[Y66] a #private field is refused as replicated() would", async () => {
  class SecretRoom extends GoRoom {
    #secret = 1;
    go() {
      this.state.n = this.#secret;
    }
  }
  try {
    await checkDeterminism(SecretRoom, script);
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code: string }).code, "NOT_SUPPORTED");
    assert.match((error as Error).message, "#secret");
  }
});

test("[Y66] a room that never comes to rest says why; what its code throws, and who is refused, is told", async () => {
  class RearmingRoom extends GoRoom {
    override maxClients = 1;
    go(client: Client) {
      if (client.sessionId === "ann") this.arm();
      throw new Error("no good");
    }
    arm() {
      this.clock.setTimeout(() => this.arm(), 100);
    }
  }
  const report = await checkDeterminism(RearmingRoom, script);
  assert.is(report.equal, true);
  assert.match(
    report.restless ?? "",
    /a clock timer made at .*arm .*findings\.test\.ts:\d+:\d+.* has not fired/,
  );
  assert.is(
    report.warnings.some((warning) =>
      /findings\.test\.ts:\d+: message failed: no good \(first after step \d/.test(warning),
    ),
    true,
    report.warnings.join("\n"),
  );
  assert.is(
    report.warnings.some((warning) => /^step 1 \(ben joins\) was refused: .*full/.test(warning)),
    true,
    report.warnings.join("\n"),
  );
});

test("[Y66] a room that is too big to be saved stands against it, with what weighs most", async () => {
  const { problems, restless } = await checkDeterminism(BulkyRoom, {
    steps: [{ type: "propose", method: "grow" }],
  });
  assert.is(problems[0]?.verdict, "change");
  assert.match(problems[0]?.what ?? "", /cannot be saved: .*4194304 bytes.*room\.fields\.bulk/);
  assert.match(restless ?? "", /4194304 bytes/);
});

test.run();
