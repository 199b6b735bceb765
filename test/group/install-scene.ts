import * as assert from "uvu/assert";
import type { EngineOptions } from "../../server/group/engine-options.ts";
import { SnapshotStreamReader } from "../../server/group/snapshot-stream.ts";
import { decodeWanted } from "../../server/group/snapshot-wanted.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import { Cluster, type Node } from "./cluster.ts";
import { encodeRooms, RoomsMachine } from "./rooms-machine.ts";

type RaftMessage = Extract<PeerMessage, { type: "raft" }>["message"];

/** What an install passes, one after the other: each is a place to fail at. */
export type Passing = "a chunk leaves" | "an answer leaves" | "a save begins";

const engineOptions: Partial<EngineOptions> = {
  checkpointIntervalMs: 40,
  compactEntriesMin: 10,
  logTailEntries: 60,
  snapshotChunkBytes: 400,
  restoreYieldMs: 20,
  raft: { catchUpBytesMax: 0, snapshotPauseMs: 20, snapshotAnswerTimeoutMs: 60 },
};

/** Rooms that never tick: what is staged of them stays good. */
const idleRooms = 5;
const tickingRooms = 3;

/** One follower that lags too far, and rooms that go on: created, ticking, told something, disposed. */
export class InstallScene {
  readonly cluster: Cluster<RoomsMachine>;
  late = "";
  /** By "chunk leaves" and so on: how often, since the follower is back. */
  readonly passed: Record<Passing, number> = {
    "a chunk leaves": 0,
    "an answer leaves": 0,
    "a save begins": 0,
  };
  /** Called as each is passed, by its number from 0. */
  onPassing: (what: Passing, number: number) => void = () => undefined;
  /** How many parts of manifests were held already, in all. */
  held = 0;
  manifests = 0;
  answered = 0;
  #seen = 0;
  /** On the late one's disk, for certain, and whose checkpoint it is. */
  readonly staged = new Map<string, string>();
  #sender = "";
  #parts: readonly string[] = [];
  readonly #readers = new Map<string, SnapshotStreamReader>();
  readonly #numbers = new Map<string, number>();
  #rooms = 0;
  #open: string[] = [];
  #active = false;
  #lackedFrom = 0;

  readonly #keepsLog: boolean;

  /** @param keepsLog the third node has a part that is never at rest: its log reaches back to the beginning */
  constructor({
    seed = 1,
    engine = {},
    keepsLog = false,
  }: { seed?: number; engine?: Partial<EngineOptions>; keepsLog?: boolean } = {}) {
    this.#keepsLog = keepsLog;
    this.cluster = new Cluster({
      seed,
      engine: { ...engineOptions, ...engine },
      machine: () => new RoomsMachine({ paddingBytes: 150 }),
    });
  }

  /** Until the late one has come back to a leader whose log does not reach back so far. */
  async begin(): Promise<this> {
    const { cluster } = this;
    await cluster.start();
    const leader = await cluster.leader();
    this.late = (await cluster.follower()).id;
    const third = cluster.alive.find(({ id }) => id !== leader.id && id !== this.late);
    if (this.#keepsLog) third?.machines[0]?.held.add("r1");
    for (let room = 0; room < idleRooms + tickingRooms; room++)
      await cluster.value(this.#create(room >= idleRooms));
    cluster.isolate(this.late);
    for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = 10;
    // Until the leader has given it up: a snapshot that was begun for it would hold the log.
    await cluster.clock.run(300);
    const cutting = this.#keepsLog ? [leader.id] : cluster.ids.filter((id) => id !== this.late);
    const floor = () => Math.min(...cutting.map((id) => cluster.status(id).baseIndex));
    for (let round = 0; round < 20 || floor() <= cluster.status(this.late).lastIndex; round++) {
      assert.ok(round < 100, "the logs are cut behind what the late one lacks");
      await cluster.value(this.#create(false));
      await cluster.value(this.#add(this.#open[idleRooms] as string));
      await cluster.value(this.#disposeLast());
      await cluster.clock.run(10);
    }
    assert.is((await cluster.leader()).id, leader.id);
    cluster.passes = (from, to, message) => this.#sent(from, to, message);
    this.#seen = cluster.happened.length;
    this.#lackedFrom = cluster.status(this.late).lastIndex;
    cluster.rejoin(this.late);
    this.#active = true;
    return this;
  }

  /** One millisecond, with what players do in it. */
  async step(): Promise<void> {
    const { clock } = this.cluster;
    if (this.#active && clock.nowMs % 3 === 0) this.#play();
    await clock.run(1);
    this.#look();
  }

  /** Lets it go on until the late one serves what it was sent, then comes to rest and compares all. */
  async finish(maxMs = 10_000): Promise<void> {
    const { cluster } = this;
    const endMs = cluster.clock.nowMs + maxMs;
    const isDone = () => {
      const late = cluster.node(this.late);
      if (!late.isAlive || cluster.status(this.late).baseIndex <= this.#lackedFrom) return false;
      return (late.machines[0]?.restores ?? 0) > 0 && late.engine.isServing(0);
    };
    while (!isDone() && cluster.clock.nowMs < endMs) await this.step();
    assert.ok(isDone(), "the late one is brought up");
    await this.rest();
  }

  /** Nobody plays any more: all replicas come to one end, and are equal. */
  async rest(): Promise<void> {
    const { cluster } = this;
    this.#active = false;
    for (const id of cluster.ids) if (!cluster.node(id).isAlive) await cluster.boot(id);
    for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = null;
    await cluster.converge();
    await cluster.stop();
  }

  /** Swaps that have landed on the late one's disk. */
  get installs(): number {
    return this.cluster.happened.filter(
      (one) => one.type === "saveLanded" && one.node === this.late && one.batch.groups.get(0)?.reset === true,
    ).length;
  }

  async reboot(id: string): Promise<void> {
    const node = await this.cluster.boot(id);
    node.machines[0]!.tickEveryMs = 10;
  }

  // ── what players do ──────────────────────────────────────────────────────────────────────────────────────────────

  get #leading(): Node<RoomsMachine> | undefined {
    return this.cluster.alive.find(({ engine }) => engine.isLeader(0));
  }

  #play(): void {
    const { nowMs } = this.cluster.clock;
    if (this.#leading === undefined) return;
    const quietly = (proposal: Promise<unknown>) =>
      void proposal.then(
        () => (this.answered += 1),
        () => undefined,
      );
    const busy = this.#open.slice(idleRooms);
    const room = busy[nowMs % busy.length];
    if (room !== undefined) quietly(this.#add(room));
    if (nowMs % 9 === 0) quietly(this.#create(nowMs % 2 === 0));
    if (nowMs % 15 === 0) quietly(this.#disposeLast());
  }

  #propose(stream: string, command: (number: number) => Parameters<typeof encodeRooms>[0]): Promise<unknown> {
    const leader = this.#leading;
    assert.ok(leader !== undefined);
    const boot = this.cluster.boots.get(leader.id) ?? 0;
    const key = `${leader.id} ${boot} ${stream}`;
    const number = (this.#numbers.get(key) ?? 0) + 1;
    this.#numbers.set(key, number);
    return leader.engine.propose(0, encodeRooms(command(number)));
  }

  #create(ticks: boolean): Promise<unknown> {
    const room = `r${++this.#rooms}`;
    this.#open.push(room);
    return this.#propose("", (number) => ({ type: "create", room, number, ticks }));
  }

  #add(room: string): Promise<unknown> {
    return this.#propose(room, (number) => ({
      type: "add",
      room,
      number,
      tag: `at ${this.cluster.clock.nowMs}`,
    }));
  }

  #disposeLast(): Promise<unknown> {
    // The first ones stay.
    if (this.#open.length <= idleRooms + tickingRooms) return Promise.resolve();
    const room = this.#open.pop() as string;
    return this.#propose(room, (number) => ({ type: "dispose", room, number }));
  }

  // ── what is passed ───────────────────────────────────────────────────────────────────────────────────────────────

  #pass(what: Passing): void {
    this.onPassing(what, this.passed[what]++);
  }

  #sent(from: string, to: string, message: PeerMessage): boolean {
    if (message.type !== "raft") return true;
    const raft = message.message;
    if (raft.type === "installSnapshot" && to === this.late) {
      this.#read(from, raft);
      this.#pass("a chunk leaves");
    }
    if (raft.type === "installSnapshotResponse" && from === this.late) {
      if (raft.answer.length > 0) this.#manifestAnswered(raft.answer);
      this.#pass("an answer leaves");
    }
    return true;
  }

  #read(from: string, { snapshotId, chunk, bytes }: Extract<RaftMessage, { type: "installSnapshot" }>): void {
    const key = `${from} ${snapshotId}`;
    this.#sender = from;
    const isNext = chunk === (this.#nextChunk.get(key) ?? 0);
    if (!isNext) return;
    this.#nextChunk.set(key, chunk + 1);
    const reader = this.#readers.get(key) ?? new SnapshotStreamReader();
    this.#readers.set(key, reader);
    for (const record of reader.push(bytes))
      if (record.type === "manifest") this.#parts = [...record.parts.keys()];
  }

  readonly #nextChunk = new Map<string, number>();

  #manifestAnswered(answer: Uint8Array): void {
    this.#look();
    const wanted = decodeWanted(this.#parts, answer);
    assert.ok(wanted !== null, "the answer is one to the manifest");
    this.manifests += 1;
    this.held += this.#parts.length - wanted.length;
    // Another node saved an idle room at another time: whether that is older or newer is chance.
    for (let room = 1; room <= idleRooms; room++) {
      const again = this.staged.get(`r${room}`) === this.#sender && wanted.includes(`r${room}`);
      assert.not.ok(again, `r${room} is staged, and asked for again`);
    }
  }

  #look(): void {
    const { happened } = this.cluster;
    for (; this.#seen < happened.length; this.#seen++) {
      const one = happened[this.#seen];
      if (one?.type === "sent" || one?.node !== this.late) continue;
      const save = one.batch.groups.get(0);
      const isOfInstall = save?.reset === true || (save?.staged?.size ?? 0) > 0;
      if (!isOfInstall) continue;
      if (one.type === "saveBegan") this.#pass("a save begins");
      else {
        for (const [key, checkpoint] of save?.staged ?? []) {
          if (checkpoint === null) this.staged.delete(key);
          else this.staged.set(key, this.#sender);
        }
        if (save?.reset) this.staged.clear();
      }
    }
  }
}
