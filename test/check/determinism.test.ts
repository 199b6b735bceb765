// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import vm from "node:vm";
import { MessageChannel } from "node:worker_threads";
import { type Client, LocalDriver, LocalPresence, matchMaker, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  assertDeterminism,
  CheckError,
  type CheckScript,
  type CheckStep,
  checkDeterminism,
  NotDeterministic,
} from "../../server/check.ts";
import type { ReplicatedRoom } from "../../server/colyseus/replicated.ts";
import { Deck, EverythingRoom } from "../colyseus/everything-room.ts";

const variablesBefore = [process.env["TZ"], process.env["CHECKED_REGION"]];

// The stock room prints what hooks and handlers throw.
console.error = () => {};

const State = schema({ n: t.number().default(0), words: t.array("string") }, "CheckedState");
type State = InstanceType<typeof State>;

const join = (client: string): CheckStep => ({ type: "join", client });
const say = (client: string, message: string, payload?: unknown): CheckStep => ({
  type: "message",
  client,
  message,
  payload,
});
const tick = (ms: number): CheckStep => ({ type: "tick", ms });

const script: CheckScript = {
  steps: [
    ...[join("ann"), join("ben"), tick(100), say("ann", "go"), say("ben", "go"), tick(500)],
    ...[say("ann", "go"), { type: "leave", client: "ben", consented: false } as const, tick(200)],
    ...[say("ann", "go"), { type: "reconnect", client: "ben" } as const, say("ben", "go"), tick(1_000)],
  ],
};

/** A room whose handler of "go" does what is to be looked at. */
abstract class GoRoom extends Room<{ state: State }> {
  override state = new State();
  override autoDispose = false;
  override onCreate(): void | Promise<void> {
    this.onMessage("go", (client) => this.go(client));
  }
  override onDrop(client: Client): void {
    this.allowReconnection(client, 30);
  }
  abstract go(client: Client): unknown;
}

test("[Y121, Y126] what an eventual message would change is found in a script, whatever has hidden it", async () => {
  // What only the room's own hooks can see.
  const hidden = { n: 0 };
  class StageRoom extends GoRoom {
    list: number[] = [];
    override go(): void {}
    override onCreate(): void {
      this.onMessage("emote", (client, how: string) => {
        if (how === "slips") this.list.push(1);
        if (how === "hides") hidden.n++;
        this.broadcast("emote", [client.sessionId, how, this.list.length]);
      });
    }
    override onCacheRoom(): number {
      return hidden.n;
    }
    override onRestoreRoom(): void {}
  }
  const emote = (how: string) => ({ steps: [join("ann"), join("ben"), say("ann", "emote", how), tick(100)] });
  const options = { messages: { emote: "eventual" } } as const;
  const fine = await checkDeterminism(StageRoom, emote("waves"), options);
  assert.equal([fine.equal, fine.problems, fine.warnings], [true, [], []]);
  const slips = await checkDeterminism(StageRoom, emote("slips"), options);
  assert.match(
    slips.problems[0]?.what ?? "",
    /message "emote": room\.list\[0\] was changed \(assigned\); .*eventual/,
  );
  const hides = await checkDeterminism(StageRoom, emote("hides"), options);
  assert.match(hides.problems[0]?.what ?? "", /message "emote": .*before; .*outside of its log/);
});

test("[Y64] a room that is fine stays equal through everything, and says over how many steps and checkpoints", async () => {
  class FineRoom extends GoRoom {
    turns = new Map<Client, number>();
    seen = new Set<string>(["z", "a"]);
    started = Date.now();
    go(client: Client) {
      this.turns.set(client, (this.turns.get(client) ?? 0) + Math.random());
      this.seen.add(`${client.sessionId} ${this.seen.size}`);
      this.state.n += Math.floor(Math.random() * 6);
      this.broadcast("at", new Date().toISOString());
    }
  }
  const report = await checkDeterminism(FineRoom, script);
  assert.equal(report, {
    equal: true,
    steps: script.steps.length,
    checkpoints: script.steps.length + 1,
    firstDifference: null,
    restless: null,
    problems: [],
    warnings: [],
  });
  await assertDeterminism(FineRoom, script);
});

test("[Y64] so does the room that uses everything", async () => {
  const everything = ["fire", "draw", "throw", "reject", "bench", "lock", "unlock", "meta"].flatMap(
    (message) => [say("ann", message, 3), say("ben", message, 2), tick(333)],
  );
  const report = await checkDeterminism(
    EverythingRoom,
    { options: { bias: 3 }, steps: [...script.steps, ...everything, tick(5_000)] },
    { classes: [Deck], transient: ["scratch"] },
  );
  assert.equal([report.firstDifference, report.problems], [null, []]);
  assert.ok(report.checkpoints > 20, `${report.checkpoints} checkpoints`);
});

class LendingRoom extends GoRoom {
  declare effect: ReplicatedRoom["effect"];
  effects = {
    profile: { timeoutMs: 400, run: ({ id }: { id: string }) => fetch(`http://127.0.0.1:1/${id}`) },
  };
  known: unknown[] = [];
  override async onJoin(client: Client) {
    this.known.push(
      await this.effect("profile", { id: client.sessionId }).catch((error: Error) => error.message),
    );
  }
  async go(client: Client) {
    this.state.n += (
      (await this.effect("profile", { id: client.sessionId })) as unknown as { gold: number }
    ).gold;
    this.broadcast("gold", this.state.n);
  }
}

test("[Y85] a script says what effects resolve with, and none of them is run", async () => {
  const report = await checkDeterminism(LendingRoom, { ...script, effects: { profile: { gold: 7 } } });
  assert.equal([report.firstDifference, report.problems, report.warnings], [null, [], []]);
  assert.ok(report.checkpoints > script.steps.length / 2, `${report.checkpoints} checkpoints`);
});

test("[Y85] an effect that the script does not name times out, and is told of", async () => {
  const report = await checkDeterminism(LendingRoom, script);
  assert.is(report.firstDifference, null);
  assert.ok(
    report.warnings.some((warning) => warning.startsWith('effect "profile" has no answer, and times out')),
    report.warnings.join("\n"),
  );
});

let rounds = 0;
class CountingRoom extends GoRoom {
  go() {
    this.state.n = ++rounds;
  }
}
class RegionRoom extends GoRoom {
  go() {
    this.state.words.push(process.env["CHECKED_REGION"] ?? "nowhere");
  }
}
class ZoneRoom extends GoRoom {
  go() {
    this.state.n = new Date().getHours();
  }
}
class ToldZoneRoom extends GoRoom {
  go(client: Client) {
    client.send("clock", new Date().toString());
  }
}
const early = vm.runInNewContext("Math.random") as () => number;
class EarlyRoom extends GoRoom {
  go() {
    this.state.n = early();
  }
}
class CapturingRoom extends GoRoom {
  override onCreate() {
    let captured = 0;
    this.onMessage("go", () => {
      this.state.n = ++captured;
    });
  }
  go() {}
}
class FleetingRoom extends GoRoom {
  cache = 0;
  go() {
    this.cache += 1;
    this.state.n = this.cache;
  }
}
/** The first room of a process does what no other does. */
let isFirst = true;
class FirstRoom extends GoRoom {
  override onCreate() {
    void super.onCreate();
    if (isFirst) this.state.n = 7;
    isFirst = false;
  }
  go() {}
}

const differing: [
  string,
  new () => Room,
  object,
  { replica: string; path: string; words: RegExp; values?: string },
][] = [
  [
    "a module global that counts",
    CountingRoom,
    {},
    { replica: "again", path: "room.state.n", words: /module global/ },
  ],
  [
    "what the first room of a process does",
    FirstRoom,
    {},
    { replica: "again", path: "room.state.n", words: /module global/ },
  ],
  [
    "a Math.random that was captured before the preload",
    EarlyRoom,
    {},
    { replica: "again", path: "room.state.n", words: /preload.*Math\.random/s },
  ],
  [
    "a variable of the environment",
    RegionRoom,
    {},
    {
      replica: "variables",
      path: "room.state.words[0]",
      words: /process\.env\.CHECKED_REGION \(.*determinism\.test\.ts:\d+\)/,
      values: '"1" against "nowhere"',
    },
  ],
  ["the time zone", ZoneRoom, {}, { replica: "time zone", path: "room.state.n", words: /UTC/ }],
  [
    "the time zone, in what a client is told",
    ToldZoneRoom,
    {},
    { replica: "time zone", path: "what a client is sent", words: /UTC/ },
  ],
  [
    "a local that a handler's closure has captured",
    CapturingRoom,
    {},
    {
      replica: "restored",
      path: "room.state.n",
      words: /captured closure.*keep it in a field/s,
      values: "1 against 2",
    },
  ],
  [
    "a transient field that is not made again",
    FleetingRoom,
    { transient: ["cache"] },
    { replica: "restored", path: "room.state.n", words: /transient/ },
  ],
];

for (const [what, roomClass, options, expected] of differing) {
  test(`[Y65] ${what} is found, with the path and the remedy`, async () => {
    const { equal, firstDifference } = await checkDeterminism(roomClass, script, options);
    assert.is(equal, false);
    assert.is(firstDifference?.replica, expected.replica);
    assert.is(firstDifference?.path, expected.path);
    assert.match(firstDifference?.remedy ?? "", expected.words);
    assert.match(firstDifference?.values ?? "", " against ");
    if (expected.values !== undefined) assert.is(firstDifference?.values, expected.values);
    assert.match(
      firstDifference?.after ?? "",
      expected.path === "room.state.n" && roomClass === FirstRoom
        ? /^onCreate$/
        : /^step \d+ \((ann|ben) says "go"\)$/,
    );
  });
}

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
      at: /determinism\.test\.ts:\d+$/,
    },
  ],
  [
    "a real timer in onCreate",
    BornTimerRoom,
    {
      verdict: "change",
      what: /cannot be created: setInterval\(\) inside room/,
      remedy: /as it says/,
      at: /determinism\.test\.ts:\d+$/,
    },
  ],
  [
    "a handler that fetches",
    FetchingRoom,
    {
      verdict: "change",
      what: /globalThis\.fetch\(\) inside room.*room\.propose\(\)/,
      remedy: /as it says/,
      at: /determinism\.test\.ts:\d+$/,
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
    /a clock timer made at .*arm .*determinism\.test\.ts:\d+:\d+.* has not fired/,
  );
  assert.is(
    report.warnings.some((warning) =>
      /determinism\.test\.ts:\d+: message failed: no good \(first after step \d/.test(warning),
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

const malformed: [string, unknown, RegExp][] = [
  ["no object", 7, /script is not one: .*expected object/],
  ["no steps", {}, /steps/],
  [
    "an unknown step",
    { steps: [{ type: "jump" }] },
    /steps\.0.*join, message, leave, reconnect, tick and propose/s,
  ],
  ["a player who has not joined", { steps: [{ type: "leave", client: "bob" }] }, /steps\.0.*"bob"/],
  ["a tick of no time", { steps: [{ type: "tick", ms: 0 }] }, /steps\.0\.ms/],
  ["too much time", { steps: Array.from({ length: 10 }, () => tick(600_000)) }, /6000000 ms.*3600000 ms/],
  ["too many steps", { steps: Array.from({ length: 2_001 }, () => tick(1)) }, /steps.*2000/],
];

for (const [what, bad, words] of malformed) {
  test(`[Y67] a script with ${what} is refused with the place and what is allowed`, async () => {
    try {
      await checkDeterminism(CapturingRoom, bad as CheckScript);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, CheckError);
      assert.match((error as Error).message, words);
    }
  });
}

class BulkyRoom extends GoRoom {
  bulk = "";
  go() {
    this.bulk = String(Math.random()).padEnd(1_300_000, "x");
  }
  grow() {
    this.bulk = this.bulk.padEnd(5 * 1024 * 1024, "x");
  }
}

test("[Y67] so is one that is too long for a room of that size", async () => {
  const steps = [join("ann"), ...Array.from({ length: 60 }, () => say("ann", "go"))];
  try {
    await checkDeterminism(BulkyRoom, { steps });
    assert.unreachable();
  } catch (error) {
    assert.is((error as CheckError).code, "SCRIPT_TOO_BIG");
    assert.match(
      (error as Error).message,
      /after each of 5\d steps take more than 67108864 bytes: use a shorter script/,
    );
  }
});

test("[Y66] a room that is too big to be saved stands against it, with what weighs most", async () => {
  const { problems, restless } = await checkDeterminism(BulkyRoom, {
    steps: [{ type: "propose", method: "grow" }],
  });
  assert.is(problems[0]?.verdict, "change");
  assert.match(problems[0]?.what ?? "", /cannot be saved: .*4194304 bytes.*room\.fields\.bulk/);
  assert.match(restless ?? "", /4194304 bytes/);
});

test("[Y65] rooms of the class that ran before are made with the script's options, too", async () => {
  let most = 0;
  class LevelRoom extends GoRoom {
    level = 0;
    override onCreate({ level }: { level?: number } = {}) {
      if (level === undefined) throw new Error("a level is needed");
      void super.onCreate();
      this.level = level;
    }
    go(client: Client) {
      // Of this very room every replica counts the same: another room's moves it.
      if (this.roomId !== "checkroom") most += 1;
      if (client.sessionId === "ben") this.state.n = most;
    }
  }
  const { firstDifference } = await checkDeterminism(LevelRoom, { ...script, options: { level: 2 } });
  assert.equal([firstDifference?.replica, firstDifference?.values], ["after others", "5 against 0"]);
});

test("[Y67] without the preload nothing is checked, and one is told how to start", async () => {
  const code = `import { checkDeterminism } from "./server/check.ts"; await checkDeterminism(class R {}, { steps: [] }).catch((error) => console.log(error.code, error.message))`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code]);
  assert.match(stdout, /^PRELOAD_MISSING .*--import testudo\/register/);
});

test("[Y67] afterwards the process is as it was", async () => {
  // Colyseus's statistics bring a listener of their own.
  const listeners = process.listenerCount("unhandledRejection");
  const driver = new LocalDriver();
  await matchMaker.setup(new LocalPresence(), driver);
  await checkDeterminism(CapturingRoom, script);
  assert.equal([process.env["TZ"], process.env["CHECKED_REGION"]], variablesBefore);
  assert.is(process.listenerCount("unhandledRejection"), listeners);
  assert.is(matchMaker.driver, driver);
  assert.equal(matchMaker.getAllHandlers(), Object.create(null));
  assert.equal(driver.query({}), []);
});

test.run();
