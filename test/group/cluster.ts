import * as assert from "uvu/assert";
import { GroupEngine } from "../../server/group/engine.ts";
import type { EngineOptions } from "../../server/group/engine-options.ts";
import type { GroupStatus } from "../../server/group/group-status.ts";
import type { Machine } from "../../server/group/machine.ts";
import type { Network } from "../../server/network/network.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import type { Member } from "../../server/raft/configuration.ts";
import type { Levels } from "../../server/raft/level.ts";
import { MemoryDisk, MemoryStorage } from "../../server/storage/memory-storage.ts";
import type { CheckpointRead, SaveBatch } from "../../server/storage/storage.ts";
import { CounterMachine, counterCommand } from "./counter-machine.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What a test's machine must tell, so that replicas can be compared. */
export type ComparableMachine = Machine & { readonly state: string };

export interface ClusterOptions<M extends ComparableMachine = CounterMachine> {
  /** By default a CounterMachine. */
  readonly machine?: () => M;
  readonly nodes?: number;
  /** How many of them, the first ones, the cluster was founded with; by default all. */
  readonly founders?: number;
  readonly groups?: number;
  readonly engine?: Partial<EngineOptions>;
  readonly saveMs?: number;
  readonly latencyMs?: number;
  readonly seed?: number;
  /** How much each node should lead; of those that are not named the others do not know. */
  readonly priorities?: Readonly<Record<string, number>>;
}

/** What happened, in order: saves begun and landed, and messages sent. */
export type Happening =
  | { readonly type: "saveBegan" | "saveLanded"; readonly node: string; readonly batch: SaveBatch }
  | { readonly type: "sent"; readonly from: string; readonly to: string; readonly message: PeerMessage };

export interface Node<M extends ComparableMachine = CounterMachine> {
  readonly id: string;
  readonly engine: GroupEngine;
  readonly machines: readonly M[];
  readonly storage: MemoryStorage;
  readonly logged: { readonly level: string; readonly facts: object; readonly message: string }[];
  readonly failures: unknown[];
  isAlive: boolean;
}

function xorshift(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Whole nodes' groups in one process, on a clock, disks and links that the test moves. */
export class Cluster<M extends ComparableMachine = CounterMachine> {
  readonly clock = new VirtualClock();
  readonly happened: Happening[] = [];
  readonly nodes = new Map<string, Node<M>>();
  /** Messages that it answers false for are lost. */
  passes: (from: string, to: string, message: PeerMessage) => boolean = () => true;
  /** Towards a node, as its peers see it. */
  readonly buffered = new Map<string, number>();
  /** Until then a node's event loop does not come to the engine. */
  readonly busyUntilMs = new Map<string, number>();
  saveMs: number;
  /** Saves of these nodes do not finish until it is taken out. */
  readonly stalled = new Map<string, (() => void)[]>();
  /** Nor do reads of these. */
  readonly stalledReads = new Map<string, (() => void)[]>();
  /** How often each has started. */
  readonly boots = new Map<string, number>();
  /** What a node's build knows at its next boot: levels 1 to this; 1 unless given. */
  readonly levelMax = new Map<string, number>();
  readonly #options: ClusterOptions<M>;
  readonly #disks = new Map<string, MemoryDisk>();
  readonly #cut = new Set<string>();
  /** Links by "from>to": each new link is another number, so that what was sent over the old one is lost. */
  readonly #links = new Map<string, number>();
  readonly #random: () => number;
  #linkCount = 0;

  constructor(options: ClusterOptions<M> = {}) {
    this.#options = options;
    this.#random = xorshift(options.seed ?? 1);
    this.saveMs = options.saveMs ?? 1;
  }

  get ids(): readonly string[] {
    return Array.from({ length: this.#options.nodes ?? 3 }, (_, position) => `n${position + 1}`);
  }

  async start(): Promise<this> {
    for (const id of this.ids) await this.boot(id);
    return this;
  }

  disk(id: string): MemoryDisk {
    let disk = this.#disks.get(id);
    if (disk === undefined) {
      disk = new MemoryDisk();
      this.#disks.set(id, disk);
    }
    return disk;
  }

  async boot(id: string, engineOptions: Partial<EngineOptions> = {}): Promise<Node<M>> {
    const storage = new MemoryStorage({
      disk: this.disk(id),
      nodeId: id,
      random: (bytes) => new Uint8Array(bytes).fill(id.charCodeAt(1)),
      complete: (done) => this.#complete(id, done),
      levels: this.#levels(id),
    });
    const { identity, groups: persisted } = await storage.open();
    this.boots.set(id, identity.bootCount);
    const groups = this.#options.groups ?? 1;
    const makeMachine = this.#options.machine ?? (() => new CounterMachine() as ComparableMachine as M);
    const machines = Array.from({ length: groups }, makeMachine);
    const founders = this.ids.slice(0, this.#options.founders ?? this.ids.length);
    const members = founders.map(memberOf);
    assert.is(identity.storeId, storeIdOf(id));
    const logged: Node<M>["logged"] = [];
    const failures: unknown[] = [];
    const log = (level: string) => (facts: object, message: string) =>
      void logged.push({ level, facts, message });
    const engine = new GroupEngine({
      self: { nodeId: id, storeId: identity.storeId },
      bootId: `${id}-${identity.bootCount}`,
      bootCount: identity.bootCount,
      founding: { clusterId: "c", members, addresses: [], groups, level: 1 },
      persisted,
      storage: this.#watched(id, storage),
      network: this.#network(id),
      machineFor: (group) => machines[group] as M,
      clock: this.clock.forNode(
        () => this.nodes.get(id)?.engine === engine && node.isAlive,
        () => this.busyUntilMs.get(id) ?? 0,
      ),
      random: this.#random,
      levels: this.#levels(id),
      leadPriority: (nodeId) => this.#options.priorities?.[nodeId] ?? (nodeId === id ? 50 : null),
      log: { info: log("info"), warn: log("warn"), error: log("error") },
      fail: ((error: unknown) => {
        failures.push(error);
        node.isAlive = false;
        this.#unlink(id);
      }) as (error: unknown) => never,
      options: { spreadLeaders: false, ...this.#options.engine, ...engineOptions },
    });
    const node: Node<M> = { id, engine, machines, storage, logged, failures, isAlive: true };
    this.nodes.set(id, node);
    engine.start();
    for (const other of this.nodes.values()) if (other.id !== id && other.isAlive) this.#link(id, other.id);
    return node;
  }

  #levels(id: string): Levels {
    return { min: 1, max: this.levelMax.get(id) ?? 1 };
  }

  #complete(id: string, done: () => void): void {
    this.clock.setTimer(() => {
      const waiting = this.stalled.get(id);
      if (waiting === undefined) done();
      else waiting.push(done);
    }, this.saveMs);
  }

  stall(id: string): void {
    this.stalled.set(id, []);
  }

  unstall(id: string): void {
    const waiting = this.stalled.get(id) ?? [];
    this.stalled.delete(id);
    for (const done of waiting) done();
  }

  stallReads(id: string): void {
    this.stalledReads.set(id, []);
  }

  unstallReads(id: string): void {
    const waiting = this.stalledReads.get(id) ?? [];
    this.stalledReads.delete(id);
    for (const read of waiting) read();
  }

  async #readable(id: string): Promise<void> {
    const waiting = this.stalledReads.get(id);
    if (waiting !== undefined) await new Promise<void>((resolve) => waiting.push(resolve));
  }

  #watched(id: string, storage: MemoryStorage) {
    return {
      open: () => storage.open(),
      listCheckpoints: (group: number) => storage.listCheckpoints(group),
      readCheckpoints: async (group: number, read: CheckpointRead) => {
        await this.#readable(id);
        return storage.readCheckpoints(group, read);
      },
      close: () => storage.close(),
      get saves() {
        return storage.saves;
      },
      save: async (batch: SaveBatch) => {
        this.happened.push({ type: "saveBegan", node: id, batch });
        await storage.save(batch);
        this.happened.push({ type: "saveLanded", node: id, batch });
      },
    };
  }

  // ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #network(from: string): Network {
    return {
      start: async () => undefined,
      close: async () => undefined,
      peers: () => [],
      bufferedBytes: (to) => this.buffered.get(to) ?? 0,
      send: (to, message) => {
        const link = this.#links.get(`${from}>${to}`);
        if (link === undefined) return;
        this.happened.push({ type: "sent", from, to, message });
        if (!this.passes(from, to, message)) return;
        this.clock.setTimer(() => {
          if (this.#links.get(`${from}>${to}`) === link) this.node(to).engine.message(from, message);
        }, this.#options.latencyMs ?? 1);
      },
    };
  }

  #link(a: string, b: string): void {
    if (this.#cut.has(`${a}>${b}`)) return;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      this.#links.set(`${from}>${to}`, ++this.#linkCount);
      this.node(from).engine.linkUp({
        nodeId: to,
        storeId: storeIdOf(to),
        bootId: to,
        clusterId: "c",
        levels: this.#levels(to),
        agreedLevel: 1,
      });
    }
  }

  #unlink(id: string): void {
    for (const other of this.nodes.values()) if (other.id !== id) this.#drop(id, other.id);
  }

  #drop(a: string, b: string): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      if (!this.#links.delete(`${from}>${to}`)) continue;
      if (this.node(from).isAlive) this.node(from).engine.linkDown(to);
    }
  }

  cut(a: string, b: string): void {
    this.#cut.add(`${a}>${b}`).add(`${b}>${a}`);
    this.#drop(a, b);
  }

  heal(a: string, b: string): void {
    this.#cut.delete(`${a}>${b}`);
    this.#cut.delete(`${b}>${a}`);
    if (this.node(a).isAlive && this.node(b).isAlive) this.#link(a, b);
  }

  isolate(id: string): void {
    for (const other of this.ids) if (other !== id) this.cut(id, other);
  }

  rejoin(id: string): void {
    for (const other of this.ids) if (other !== id) this.heal(id, other);
  }

  // ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────

  node(id: string): Node<M> {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  kill(id: string, { keepUnfinished = false } = {}): void {
    this.node(id).isAlive = false;
    this.disk(id).crash({ keepUnfinished });
    this.#unlink(id);
  }

  get alive(): readonly Node<M>[] {
    return [...this.nodes.values()].filter((node) => node.isAlive);
  }

  status(id: string, group = 0): GroupStatus {
    return this.node(id).engine.status()[group] as GroupStatus;
  }

  /** The node that leads in the highest term, once a majority follows it. */
  async leader(group = 0): Promise<Node<M>> {
    const find = () => {
      const statuses = this.alive.map((node) => ({
        node,
        status: node.engine.status()[group] as GroupStatus,
      }));
      const term = Math.max(...statuses.map(({ status }) => status.term));
      const found = statuses.find(({ status }) => status.role === "leader" && status.term === term);
      const followers = statuses.filter(
        ({ status }) => status.leader === found?.node.id && status.term === term,
      );
      return followers.length * 2 > this.ids.length ? (found?.node ?? null) : null;
    };
    assert.ok(await this.clock.until(() => find() !== null), "a leader is elected");
    return find() as Node<M>;
  }

  async follower(group = 0): Promise<Node<M>> {
    const leader = await this.leader(group);
    return this.alive.find((node) => node !== leader) as Node<M>;
  }

  add(
    id: string,
    { part = "a" as "a" | "b", add = 1, tag, group = 0, timeoutMs }: AddOptions = {},
  ): Promise<unknown> {
    const command = counterCommand(tag === undefined ? { part, add } : { part, add, tag });
    return this.node(id).engine.propose(group, command, timeoutMs === undefined ? {} : { timeoutMs });
  }

  /** Lets time pass until it is settled; its value. */
  async value<T>(promise: Promise<T>, maxMs = 10_000): Promise<T> {
    let settled = false;
    promise.then(
      () => (settled = true),
      () => (settled = true),
    );
    assert.ok(await this.clock.until(() => settled, maxMs), "an answer comes");
    return promise;
  }

  /** All live replicas have applied the same, and it is everything. */
  async converge(group = 0): Promise<void> {
    const isEven = () => {
      const statuses = this.alive.map((node) => node.engine.status()[group] as GroupStatus);
      const last = Math.max(...statuses.map((status) => status.lastIndex));
      return statuses.every((status) => status.appliedIndex === last);
    };
    assert.ok(await this.clock.until(isEven, 10_000), "replicas converge");
    const states = new Set(this.alive.map(({ machines }) => machines[group]?.state));
    assert.is(states.size, 1, `replicas are equal: ${[...states].join(" | ")}`);
  }

  async stop(): Promise<void> {
    for (const node of this.alive) {
      const stopped = node.engine.stop();
      await this.clock.run(this.saveMs + 1);
      await stopped;
      assert.equal(node.failures, [], `${node.id} has not failed`);
    }
  }
}

interface AddOptions {
  part?: "a" | "b";
  add?: number;
  tag?: string;
  group?: number;
  timeoutMs?: number;
}

export function memberOf(nodeId: string): Member {
  return { nodeId, storeId: storeIdOf(nodeId) };
}

function storeIdOf(nodeId: string): string {
  return Buffer.from(new Uint8Array(8).fill(nodeId.charCodeAt(1))).toString("hex");
}
