import assert from "node:assert";
import type { Configuration, Member } from "../../server/raft/configuration.ts";
import type { Base, Entry } from "../../server/raft/entry.ts";
import type { ChangeResult } from "../../server/raft/member-change.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import { members, sameMember } from "../../server/raft/quorum.ts";
import { Raft } from "../../server/raft/raft.ts";
import type { RaftOptions } from "../../server/raft/raft-options.ts";
import type { Now, RaftEvent, Ready } from "../../server/raft/ready.ts";
import { MissingLaws } from "./missing-laws.ts";
import { RaftLaws } from "./raft-laws.ts";
import { RaftNode } from "./raft-node.ts";
import { seededRandom } from "./seeded-random.ts";

export interface Packet {
  readonly from: string;
  readonly to: string;
  readonly message: RaftMessage;
}

const chunkBytes = 64;

export interface ClusterOptions extends Partial<RaftOptions> {
  readonly voters?: readonly string[];
  readonly learners?: readonly string[];
  readonly seed?: number;
}

const answerTo = (chunk: number) => `answer to chunk ${chunk}`;
const bytesOf = (text: string) => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Several replicas, message by message: nothing happens but what a test makes happen. */
export class RaftCluster {
  readonly nodes: Map<string, RaftNode>;
  /** The first one. */
  readonly configuration: Configuration;
  readonly laws: RaftLaws;
  readonly missing = new MissingLaws();
  readonly random: () => number;
  packets: Packet[] = [];
  /** "a>b": nothing gets from a to b. */
  readonly cuts = new Set<string>();
  /** What these drive could not go on: they refuse leads. */
  readonly unfit = new Set<string>();
  nowMs = 0;
  wallMs = 1_000_000;
  /** Also those that were lost. */
  readonly #disks: RaftNode[];
  /** How fast a node's monotonic clock runs; 1 unless given. */
  readonly clockRates = new Map<string, number>();
  /** What a node's build knows at its next start: levels 1 to this; 1 unless given. */
  readonly levelMax = new Map<string, number>();
  #options: Partial<RaftOptions>;

  constructor({ voters = ["a", "b", "c"], learners = [], seed = 1, ...options }: ClusterOptions = {}) {
    const member = (nodeId: string): Member => ({ nodeId, storeId: `${nodeId}-disk` });
    this.configuration = {
      voters: voters.map(member),
      votersOutgoing: [],
      learners: learners.map(member),
      nextVoters: [],
      addresses: [],
      level: 1,
    };
    this.random = seededRandom(seed);
    this.#options = options;
    const all = [...this.configuration.voters, ...this.configuration.learners];
    this.nodes = new Map(all.map((self) => [self.nodeId, new RaftNode(self, this.configuration)]));
    this.#disks = [...this.nodes.values()];
    this.laws = new RaftLaws(this.#disks);
    for (const id of this.nodes.keys()) this.start(id);
  }

  /** A node that is nobody's member yet; in the place of one with the same id, whose disk is lost. */
  add(id: string, storeId = `${id}-disk`): void {
    if (this.nodes.has(id)) this.crash(id);
    const node = new RaftNode({ nodeId: id, storeId }, this.configuration);
    this.nodes.set(id, node);
    this.#disks.push(node);
    this.start(id);
  }

  /** To these voters and learners, as their nodes are now. */
  changeMembers(at: string, voters: readonly string[], learners: readonly string[] = []): ChangeResult {
    const selves = (ids: readonly string[]) => ids.map((id) => this.node(id).self);
    const wish = { voters: selves(voters), learners: selves(learners), addresses: [] };
    const result = this.raft(at).changeMembers(wish, this.now);
    this.drain(at);
    return result;
  }

  get now(): Now {
    return { monotonicMs: this.nowMs, wallMs: this.wallMs };
  }

  /** By the node's own clock. */
  nowOf(id: string): Now {
    return { monotonicMs: this.nowMs * (this.clockRates.get(id) ?? 1), wallMs: this.wallMs };
  }

  node(id: string): RaftNode {
    const node = this.nodes.get(id);
    assert(node !== undefined, `no node ${id}`);
    return node;
  }

  raft(id: string): Raft {
    return this.node(id).up;
  }

  start(id: string): void {
    const node = this.node(id);
    node.applied = [...node.disk.applied];
    node.raft = new Raft(
      { self: node.self, random: this.random, levels: { min: 1, max: this.#levelOf(id) }, ...this.#options },
      node.persisted,
      this.nowOf(id),
    );
    this.drain(id);
    for (const other of this.nodes.values()) {
      if (other === node || other.raft === null) continue;
      this.linkUp(id, other.id);
    }
  }

  /** What is not on the disk is gone. Its links close unless `silent`. */
  crash(id: string, { silent = false }: { silent?: boolean } = {}): void {
    const node = this.node(id);
    node.raft = null;
    node.writes = [];
    node.pinned.clear();
    node.staged = [];
    node.reads = [];
    this.laws.readsEnded(node);
    this.packets = this.packets.filter(({ from, to }) => from !== id && to !== id);
    if (silent) return;
    for (const other of this.nodes.values())
      if (other.raft !== null) this.step(other.id, { type: "linkDown", nodeId: id });
  }

  linkUp(a: string, b: string): void {
    for (const [here, there] of [
      [a, b],
      [b, a],
    ] as const) {
      const linked = { storeId: this.node(there).self.storeId, levelMax: this.#levelOf(there) };
      this.step(here, { type: "linkUp", nodeId: there, linked });
    }
  }

  #levelOf(id: string): number {
    return this.levelMax.get(id) ?? 1;
  }

  linkDown(a: string, b: string): void {
    this.packets = this.packets.filter(
      ({ from, to }) => !(from === a && to === b) && !(from === b && to === a),
    );
    this.step(a, { type: "linkDown", nodeId: b });
    this.step(b, { type: "linkDown", nodeId: a });
  }

  /** Both ways, in silence. */
  cut(a: string, b: string): void {
    this.cuts.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  isolate(id: string): void {
    for (const other of this.nodes.keys()) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.cuts.clear();
  }

  step(id: string, event: RaftEvent): void {
    const { raft } = this.node(id);
    if (raft === null) return;
    raft.step(event, this.nowOf(id));
    this.drain(id);
  }

  /** A test speaks for `from`. */
  receive(to: string, from: string, message: RaftMessage): void {
    if (message.type === "appendEntries") this.laws.vouch(message.commitIndex);
    this.step(to, { type: "message", from, message });
  }

  /** Ticks one node only, every 10 ms. */
  tickFor(id: string, ms: number): void {
    for (let passedMs = 0; passedMs < ms; passedMs += 10) {
      this.nowMs += 10;
      this.step(id, { type: "tick" });
    }
  }

  /** Of what is under way. */
  sent(type: RaftMessage["type"]): Packet[] {
    return this.packets.filter((packet) => packet.message.type === type);
  }

  propose(id: string, ...commands: string[]) {
    const result = this.raft(id).propose(commands.map(bytesOf), this.nowOf(id));
    this.drain(id);
    return result;
  }

  /** Begins a linearizable read; its answer must see all that was ever applied anywhere by now. */
  read(id: string): number {
    const ticket = this.raft(id).read(this.nowOf(id));
    this.laws.readBegan(this.node(id), ticket);
    this.drain(id);
    return ticket;
  }

  /** What the leader's lease answers just now, which must be as true as if a quorum had been asked. */
  leaseRead(id: string): number | null {
    const index = this.raft(id).leaseIndex(this.nowOf(id));
    this.laws.leaseAnswered(id, index);
    this.drain(id);
    return index;
  }

  /** The index that the node's read was answered with. */
  readAnswer(id: string, ticket: number): number | null {
    return this.node(id).reads.find((read) => read.ticket >= ticket)?.index ?? null;
  }

  /** As a leader does whose link to a node is down: it is told nothing new before it gets word of that with the rest. */
  sayMissing(leaderId: string, nodeId: string): void {
    const leader = this.node(leaderId);
    if (leader.raft?.role !== "leader" || nodeId === leaderId) return;
    const { told, term } = leader.up;
    const result = leader.up.propose([bytesOf(`${nodeId} is missing`)], this.nowOf(leaderId));
    if (result.type === "appended") {
      const { raft } = this.node(nodeId);
      const atMost = told.atMost(nodeId);
      told.holdBack(nodeId);
      this.missing.said({ nodeId, raft, by: leader.up, term, atMost, index: result.lastIndex });
    }
    this.drain(leaderId);
  }

  // ── carrying Readys out ──────────────────────────────────────────────────────────────────────────────────────────

  drain(id: string): void {
    const node = this.node(id);
    if (node.raft === null) return;
    this.laws.observe(node);
    for (let ready = node.up.ready(); ready !== null; ready = node.up.ready()) this.#carryOut(node, ready);
    this.laws.observe(node);
    for (const leader of this.leaders()) this.missing.observe(leader, this.nodes.values());
    if (node.raft?.role === "leader") this.missing.letOn(node);
  }

  #carryOut(node: RaftNode, ready: Ready): void {
    node.readys.push(ready);
    for (const { to, message } of ready.messages) {
      if (message.type === "appendEntries") this.laws.appended(message.entries);
      this.packets.push({ from: node.id, to, message });
    }
    if (ready.hardState !== null || ready.entries.length > 0) {
      const afterSave = [...ready.messagesAfterSave];
      node.writes.push({
        hardState: ready.hardState,
        entries: ready.entries,
        afterSave,
        base: null,
        swap: null,
      });
    } else {
      // Nothing to save with it: the earliest that the contract allows.
      for (const { to, message } of ready.messagesAfterSave)
        this.packets.push({ from: node.id, to, message });
    }
    this.missing.handedOut(node, ready.committed);
    for (const entry of ready.committed) {
      node.applied.push(entry);
      this.laws.committed(node, entry);
    }
    for (const read of ready.reads) {
      node.reads.push(read);
      this.laws.readAnswered(node, read);
    }
    for (const wanted of ready.chunksWanted) this.#readChunk(node, wanted);
    for (const snapshotId of ready.snapshotsEnded) node.pinned.delete(snapshotId);
    for (const received of ready.chunksReceived) this.#stage(node, received);
  }

  #readChunk(node: RaftNode, { to, snapshotId, chunk, answer }: Ready["chunksWanted"][number]): void {
    assert.equal(textOf(answer), chunk === 0 ? "" : answerTo(chunk - 1), "what was said to the chunk before");
    const last = node.applied.at(-1);
    if (chunk === 0 && last !== undefined && !node.pinned.has(snapshotId)) {
      const base = this.baseAt(node, last.index);
      const plain = node.applied.map((entry) => ({ ...entry, data: textOf(entry.data) }));
      node.pinned.set(snapshotId, { base, bytes: bytesOf(JSON.stringify(plain)) });
    }
    const pinned = node.pinned.get(snapshotId);
    if (pinned === undefined) {
      node.up.step({ type: "snapshotFailed", to, snapshotId }, this.nowOf(node.id));
      return;
    }
    const bytes = pinned.bytes.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
    const isLast = (chunk + 1) * chunkBytes >= pinned.bytes.length;
    node.up.step(
      { type: "snapshotChunk", to, snapshotId, base: pinned.base, chunk, bytes, last: isLast },
      this.nowOf(node.id),
    );
  }

  #stage(node: RaftNode, received: Ready["chunksReceived"][number]): void {
    const { from, snapshotId, base, chunk, bytes, last } = received;
    if (chunk === 0) node.staged = [];
    node.staged.push(bytes);
    const answer = bytesOf(answerTo(chunk));
    const stored = { type: "chunkStored", from, snapshotId, chunk, base, answer } as const;
    if (!last) {
      node.up.step({ ...stored, status: "received" }, this.nowOf(node.id));
      return;
    }
    const plain = JSON.parse(textOf(Buffer.concat(node.staged))) as (Omit<Entry, "data"> & {
      data: string;
    })[];
    const applied = plain.map((entry) => ({ ...entry, data: bytesOf(entry.data) }));
    const event = { ...stored, status: "installed" } as const;
    node.writes.push({
      hardState: null,
      entries: [],
      afterSave: [],
      base: null,
      swap: { event, base, applied },
    });
  }

  baseAt(node: RaftNode, index: number): Base {
    const entry = node.applied.find((one) => one.index === index);
    assert(entry !== undefined, `${node.id} has not applied ${index}`);
    const { term, logTimeMs, wallTimeMs } = entry;
    return { index, term, logTimeMs, wallTimeMs, configuration: node.up.configurationAt(index) };
  }

  /** The oldest write lands on the disk. */
  completeWrite(id: string): boolean {
    const node = this.node(id);
    const write = node.writes.shift();
    if (write === undefined || node.raft === null) return false;
    const { hardState, entries, base, swap, afterSave } = write;
    const first = entries[0];
    this.laws.appended(entries);
    if (hardState !== null) node.disk.hardState = hardState;
    if (first !== undefined) {
      const kept = node.disk.entries.filter((entry) => entry.index < first.index);
      assert.equal((kept.at(-1) ?? node.disk.base).index, first.index - 1, "the disk's log is contiguous");
      node.disk.entries = [...kept, ...entries];
    }
    if (base !== null && base.index > node.disk.base.index) {
      node.disk.base = base;
      node.disk.entries = node.disk.entries.filter((entry) => entry.index > base.index);
      node.disk.applied = node.applied.filter((entry) => entry.index <= base.index);
    }
    if (swap !== null) {
      node.disk = { hardState: node.disk.hardState, base: swap.base, entries: [], applied: swap.applied };
      node.applied = [...swap.applied];
      node.installs += 1;
      this.step(id, swap.event);
    }
    for (const { to, message } of afterSave) this.packets.push({ from: id, to, message });
    const last = entries.at(-1);
    if (last !== undefined) this.step(id, { type: "saved", term: last.term, index: last.index });
    if (base !== null) this.step(id, { type: "compacted", base });
    return true;
  }

  /** Cuts the log behind what is applied, but for the last `keep` entries. */
  compact(id: string, keep = 0): void {
    const node = this.node(id);
    const entry = node.applied.at(-1 - keep);
    if (entry === undefined || entry.index <= node.disk.base.index) return;
    if (node.writes.some((write) => write.swap !== null)) return;
    const base = this.baseAt(node, entry.index);
    node.writes.push({ hardState: null, entries: [], afterSave: [], base, swap: null });
  }

  deliver(packet: Packet): void {
    const { from, to, message } = packet;
    if (this.cuts.has(`${from}>${to}`)) return;
    if (message.type === "timeoutNow" && this.unfit.has(to))
      this.step(to, { type: "refuseLead", from, term: message.term });
    else this.step(to, { type: "message", from, message });
  }

  /** Until nothing moves: writes land, packets arrive, in order. Returns what was delivered. */
  settle({ writes = true }: { writes?: boolean } = {}): Packet[] {
    const delivered: Packet[] = [];
    for (let round = 0; round < 10_000; round += 1) {
      const packets = this.packets.splice(0);
      for (const packet of packets) this.deliver(packet);
      delivered.push(...packets);
      let wrote = false;
      if (writes) for (const id of this.nodes.keys()) wrote = this.completeWrite(id) || wrote;
      if (packets.length === 0 && !wrote) return delivered;
    }
    assert.fail("it never settles");
  }

  /** What the group layer's heartbeats would report, where links let them; who is no member hears none. */
  heartbeats(): void {
    for (const leader of this.nodes.values()) {
      if (leader.raft?.role !== "leader") continue;
      const { term } = leader.raft;
      for (const other of this.nodes.values()) {
        if (other === leader || other.raft === null) continue;
        if (!members(leader.up.configuration).some((one) => sameMember(one, other.self))) continue;
        if (this.cuts.has(`${leader.id}>${other.id}`) || other.raft.term !== term) continue;
        this.step(other.id, { type: "leaderAlive", nodeId: leader.id, term });
        if (this.cuts.has(`${other.id}>${leader.id}`)) continue;
        this.step(leader.id, { type: "followerAlive", nodeId: other.id, term });
      }
    }
  }

  /** Lets time pass, 10 ms at a time. */
  run(ms: number): void {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs += 10;
      this.wallMs += 10;
      this.settle();
      this.heartbeats();
      for (const id of this.nodes.keys()) this.step(id, { type: "tick" });
      this.settle();
    }
  }

  leaders(): readonly RaftNode[] {
    return [...this.nodes.values()].filter((node) => node.raft?.role === "leader");
  }

  /** The leader of the highest term, once it has committed in it. */
  elect(id?: string): string {
    for (let round = 0; round < 500; round += 1) {
      const leader = this.leaders().toSorted((x, y) => y.up.term - x.up.term)[0];
      if (leader !== undefined && (id === undefined || leader.id === id)) {
        this.run(20);
        if (leader.raft?.role === "leader") return leader.id;
      } else if (leader !== undefined && id !== undefined) {
        this.step(leader.id, { type: "transferLeader", to: id });
        this.run(20);
      } else this.run(10);
    }
    assert.fail("nobody is elected");
  }

  followersOf(id: string): string[] {
    return [...this.nodes.keys()].filter((other) => other !== id);
  }

  commandsApplied(id: string): string[] {
    return this.node(id)
      .applied.filter((entry) => entry.type === "command")
      .map((entry) => textOf(entry.data));
  }
}
