// test-run: seconds=300 computes node=--import=./server/colyseus/register.ts
import { defineRoom, matchMaker, type Room } from "@colyseus/core";
import type { Schema } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RoomRandom } from "../../server/session/random.ts";
import {
  bytesFrame,
  defineTestRoom,
  joinAck,
  leaveFrame,
  type RecordingSocket,
  readFrame,
} from "./machine-harness.ts";
import { Scene } from "./scene.ts";
import { StateFollower } from "./state-follower.ts";
import { RichRoom, RichState, ViewedRoom, ViewedState } from "./stock/rich-room.ts";
import { StockStage } from "./stock/stock-stage.ts";

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

/** What one player has heard and sees, over all of its sockets. */
class Ears {
  readonly heard: unknown[] = [];
  follower: StateFollower<Schema>;
  readonly #stateClass: new () => Schema;
  #socket: RecordingSocket | null = null;
  #read = 0;

  constructor(stateClass: new () => Schema) {
    this.#stateClass = stateClass;
    this.follower = new StateFollower(stateClass);
  }

  beginAnew(): void {
    this.follower = new StateFollower(this.#stateClass);
  }

  listen(socket: RecordingSocket): void {
    if (socket !== this.#socket) this.#read = 0;
    this.#socket = socket;
    this.follower.follow(socket);
    for (const frame of socket.frames.slice(this.#read)) {
      const read = readFrame(frame);
      if (read.type === "joined") this.heard.push("joined");
      else if (read.type !== "other") this.heard.push(read);
    }
    this.#read = socket.frames.length;
    const { closed } = socket;
    const { reason } = closed ?? {};
    // Whoever has gone by itself does not hear that.
    if (closed !== null && this.heard.at(-1) !== closed && reason !== "detached by the log")
      this.heard.push(closed);
  }
}

function roomFacts(room: Room, listing: Record<string, unknown> | undefined): object {
  const { journal, ticks } = room as RichRoom;
  const { locked, metadata, clients, maxClients, unlisted } = listing ?? {};
  return {
    journal: [...journal],
    ticks,
    // Its currentTime is the log's.
    clock: [room.clock.elapsedTime, room.clock.deltaTime],
    present: room.clients.map(({ sessionId }) => sessionId),
    listing: { locked, metadata, clients, maxClients, unlisted, private: listing?.["private"] },
    state: JSON.parse(JSON.stringify(room.state, (_k, v: unknown) => (typeof v === "bigint" ? `${v}n` : v))),
  };
}

class Duel {
  readonly stock = new StockStage();
  readonly scene = new Scene(["A", "B", "C"]);
  readonly ears = new Map<string, { stock: Ears; ours: Ears }>();
  readonly #random: RoomRandom;
  readonly #viewed: boolean;
  readonly done: unknown[] = [];
  readonly #acknowledged = new Set<object>();
  readonly refusals = new Set<string>();

  constructor(seed: number) {
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
    await this.enter("p1");
  }

  isHere(sessionId: string): boolean {
    return this.scene.room().clients.some((client) => client.sessionId === sessionId);
  }

  async enter(sessionId: string): Promise<void> {
    const options = { name: sessionId, fails: this.chance(0.1), waits: this.chance(0.1) };
    this.done.push(["enter", sessionId, options]);
    const seated = await this.stock.join(sessionId, options, { by: "auth" });
    const reserved = await this.scene.reserve(sessionId, options, { auth: { by: "auth" } });
    const taken = (reserved as { reserved?: boolean } | boolean | null) ?? false;
    this.done.push([seated, taken]);
    if (!seated) return;
    const attached = await this.scene.attach(sessionId, this.pick(["A", "B"]), { falls: true });
    this.#refused(sessionId, attached);
  }

  /** As the SDK: once it hears that it has joined. */
  async acknowledge(): Promise<void> {
    for (const [sessionId, { socket }] of this.stock.players) {
      if (this.refusals.has(sessionId) || this.#acknowledged.has(socket)) continue;
      const isTold = (heard: RecordingSocket) => heard.frames.some(([code]) => code === joinAck()[0]);
      assert.is(isTold(this.scene.player(sessionId).socket), isTold(socket.heard), `${sessionId} has joined`);
      if (!isTold(socket.heard)) continue;
      this.#acknowledged.add(socket);
      await this.stock.frame(sessionId, joinAck());
      await this.scene.frame(sessionId, joinAck());
    }
  }

  /** A refusal is told by the socket that asked: here it is the answer of the log. */
  #refused(sessionId: string, answer: unknown): void {
    const { refused, message, epoch } = answer as { refused?: string; message?: string; epoch?: number };
    if (epoch === 1) this.ears.delete(sessionId);
    if (epoch !== undefined) return void this.refusals.delete(sessionId);
    const [error] = this.stock.player(sessionId).socket.heard.frames.map(readFrame);
    assert.is(error?.type, "error", `${sessionId} was refused by the log alone: ${refused} ${message}`);
    if (refused === "APPLICATION" && error?.type === "error") assert.is(message, error.message);
    this.refusals.add(sessionId);
  }

  async act(): Promise<void> {
    if (this.chance(0.3)) {
      const ms = this.pick([10, 25, 50, 60, 90]);
      this.done.push(["tick", ms]);
      await this.stock.tick(ms);
      return await this.scene.tick(ms);
    }
    const sessionId = this.pick(names);
    const seat = this.scene.seat(sessionId);
    if (seat === undefined) return await this.enter(sessionId);
    if (!this.isHere(sessionId)) {
      this.done.push(["reconnect", sessionId]);
      const nodeId = this.pick(["A", "B", "C"]);
      if (nodeId === "C") {
        // Colyseus itself tells who comes between two patches of an array's splice twice; a restored replica, once.
        await this.stock.tick(100);
        await this.scene.tick(100);
      }
      await this.stock.reconnect(sessionId);
      // Of Colyseus alone it would go on seeing fields that were emptied meanwhile.
      this.ears.get(sessionId)?.stock.beginAnew();
      const attached = await this.scene.reconnect(sessionId, nodeId, { falls: true });
      return this.#refused(sessionId, attached);
    }
    if (this.chance(0.04)) {
      const code = this.pick([1006, 1001, 4000]);
      this.done.push(["drop", sessionId, code]);
      await this.stock.drop(sessionId, code);
      return void (await this.scene.drop(sessionId, code));
    }
    await this.#speak(sessionId);
  }

  async #speak(sessionId: string): Promise<void> {
    if (this.chance(0.06)) {
      const n = this.n;
      this.done.push(["ask", sessionId, n]);
      await this.stock.request(sessionId, "ask", n);
      return void (await this.scene.request(sessionId, "ask", n));
    }
    const special = this.chance(0.06)
      ? this.pick([leaveFrame(), bytesFrame("raw", Uint8Array.of(1)), bytesFrame("raw", Uint8Array.of(1, 2))])
      : null;
    if (special !== null) {
      this.done.push(["frame", sessionId, [...special]]);
      await this.stock.frame(sessionId, special);
      return void (await this.scene.frame(sessionId, special));
    }
    const op = this.pick(this.ops);
    const rare = ["go", "kick", "restart", "full", "making", "lock", "private"].includes(op);
    if (rare && this.chance(0.6)) return;
    const args = this.#argsOf(op);
    this.done.push(["do", sessionId, op, ...args]);
    await this.stock.send(sessionId, "do", [op, ...args]);
    await this.scene.send(sessionId, "do", [op, ...args]);
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

  compare(): void {
    const where = () => `after ${JSON.stringify(this.done.slice(-8))}`;
    for (const [sessionId, { socket }] of this.stock.players) {
      if (this.refusals.has(sessionId)) continue;
      const stateClass = this.#viewed ? ViewedState : RichState;
      let ears = this.ears.get(sessionId);
      if (ears === undefined) {
        // Somebody else, who has heard nothing yet.
        ears = { stock: new Ears(stateClass as never), ours: new Ears(stateClass as never) };
        this.ears.set(sessionId, ears);
      }
      ears.stock.listen(socket.heard);
      ears.ours.listen(this.scene.player(sessionId).socket);
      const last = (heard: unknown[]) => [heard.length, ...heard.slice(-8)];
      assert.equal(last(ears.ours.heard), last(ears.stock.heard), `${sessionId} heard, ${where()}`);
      assert.equal(ears.ours.follower.seen, ears.stock.follower.seen, `${sessionId} sees, ${where()}`);
    }
    const stockRoom = this.stock.room as Room;
    const stockListing = (stockRoom as unknown as { _listing: Record<string, unknown> })._listing;
    for (const { nodeId } of this.scene.replicas) {
      const room = this.scene.room(nodeId);
      const listing = (room as unknown as { _listing: Record<string, unknown> })._listing;
      assert.equal(roomFacts(room, listing), roomFacts(stockRoom, stockListing), `${nodeId}, ${where()}`);
    }
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
    duel.compare();
    for (let step = 0; step < 300 && !duel.scene.isGone; step++) {
      await duel.act();
      await duel.acknowledge();
      if (duel.scene.isGone) break;
      const isAlone = ![...duel.scene.players.values()].some(
        ({ nodeId, sessionId }) => nodeId === "C" && duel.isHere(sessionId),
      );
      if (isAlone && duel.chance(0.1) && (await duel.scene.restore("C"))) restored++;
      duel.compare();
    }
  });

test("[Y166] that was so of restored replicas, too", () => {
  assert.ok(restored > seeds.length * 5, `${restored} restores`);
});

test.run();
