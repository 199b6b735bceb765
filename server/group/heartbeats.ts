import type { PeerMessage } from "../network/peer-message.ts";
import type { PeerPulse } from "./group-status.ts";
import type { Lead } from "./lead-digest.ts";

type Heartbeat = Extract<PeerMessage, { type: "heartbeat" }>;

/** What one node says, and has heard, over one link while it is up. */
interface Pulse {
  sequence: number;
  /** When each of the last heartbeats left, by sequence modulo their number. */
  readonly sentAtMs: Float64Array;
  digestSent: number;
  /** The first heartbeat over this link that carried `digestSent`. */
  digestSince: number;
  heard: {
    readonly sequence: number;
    readonly digest: number;
    readonly takesLeads: boolean;
    readonly atMs: number;
  } | null;
  roundTripMs: number | null;
  /** When the other one last said that it leads just what this node believes; null: not over this link. */
  agreedMs: number | null;
  /** When it last agreed with all that this node leads. */
  confirmedMs: number | null;
}

export interface HeartbeatsOptions {
  /** Of what this node leads. */
  readonly digest: () => number;
  /** Of what this node believes that the other leads. */
  readonly believedDigest: (nodeId: string) => number;
  /** The same, in full. */
  readonly leads: () => readonly Lead[];
  readonly believes: (nodeId: string) => readonly Lead[];
  /** This node may be given a lead now. */
  readonly takesLeads: () => boolean;
  readonly send: (nodeId: string, message: PeerMessage) => void;
  /** `nodeId` leads all that this node believes that it does. */
  readonly leaderAlive: (nodeId: string) => void;
  /** `nodeId` leads these, and this node agrees. */
  readonly leadsAlive: (nodeId: string, leads: readonly Lead[]) => void;
  /** `nodeId` agrees with all that this node leads. */
  readonly followerAlive: (nodeId: string) => void;
  /** `nodeId` does not lead what this node believes: nothing of it may be kept quiet by it. */
  readonly disbelieved: (nodeId: string) => void;
  /** `nodeId` has heard the present digest and does not agree: its groups must hear from their leader here. */
  readonly disagreed: (nodeId: string) => void;
}

const sentKept = 64;
const roundTripWeight = 1 / 8;

/**
 * One heartbeat per node pair and interval, whatever the number of groups (design 4.3). It says by a digest what the
 * sender leads; only where the receiver believes the very same does it count as a sign of life of a leader. So a node
 * that lives, but leads a group no longer, cannot keep that group quiet.
 */
export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  readonly #pulses = new Map<string, Pulse>();

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  linkUp(nodeId: string, nowMs: number): void {
    this.#pulses.set(nodeId, {
      sequence: 0,
      sentAtMs: new Float64Array(sentKept),
      digestSent: 0,
      digestSince: 0,
      heard: null,
      roundTripMs: null,
      agreedMs: null,
      confirmedMs: null,
    });
    this.beat(nodeId, nowMs);
  }

  linkDown(nodeId: string): void {
    this.#pulses.delete(nodeId);
  }

  isUp(nodeId: string): boolean {
    return this.#pulses.has(nodeId);
  }

  /** It said so last; false before it said anything over the present link. */
  takesLeads(nodeId: string): boolean {
    return this.#pulses.get(nodeId)?.heard?.takesLeads ?? false;
  }

  peers(): Iterable<string> {
    return this.#pulses.keys();
  }

  /** Smoothed; null before the first echo over the present link. */
  roundTripMs(nodeId: string): number | null {
    return this.#pulses.get(nodeId)?.roundTripMs ?? null;
  }

  pulses(): readonly PeerPulse[] {
    return [...this.peers()].map((node) => ({ node, roundTripMs: this.roundTripMs(node) }));
  }

  /** When it last said that it leads just what this node believes, if what it said last was that; else null. */
  agreedMs(nodeId: string): number | null {
    return this.#pulses.get(nodeId)?.agreedMs ?? null;
  }

  /** When it last agreed with all that this node leads, if nothing else was heard of it since; else null. */
  confirmedMs(nodeId: string): number | null {
    return this.#pulses.get(nodeId)?.confirmedMs ?? null;
  }

  beatAll(nowMs: number): void {
    for (const nodeId of this.#pulses.keys()) this.beat(nodeId, nowMs);
  }

  beat(nodeId: string, nowMs: number): void {
    const pulse = this.#pulses.get(nodeId);
    if (pulse === undefined) return;
    pulse.sequence += 1;
    pulse.sentAtMs[pulse.sequence % sentKept] = nowMs;
    const digest = this.#options.digest();
    if (digest !== pulse.digestSent || pulse.digestSince === 0) {
      pulse.digestSent = digest;
      pulse.digestSince = pulse.sequence;
    }
    const { heard } = pulse;
    const agrees = heard !== null && heard.digest === this.#options.believedDigest(nodeId);
    this.#options.send(nodeId, {
      type: "heartbeat",
      sequence: pulse.sequence,
      digest,
      confirms: agrees ? heard.digest : 0,
      takesLeads: this.#options.takesLeads(),
      echo: heard?.sequence ?? 0,
      echoDelayMs: heard === null ? 0 : Math.max(0, nowMs - heard.atMs),
    });
  }

  heard(nodeId: string, heartbeat: Heartbeat, nowMs: number): void {
    const pulse = this.#pulses.get(nodeId);
    if (pulse === undefined) return;
    const { sequence, digest, takesLeads } = heartbeat;
    pulse.heard = { sequence, digest, takesLeads, atMs: nowMs };
    this.#measure(pulse, heartbeat, nowMs);
    if (this.#options.believedDigest(nodeId) === heartbeat.digest) {
      pulse.agreedMs = nowMs;
      if (heartbeat.digest !== 0) this.#options.leaderAlive(nodeId);
    } else {
      this.#options.disbelieved(nodeId);
      pulse.agreedMs = null;
    }
    this.#confirmed(nodeId, pulse, heartbeat);
  }

  #confirmed(nodeId: string, pulse: Pulse, heartbeat: Heartbeat): void {
    const digest = this.#options.digest();
    // What was said last is no longer true, or nothing is led: there is nothing to confirm.
    if (digest === 0 || digest !== pulse.digestSent) return;
    if (heartbeat.confirms === digest) {
      pulse.confirmedMs = pulse.heard?.atMs ?? null;
      this.#options.followerAlive(nodeId);
      return;
    }
    // Only an answer to the present digest is a disagreement; one to an older digest just crossed it on the way.
    if (heartbeat.echo < pulse.digestSince) return;
    this.#options.disagreed(nodeId);
    pulse.confirmedMs = null;
    this.#options.send(nodeId, { type: "leads", groups: this.#options.leads() });
  }

  /** The other one says in full what it leads. What is agreed keeps its group quiet, the rest waits for its leader. */
  heardLeads(nodeId: string, leads: readonly Lead[]): void {
    const believed = new Map(this.#options.believes(nodeId).map((lead) => [lead.group, lead.term]));
    const agreed = leads.filter((lead) => believed.get(lead.group) === lead.term);
    if (agreed.length > 0) this.#options.leadsAlive(nodeId, agreed);
  }

  #measure(pulse: Pulse, heartbeat: Heartbeat, nowMs: number): void {
    const { echo, echoDelayMs } = heartbeat;
    if (echo === 0 || echo > pulse.sequence || pulse.sequence - echo >= sentKept) return;
    const sentAtMs = pulse.sentAtMs[echo % sentKept] ?? nowMs;
    const measuredMs = Math.max(0, nowMs - sentAtMs - echoDelayMs);
    const last = pulse.roundTripMs;
    pulse.roundTripMs = last === null ? measuredMs : last + (measuredMs - last) * roundTripWeight;
  }
}
