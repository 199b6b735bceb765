import type { NodeNetwork } from "../../server/cluster/node-parts.ts";
import { ByteWriter } from "../../server/network/byte-writer.ts";
import { decodeMessage, writeMessage } from "../../server/network/codec.ts";
import { codecLimits } from "../../server/network/codec-limits.ts";
import { levelRefusal } from "../../server/network/level-refusal.ts";
import type { NetworkHandlers, PeerIdentity } from "../../server/network/network.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { Told } from "./level-laws.ts";
import type { Owner, Schedule } from "./schedule.ts";
import type { Trace } from "./trace.ts";

/** A process that has a network. */
export interface Host extends Owner {
  readonly nodeId: string;
}

/** By "group term"; null: nothing is said of them. */
export type Leads = ReadonlySet<string> | null;

interface Letter {
  readonly bytes: Uint8Array;
  readonly leads: Leads;
}

interface End {
  readonly host: Host;
  readonly adapter: Adapter;
  /** `opening`: its linkUp is on its way. */
  state: "opening" | "up" | "closed";
  /** When what was sent last from here arrives: a link keeps its order. */
  lastArrivalMs: number;
  bytesUnderWay: number;
  /** Sent into a cut: arrives when it heals, if the link lives so long. */
  stuck: Letter[];
}

interface Link {
  readonly ends: Readonly<Record<string, End>>;
  readonly ids: readonly [string, string];
}

export interface SimNetworkParts {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
  /** A message leaves a node. */
  readonly sent: (from: string, to: Host, message: PeerMessage) => void;
  /** What is told of a message when it arrives: the leads that its sender has as it leaves, if it is a heartbeat. */
  readonly leads: (from: string, message: PeerMessage) => Leads;
  /** A message has come to a node. */
  readonly arrived: (from: string, to: string, leads: Leads) => void;
}

const stuckMessagesMax = 2_000;

/** All links between the simulated nodes: each keeps its order, loses, doubles, delays, breaks and is built again. */
export class SimNetwork {
  readonly #parts: SimNetworkParts;
  readonly #adapters = new Map<string, Adapter>();
  readonly #links = new Map<string, Link>();
  /** "from>to" */
  readonly #cuts = new Set<string>();
  /** By direction: so much longer everything takes. */
  readonly #lagMs = new Map<string, number>();
  readonly #dialing = new Set<string>();
  /** By pair: the mean time that a message takes. */
  readonly #latencyMs = new Map<string, number>();
  readonly #writer = new ByteWriter(codecLimits.frameBytesMax);
  loss = 0;
  doubling = 0;
  extraDelayMs = 0;

  constructor(parts: SimNetworkParts) {
    this.#parts = parts;
  }

  /** @param peers whom it begins with */
  attach(host: Host, identity: PeerIdentity, peers: readonly string[]): NodeNetwork {
    return new Adapter(this, host, { identity, peers });
  }

  // ── for the adapters ─────────────────────────────────────────────────────────────────────────────────────────────

  started(adapter: Adapter): void {
    this.#adapters.set(adapter.nodeId, adapter);
    this.dialAll(adapter);
  }

  /** Nodes of which neither knows the other are not linked. */
  dialAll(adapter: Adapter): void {
    if (this.#adapters.get(adapter.nodeId) !== adapter) return;
    for (const other of this.#adapters.keys())
      if (other !== adapter.nodeId) this.#dialSoon(adapter.nodeId, other, 5);
  }

  stopped(adapter: Adapter): void {
    if (this.#adapters.get(adapter.nodeId) !== adapter) return;
    this.#adapters.delete(adapter.nodeId);
    for (const link of this.#linksOf(adapter.nodeId))
      this.#otherEnds(link, adapter.nodeId, this.#parts.chance.between(0.2, 3));
  }

  /** Who does not know what is agreed on now is linked no longer. */
  levelRose(adapter: Adapter): void {
    for (const { ids, ends } of this.#linksOf(adapter.nodeId)) {
      const [one, other] = ids;
      const refusal = refusalOf((ends[one] as End).adapter.identity, (ends[other] as End).adapter.identity);
      if (refusal === null) continue;
      this.dropLink(one, other);
    }
  }

  linkTo(adapter: Adapter, nodeId: string): End | null {
    const link = this.#links.get(pairOf(adapter.nodeId, nodeId));
    const end = link?.ends[adapter.nodeId];
    return end !== undefined && end.adapter === adapter ? end : null;
  }

  send(from: string, to: string, message: PeerMessage): void {
    const link = this.#links.get(pairOf(from, to));
    const end = link?.ends[from];
    if (link === undefined || end?.state !== "up") return;
    this.#parts.sent(from, (link.ends[to] as End).host, message);
    const { chance, coverage } = this.#parts;
    if (chance.hits(this.loss)) {
      coverage.hit("messagesLost");
      return;
    }
    writeMessage(this.#writer, message);
    const bytes = this.#writer.take();
    const letter = { bytes, leads: this.#parts.leads(from, message) };
    if (this.#cuts.has(`${from}>${to}`)) {
      if (end.stuck.length < stuckMessagesMax) {
        end.stuck.push(letter);
        end.bytesUnderWay += bytes.length;
      }
      return;
    }
    this.#carry(link, from, to, letter);
    if (chance.hits(this.doubling)) {
      coverage.hit("messagesDoubled");
      this.#carry(link, from, to, letter);
    }
  }

  #carry(link: Link, from: string, to: string, { bytes, leads }: Letter): void {
    const { schedule, chance } = this.#parts;
    const here = link.ends[from] as End;
    const there = link.ends[to] as End;
    const lagMs = this.#lagMs.get(`${from}>${to}`) ?? 0;
    const arrivalMs =
      schedule.nowMs + 0.1 + lagMs + chance.wait(this.#latency(from, to)) + chance.wait(this.extraDelayMs);
    here.lastArrivalMs = Math.max(here.lastArrivalMs, arrivalMs);
    here.bytesUnderWay += bytes.length;
    schedule.at(here.lastArrivalMs, there.host, () => {
      here.bytesUnderWay -= bytes.length;
      if (there.state !== "up") return;
      this.#parts.arrived(from, to, leads);
      there.adapter.handlers?.message(from, decodeMessage(Uint8Array.from(bytes)));
    });
  }

  #latency(one: string, other: string): number {
    const pair = pairOf(one, other);
    let latency = this.#latencyMs.get(pair);
    if (latency === undefined) {
      latency = this.#parts.chance.between(0.2, 6);
      this.#latencyMs.set(pair, latency);
    }
    return latency;
  }

  // ── links come and go ────────────────────────────────────────────────────────────────────────────────────────────

  #dialSoon(one: string, other: string, meanMs: number): void {
    const pair = pairOf(one, other);
    if (this.#dialing.has(pair)) return;
    this.#dialing.add(pair);
    this.#parts.schedule.in(1 + this.#parts.chance.wait(meanMs), null, () => {
      this.#dialing.delete(pair);
      this.#dial(one, other);
    });
  }

  #dial(one: string, other: string): void {
    const dialer = this.#adapters.get(one);
    const acceptor = this.#adapters.get(other);
    const pair = pairOf(one, other);
    if (dialer === undefined || acceptor === undefined || this.#links.has(pair)) return;
    if (!dialer.knows(other) && !acceptor.knows(one)) return;
    const isCut = this.#cuts.has(`${one}>${other}`) || this.#cuts.has(`${other}>${one}`);
    if (isCut || dialer.host.isPaused || acceptor.host.isPaused) return this.#dialSoon(one, other, 100);
    const refusal = refusalOf(dialer.identity, acceptor.identity);
    if (refusal !== null) {
      this.#parts.coverage.hit("linksRefused");
      this.#parts.trace.note(`${one} and ${other} are not linked: ${refusal}`);
      return this.#dialSoon(one, other, 100);
    }
    const { schedule, chance } = this.#parts;
    const make = (adapter: Adapter): End => {
      const { host } = adapter;
      return { host, adapter, state: "opening", lastArrivalMs: 0, bytesUnderWay: 0, stuck: [] };
    };
    const link: Link = { ends: { [one]: make(dialer), [other]: make(acceptor) }, ids: [one, other] };
    this.#links.set(pair, link);
    for (const [here, there] of [
      [one, other],
      [other, one],
    ] as const) {
      const upMs = schedule.nowMs + 1 + chance.wait(this.#latency(one, other));
      const { identity } = (link.ends[there] as End).adapter;
      (link.ends[there] as End).lastArrivalMs = upMs;
      const end = link.ends[here] as End;
      schedule.at(upMs, end.host, () => {
        if (end.state !== "opening") return;
        end.state = "up";
        this.#parts.trace.note(`${here} linkUp ${there}`);
        end.adapter.told.set(there, { peer: identity, downMs: null });
        end.adapter.handlers?.linkUp(identity);
      });
    }
  }

  #linksOf(nodeId: string): Link[] {
    return [...this.#links.values()].filter(({ ids }) => ids.includes(nodeId));
  }

  /** `nodeId` has closed its end of the link, or is gone: the other end hears of it later. */
  #otherEnds(link: Link, nodeId: string, afterMs: number): void {
    (link.ends[nodeId] as End).state = "closed";
    const other = link.ids[0] === nodeId ? link.ids[1] : link.ids[0];
    this.#closeEnd(link, other, afterMs);
    this.#forgetIfClosed(link);
  }

  #closeEnd(link: Link, nodeId: string, afterMs: number): void {
    const end = link.ends[nodeId] as End;
    const other = link.ids[0] === nodeId ? link.ids[1] : link.ids[0];
    // Behind what is under way already, or before it: a reset may overtake nothing, and may drop what it meets.
    const { schedule, chance } = this.#parts;
    const isOrderly = chance.hits(0.5);
    const atMs = Math.max(schedule.nowMs + afterMs, isOrderly ? (link.ends[other] as End).lastArrivalMs : 0);
    schedule.at(atMs, end.host, () => {
      const wasUp = end.state === "up";
      end.state = "closed";
      if (wasUp) {
        this.#parts.trace.note(`${nodeId} linkDown ${other}`);
        const told = end.adapter.told.get(other);
        if (told !== undefined) end.adapter.told.set(other, { ...told, downMs: schedule.nowMs });
        end.adapter.handlers?.linkDown(other, "CLOSED");
      }
      this.#forgetIfClosed(link);
    });
  }

  #forgetIfClosed(link: Link): void {
    const [one, other] = link.ids;
    const isOver = link.ids.every((id) => {
      const end = link.ends[id] as End;
      return end.state === "closed" || !end.host.isAlive;
    });
    if (!isOver || this.#links.get(pairOf(one, other)) !== link) return;
    this.#links.delete(pairOf(one, other));
    this.#dialSoon(one, other, 50);
  }

  /** What the node's process was told of a peer last. */
  toldOf(nodeId: string, peerId: string): Told | null {
    return this.#adapters.get(nodeId)?.told.get(peerId) ?? null;
  }

  /** As both of them see it. */
  isUp(one: string, other: string): boolean {
    const link = this.#links.get(pairOf(one, other));
    return link?.ids.every((id) => link.ends[id]?.state === "up") ?? false;
  }

  /** The link between the two breaks; both ends notice by and by. */
  dropLink(one: string, other: string): void {
    const link = this.#links.get(pairOf(one, other));
    if (link === undefined) return;
    for (const id of link.ids) this.#closeEnd(link, id, this.#parts.chance.wait(5));
  }

  /** A process ended: its peers see its sockets reset, or (a machine that lost its power) hear nothing more. */
  crashed(nodeId: string, isSilent: boolean): void {
    const { chance } = this.#parts;
    this.#adapters.delete(nodeId);
    for (const link of this.#linksOf(nodeId)) {
      this.#otherEnds(link, nodeId, isSilent ? chance.between(300, 1_000) : chance.wait(2));
    }
  }

  // ── cuts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Nothing comes through from `from` to `to` any more; a link that stays silent ends. */
  cut(from: string, to: string): void {
    const { schedule, chance } = this.#parts;
    const direction = `${from}>${to}`;
    this.#cuts.add(direction);
    const link = this.#links.get(pairOf(from, to));
    if (link === undefined) return;
    schedule.in(chance.between(300, 1_000), null, () => {
      const isStill = this.#cuts.has(direction) && this.#links.get(pairOf(from, to)) === link;
      if (!isStill) return;
      // Who hears nothing closes; whether the other one hears of that depends on the way back.
      this.#closeEnd(link, to, 0);
      this.#closeEnd(link, from, this.#cuts.has(`${to}>${from}`) ? chance.between(0, 700) : chance.wait(3));
    });
  }

  heal(from: string, to: string): void {
    if (!this.#cuts.delete(`${from}>${to}`)) return;
    const link = this.#links.get(pairOf(from, to));
    const end = link?.ends[from];
    if (link === undefined || end === undefined) return;
    for (const letter of end.stuck.splice(0)) {
      end.bytesUnderWay -= letter.bytes.length;
      this.#carry(link, from, to, letter);
    }
  }

  /** Everything from `from` to `to` comes so much later, until further notice; 0: no more. */
  lag(from: string, to: string, ms: number): void {
    if (ms === 0) this.#lagMs.delete(`${from}>${to}`);
    else this.#lagMs.set(`${from}>${to}`, ms);
  }

  healAll(): void {
    this.#lagMs.clear();
    for (const direction of [...this.#cuts]) {
      const [from, to] = direction.split(">") as [string, string];
      this.heal(from, to);
    }
    this.loss = 0;
    this.doubling = 0;
    this.extraDelayMs = 0;
  }

  get ids(): readonly string[] {
    return [...this.#adapters.keys()];
  }
}

class Adapter implements NodeNetwork {
  readonly host: Host;
  handlers: NetworkHandlers | null = null;
  /** By peer. */
  readonly told = new Map<string, Told>();
  readonly #network: SimNetwork;
  #identity: PeerIdentity;
  #peers: ReadonlySet<string>;

  constructor(
    network: SimNetwork,
    host: Host,
    { identity, peers }: { identity: PeerIdentity; peers: readonly string[] },
  ) {
    this.#network = network;
    this.host = host;
    this.#identity = identity;
    this.#peers = new Set(peers);
  }

  knows(nodeId: string): boolean {
    return this.#peers.has(nodeId);
  }

  get nodeId(): string {
    return this.host.nodeId;
  }

  get identity(): PeerIdentity {
    return this.#identity;
  }

  async start(handlers: NetworkHandlers): Promise<void> {
    this.handlers = handlers;
    this.#network.started(this);
  }

  setClusterId(clusterId: string): void {
    this.#identity = { ...this.#identity, clusterId };
  }

  setAgreedLevel(agreedLevel: number): void {
    this.#identity = { ...this.#identity, agreedLevel };
    this.#network.levelRose(this);
  }

  setPeers(peers: ReadonlyMap<string, string | null>): void {
    this.#peers = new Set(peers.keys());
    this.#network.dialAll(this);
  }

  send(nodeId: string, message: PeerMessage): void {
    if (this.#network.linkTo(this, nodeId) !== null) this.#network.send(this.nodeId, nodeId, message);
  }

  bufferedBytes(nodeId: string): number {
    return this.#network.linkTo(this, nodeId)?.bytesUnderWay ?? 0;
  }

  peers(): ReturnType<NodeNetwork["peers"]> {
    const others = this.#network.ids.filter((id) => id !== this.nodeId);
    return others.map((nodeId) => ({
      nodeId,
      state: this.#network.linkTo(this, nodeId)?.state === "up" ? "up" : "down",
    }));
  }

  async close(): Promise<void> {
    this.#network.stopped(this);
    this.handlers = null;
  }
}

function refusalOf(one: PeerIdentity, other: PeerIdentity): string | null {
  return levelRefusal(one, other) ?? levelRefusal(other, one);
}

function pairOf(one: string, other: string): string {
  return one < other ? `${one}|${other}` : `${other}|${one}`;
}
