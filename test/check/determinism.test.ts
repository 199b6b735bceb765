// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import vm from "node:vm";
import { type Client, LocalDriver, LocalPresence, matchMaker, type Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { assertDeterminism, checkDeterminism } from "../../server/check.ts";
import { Deck, EverythingRoom } from "../colyseus/everything-room.ts";
import { GoRoom, join, say, script, tick } from "./go-room.ts";

const variablesBefore = [process.env["TZ"], process.env["CHECKED_REGION"]];

// The stock room prints what hooks and handlers throw.
console.error = () => {};

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
