// test-run: seconds=300 computes node=--import=./server/colyseus/register.ts
import { defineRoom, matchMaker, type Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RoomRandom } from "../../server/session/random.ts";
import { bytesFrame, defineTestRoom, leaveFrame } from "./machine-harness.ts";
import { Beside } from "./stock/beside.ts";
import { RichRoom, RichState, ViewedRoom, ViewedState } from "./stock/rich-room.ts";

await defineTestRoom("rich", RichRoom);
await defineTestRoom("viewed", ViewedRoom);
for (const [name, roomClass] of [
  ["stock rich", RichRoom],
  ["stock viewed", ViewedRoom],
] as const) {
  // Colyseus calls a timer's handler on the timer.
  const Bound = class extends (roomClass as typeof RichRoom) {
    override rings = super.rings.bind(this);
  };
  const handler = defineRoom(Bound);
  handler.name = name;
  matchMaker.addRoomType(handler);
}

const names = ["p1", "p2x", "p3b", "p4", "p5"];
const words = ["aa", "bb", "cc", "dd", "ee"];

/** What takes a number; all else takes a word. */
const numeric: ReadonlySet<string> = new Set([
  ...["pushAgain", "cut", "move", "swap", "replace", "tag", "count", "num", "numAt", "numCut", "fire"],
  ...["share", "hp", "assign", "poolShared", "unpool", "unheap", "mark", "unmark", "scalar", "once", "home"],
  ...["sayBytes", "tell", "err", "meta", "making", "full", "userData", "pause", "resume", "reset", "clear"],
  ...["show", "showTag", "hide", "worth"],
]);

function roomFacts(room: Room): object {
  const { journal, ticks } = room as RichRoom;
  return {
    journal: [...journal],
    ticks,
    // Its currentTime is the log's.
    clock: [room.clock.elapsedTime, room.clock.deltaTime],
    present: room.clients.map(({ sessionId }) => sessionId),
    state: JSON.parse(JSON.stringify(room.state, (_k, v: unknown) => (typeof v === "bigint" ? `${v}n` : v))),
  };
}

class Duel extends Beside {
  readonly #random: RoomRandom;
  readonly #viewed: boolean;

  constructor(seed: number) {
    super((seed % 2 === 0 ? ViewedState : RichState) as never);
    this.#random = RoomRandom.seeded(Uint8Array.of(...new Uint8Array(10), seed >> 8, seed & 255));
    this.#viewed = seed % 2 === 0;
  }

  chance(share: number): boolean {
    return this.#random.next() < share;
  }
  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random.next() * values.length)] as T;
  }
  get n(): number {
    return this.#random.uint32() % 300;
  }

  async begin(): Promise<void> {
    const name = this.#viewed ? "viewed" : "rich";
    const options = { patchRate: this.pick([50, 100, 30]), simulated: this.chance(0.5), name };
    await this.stock.create(`stock ${name}`, options);
    await this.scene.create(name, options);
    await this.come("p1");
  }

  async come(sessionId: string): Promise<void> {
    const options = { name: sessionId, fails: this.chance(0.1), waits: this.chance(0.1) };
    await this.enter(sessionId, options, this.pick(["A", "B"]));
  }

  async act(): Promise<void> {
    if (this.chance(0.3)) {
      return await this.tick(this.pick([10, 25, 50, 60, 90]));
    }
    const sessionId = this.pick(names);
    const seat = this.scene.seat(sessionId);
    if (seat === undefined) return await this.come(sessionId);
    if (!this.isHere(sessionId)) {
      const nodeId = this.pick(["A", "B", "C"]);
      // Colyseus itself tells who comes between two patches of an array's splice twice; a restored replica, once.
      if (nodeId === "C") await this.tick(100);
      return await this.reconnect(sessionId, nodeId);
    }
    if (this.chance(0.04)) return await this.drop(sessionId, this.pick([1006, 1001, 4000]));
    await this.#speak(sessionId);
  }

  async #speak(sessionId: string): Promise<void> {
    if (this.chance(0.06)) return await this.ask(sessionId, "ask", this.n);
    const special = this.chance(0.06)
      ? this.pick([leaveFrame(), bytesFrame("raw", Uint8Array.of(1)), bytesFrame("raw", Uint8Array.of(1, 2))])
      : null;
    if (special !== null) return await this.frame(sessionId, special);
    const op = this.pick(this.ops);
    const rare = ["go", "kick", "restart", "full", "making", "lock", "private"].includes(op);
    if (rare && this.chance(0.6)) return;
    const args = this.#argsOf(op);
    await this.send(sessionId, "do", [op, ...args]);
  }

  get ops(): string[] {
    return Object.keys((this.scene.room() as RichRoom).ops);
  }

  #argsOf(op: string): unknown[] {
    const wordy = this.pick(words);
    if (["go", "kick"].includes(op)) return [this.pick([4000, 4001, 1000, 4010])];
    if (["later", "every", "closure", "nested", "wait"].includes(op)) return [40 + this.n, wordy];
    if (["push", "pool", "heap", "stat"].includes(op)) return [wordy, this.n];
    if (op === "splice") return [this.n, this.pick([0, 1, 2]), wordy];
    if (op === "private") return [this.chance(0.5)];
    if (["word", "minion"].includes(op)) return [wordy, this.pick(words)];
    return numeric.has(op) ? [this.n, op === "move" || op === "swap" ? this.n : wordy] : [wordy];
  }
}

// More with SEED=100 SEEDS=50.
const first = Number(process.env["SEED"] ?? 1);
const seeds = Array.from({ length: Number(process.env["SEEDS"] ?? 12) }, (_, at) => first + at);
let restored = 0;

for (const seed of seeds)
  test(`[Y166] a player hears and sees what it would of Colyseus alone: seed ${seed}`, async () => {
    const duel = new Duel(seed);
    await duel.begin();
    await duel.acknowledge();
    duel.compare(roomFacts);
    for (let step = 0; step < 300 && !duel.scene.isGone; step++) {
      await duel.act();
      await duel.acknowledge();
      if (duel.scene.isGone) break;
      const isAlone = ![...duel.scene.players.values()].some(
        ({ nodeId, sessionId }) => nodeId === "C" && duel.isHere(sessionId),
      );
      if (isAlone && duel.chance(0.1) && (await duel.scene.restore("C"))) restored++;
      duel.compare(roomFacts);
    }
  });

test("[Y166] that was so of restored replicas, too", () => {
  assert.ok(restored > seeds.length * 5, `${restored} restores`);
});

test.run();
