// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodeSwitches, codeSwitchTimes } from "../../server/colyseus/code-switches.ts";
import { RoomUpgrades, roomUpgradeLimits } from "../../server/colyseus/room-upgrades.ts";
import type { Upgrade } from "../../server/colyseus/seam.ts";
import { UpgradeTrial } from "../../server/colyseus/upgrade-trial.ts";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { type RoomMark, RoomMarks } from "../../server/session/room-mark.ts";
import type { Sessions } from "../../server/session/sessions.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { Jury } from "../session/divergence/jury.ts";
import type { DivergingRoom } from "../session/divergence/trial.ts";
import { Replica } from "./machine-harness.ts";

const test = suite("rooms that go on under new code by themselves");

/** The node's process ends, and another code starts on its disk. */
async function deploy(jury: Jury, nodeId: string, code: string): Promise<void> {
  const old = jury.node(nodeId);
  const saved = (await inMacrotask(() => old.save())) as Map<string, Checkpoint>;
  await inMacrotask(() => old.restore(new Map()));
  const fresh = new Replica(nodeId, 2, { code });
  jury.restarted(fresh, jury.entries.length);
  await inMacrotask(() => fresh.restore(saved));
}

/** One node's part in what upgrades rooms, without the node. */
class Upgrader {
  /** What the class says, as this node has it. */
  upgrade: Upgrade = "switch";
  /** What its code says of a copy. */
  failure: string | null = null;
  throws: Error | null = null;
  readonly tried: string[] = [];
  readonly told: string[] = [];
  proposed = 0;
  voters: readonly string[] = ["A", "B", "C"];
  readonly upgrades: RoomUpgrades;
  readonly switches: CodeSwitches;
  readonly #jury: Jury;
  readonly #nodeId: string;
  #timers: { readonly atMs: number; readonly act: () => void }[] = [];

  constructor(jury: Jury, nodeId: string, same: () => readonly string[], marks: readonly RoomMark[] = []) {
    this.#jury = jury;
    this.#nodeId = nodeId;
    const sessions = this.#sessions();
    const trial = new UpgradeTrial({
      sessions,
      marks: new RoomMarks(marks),
      watch: { begin: ({ act }) => this.tried.push(act), end: () => {} },
      failure: () => {
        if (this.throws !== null) throw this.throws;
        return this.failure;
      },
    });
    this.switches = new CodeSwitches({ sessions, trial });
    const log = (fields: object, message: string) =>
      this.told.push(`${(fields as { event: string }).event}: ${message}`);
    this.upgrades = new RoomUpgrades({
      ...{ sessions, trial, switches: this.switches, log: { info: log, error: log } },
      sameCode: () => new Set(same()),
      configuration: () => ({
        ...emptyConfiguration,
        voters: this.voters.map((each) => ({ nodeId: each, storeId: each })),
      }),
      upgradeOf: () => this.upgrade,
    });
  }

  #sessions(): Sessions {
    const jury = this.#jury;
    const nodeId = this.#nodeId;
    const { machine } = jury.node(nodeId);
    return {
      nodeId,
      machines: [machine],
      groupOf: () => 0,
      room: (roomId: string) => machine.rooms.get(roomId),
      notServed: (roomId: string) => new Error(machine.notServed(roomId).message),
      nowMs: () => jury.nowMs,
      later: (act: () => void, ms: number) => this.#timers.push({ atMs: jury.nowMs + ms, act }),
      divergences: {
        trialCopy: (_: number, roomId: string) => jury.watch(nodeId).trialCopy(roomId),
      },
      switchCode: async (roomId: string, to: string) => {
        this.proposed += 1;
        const [at] = await jury.apply(jury.log.next(nodeId, "switchCode", { roomId, to }));
        return ((at as { value: { message: string } | null }).value?.message ?? null) as string | null;
      },
    } as unknown as Sessions;
  }

  get why(): string | null {
    const odd = this.#jury.node(this.#nodeId).machine.odd.get(this.#jury.roomId);
    return odd === undefined ? null : this.upgrades.whyNot(odd);
  }

  async seconds(count: number): Promise<void> {
    const jury = this.#jury;
    for (let turn = 0; turn < count * 4; turn++) {
      this.upgrades.sweep();
      for (let step = 0; step < 4; step++) {
        await jury.settle();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await jury.seconds(0.25);
      const due = this.#timers.filter(({ atMs }) => atMs <= jury.nowMs);
      this.#timers = this.#timers.filter(({ atMs }) => atMs > jury.nowMs);
      for (const { act } of due) act();
    }
  }
}

/** A runs the room; the others have v2. */
async function halfDeployed(): Promise<Jury> {
  const jury = (await new Jury().begin()) as Jury;
  for (const nodeId of ["B", "C"]) await deploy(jury, nodeId, "v2");
  await jury.seconds(2);
  return jury;
}

test("[U26] a room whose class says so comes over once no majority of the voters is without a node that has the new code and takes clients; one of them brings it", async () => {
  const jury = await halfDeployed();
  let open: readonly string[] = ["B"];
  const b = new Upgrader(jury, "B", () => open);
  const c = new Upgrader(jury, "C", () => open);
  await b.seconds(2);
  await c.seconds(2);
  assert.equal([b.proposed, c.proposed], [0, 0], "the two others are a majority without it, linked or not");
  open = ["B", "C"];
  await c.seconds(2);
  assert.is(c.proposed, 0, "one is enough");
  await b.seconds(2);
  assert.equal([b.proposed, b.why], [1, null]);
  assert.equal(jury.standings(), "foreign,serving,serving");
  assert.match(
    b.told.join(),
    /^room-upgraded: room \w+ went from code "" to "v2" in \d+ ms$/,
    "and it is told once",
  );
});

test("[U26] of two nodes one with the new code is enough: nothing is agreed without it", async () => {
  const jury = await halfDeployed();
  const b = new Upgrader(jury, "B", () => ["B"]);
  b.voters = ["A", "B"];
  await b.seconds(2);
  assert.is(b.proposed, 1);
  const four = await halfDeployed();
  const c = new Upgrader(four, "C", () => ["C"]);
  c.voters = ["A", "B", "C", "D"];
  await c.seconds(2);
  assert.is(c.proposed, 0);
});

test("[U26] one whose class does not say so stays, and is not even tried", async () => {
  const jury = await halfDeployed();
  const b = new Upgrader(jury, "B", () => ["B", "C"]);
  b.upgrade = "end";
  await b.seconds(3);
  assert.equal([b.proposed, b.tried, jury.standings()], [0, [], "serving,foreign,foreign"]);
});

test("[U27] nothing is agreed before the new code has taken over a copy: a room that it cannot have stays, loudly, and is tried again ever later", async () => {
  const jury = await halfDeployed();
  const b = new Upgrader(jury, "B", () => ["B", "C"]);
  b.failure = "this state is none of mine";
  await b.seconds(35);
  assert.equal([b.proposed, jury.standings()], [0, "serving,foreign,foreign"]);
  assert.is(b.why, b.failure);
  assert.is(b.tried.length, 3, "at once, after 10 s, 20 s after that");
  assert.equal(b.told.length, 1, "told once");
  assert.match(
    b.told[0] ?? "",
    /^room-not-upgraded: room \w+ stays under code "": "v2" cannot take it over as it is: this state/,
  );
  const asked = b.switches.one(jury.roomId);
  await b.seconds(1);
  assert.is((await asked).why, b.failure, "nor for an operator");
  assert.is(b.proposed, 0);
  b.failure = null;
  await b.seconds(roomUpgradeLimits.failedMsMin / 250);
  assert.equal(jury.standings(), "foreign,serving,serving");
  assert.is(b.why, null);
});

test("[U27] a copy that cannot even be read is the room's trouble, not the node's", async () => {
  const jury = await halfDeployed();
  const b = new Upgrader(jury, "B", () => ["B"]);
  b.throws = new Error("room checkpoint of version 9, this code reads 5");
  await b.seconds(2);
  assert.match(b.told.join(), /cannot take it over as it is: .*checkpoint of version 9/);
  assert.match(b.why ?? "", /checkpoint of version 9/);
});

test("[U27] who is new tries its code before there are enough of them, once", async () => {
  const jury = await halfDeployed();
  const c = new Upgrader(jury, "C", () => ["C"]);
  await c.seconds(5);
  assert.equal([c.tried, c.proposed], [["upgrade"], 0]);
});

test("[U28] a room that is not at rest is waited for, and neither tried nor switched", async () => {
  const jury = await halfDeployed();
  await jury.send("a", "wait", 60_000);
  const b = new Upgrader(jury, "B", () => ["B", "C"]);
  await b.seconds(codeSwitchTimes.mostMs / 1_000 + 2);
  assert.equal([b.proposed, b.tried], [0, []]);
  assert.match(
    b.why ?? "",
    /A: not at rest: .*C: the room is not here|C: the room is not here; A: not at rest/,
  );
  await jury.tick(60_000);
  await b.seconds(5);
  assert.equal(jury.standings(), "foreign,serving,serving");
});

test("[U29] what a start of this node did not come back from is not tried by it again, and nobody is to be closed for it", async () => {
  const jury = await halfDeployed();
  const mark: RoomMark = {
    ...{ roomId: jury.roomId, group: 0, act: "upgrade", index: 3, deaths: 1 },
    why: "no end after 5000 ms",
  };
  const b = new Upgrader(jury, "B", () => ["B", "C"], [mark]);
  await b.seconds(3);
  assert.equal([b.proposed, b.tried], [0, []]);
  assert.match(
    b.why ?? "",
    /an earlier start of this node did not come back from a trial: no end after 5000 ms/,
  );
  const marks = new RoomMarks([mark]);
  const again = new Replica("B", 3, { code: "", marks });
  const saved = (await inMacrotask(() => jury.node("A").save())) as Map<string, Checkpoint>;
  await inMacrotask(() => again.restore(saved));
  assert.is(again.machine.standing(jury.roomId), undefined, "under its own code it may run it");
  assert.is(marks.of(jury.roomId), mark);
});

test("[U30] a code that a room has left gets it back by an operator's word only, with what was agreed meanwhile", async () => {
  const jury = await halfDeployed();
  const b = new Upgrader(jury, "B", () => ["B", "C"]);
  await b.seconds(2);
  assert.equal(jury.standings(), "foreign,serving,serving");
  await jury.send("a", "fire");
  const a = new Upgrader(jury, "A", () => ["A", "B", "C"]);
  await a.seconds(3);
  assert.equal([a.proposed, jury.standings()], [0, "foreign,serving,serving"]);
  assert.match(a.why ?? "", /has left this code before.*testudo rooms switch/);
  const asked = a.switches.all();
  await a.seconds(2);
  const [switched] = await asked;
  assert.equal([switched?.from, switched?.to, switched?.why], ["v2", "", null]);
  assert.equal(jury.standings(), "serving,foreign,foreign");
  assert.is(jury.room<DivergingRoom>("A").state.shots, 1);
  await b.seconds(5);
  assert.equal(jury.standings(), "serving,foreign,foreign", "and it is not taken away again");
});

test.run();
