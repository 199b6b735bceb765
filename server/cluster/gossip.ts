import assert from "node:assert/strict";
import { z } from "zod";
import type { LinkedProcess } from "../network/network.ts";
import type { PeerMessage } from "../network/peer-message.ts";
import type { Clock } from "./clock.ts";
import { GossipTable } from "./gossip-table.ts";
import type { Log } from "./log.ts";

export const gossipDefaults = Object.freeze({
  bodyBytesMax: 256 * 1024,
  /** Told again so often: a link may lose a message, and before the groups run nothing else shows that it lives. */
  repeatMs: 300,
});

const bodySchema = z.looseObject({
  node: z.string(),
  bootId: z.string(),
  region: z.string(),
  /** How much it should lead (see lead-rank). */
  leadRank: z.number().int().nonnegative(),
  clientUrl: z.string(),
  pid: z.number().int(),
  /** Wall clock, ms. */
  startedAtMs: z.number(),
});

/** What is not the founding's, the members' or the groups'. */
export type GossipMessage = Extract<PeerMessage, { type: "gossip" | "rows" | "rowsWanted" }>;

/** What a node tells all others about itself: these, and what `set` adds. */
export type GossipBody = Readonly<z.infer<typeof bodySchema>>;

export interface Endpoint {
  readonly node: string;
  readonly region: string;
  readonly url: string;
}

interface Heard {
  readonly bootId: string;
  readonly version: number;
  readonly body: GossipBody;
}

/** Each node tells every peer about itself, on every new link and on every change; a newer version replaces an older. */
export class Gossip {
  /** What is too much to be told again each time. */
  readonly table: GossipTable;
  readonly #send: (nodeId: string, message: PeerMessage) => void;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #links = new Map<string, LinkedProcess>();
  readonly #heard = new Map<string, Heard>();
  readonly #listeners = new Set<(nodeId: string, body: GossipBody) => void>();
  #own: GossipBody;
  #version = 1;
  #spreadDue = false;
  #cancelRepeat: (() => void) | null = null;

  constructor({
    own,
    send,
    clock,
    log,
  }: { own: GossipBody; send: (nodeId: string, message: PeerMessage) => void; clock: Clock; log: Log }) {
    this.#own = own;
    this.#send = send;
    this.#clock = clock;
    this.#log = log;
    this.table = new GossipTable({ send, clock, log });
  }

  start(): void {
    this.#repeat();
  }

  stop(): void {
    this.#cancelRepeat?.();
    this.#links.clear();
    this.#listeners.clear();
    this.table.stop();
  }

  /** Adds to, or replaces in, what this node says about itself; spread once at the end of the turn. `value` is JSON. */
  set(key: string, value: unknown): void {
    assert(!Object.hasOwn(bodySchema.shape, key), `gossip: ${key} is the node's own`);
    if (JSON.stringify(this.#own[key]) === JSON.stringify(value)) return;
    this.#own = { ...this.#own, [key]: value };
    this.#version++;
    if (this.#spreadDue) return;
    this.#spreadDue = true;
    this.#clock.defer(() => {
      this.#spreadDue = false;
      this.#spread();
    });
  }

  linkUp(peer: LinkedProcess): void {
    this.#links.set(peer.nodeId, peer);
    this.#spread([peer.nodeId]);
    this.table.linkUp(peer);
  }

  linkDown(nodeId: string): void {
    this.#links.delete(nodeId);
    this.table.linkDown(nodeId);
  }

  /** What others said who are neither these nor linked is forgotten. */
  keepOnly(nodeIds: ReadonlySet<string>): void {
    for (const nodeId of [...this.#heard.keys()])
      if (!nodeIds.has(nodeId) && !this.#links.has(nodeId)) this.#heard.delete(nodeId);
    this.table.keepOnly(nodeIds);
  }

  message(from: string, message: GossipMessage): void {
    if (message.type === "rows") this.table.message(from, message);
    else if (message.type === "rowsWanted") this.table.wanted(from, message);
    else this.#hear(from, message);
  }

  #hear(from: string, { version, body }: Extract<GossipMessage, { type: "gossip" }>): void {
    const bootId = this.#links.get(from)?.bootId;
    if (bootId === undefined) return;
    const before = this.#heard.get(from);
    // Versions count from each start of a node anew.
    if (before?.bootId === bootId && before.version >= version) return;
    const parsed = parseBody(body);
    if (parsed === null || parsed.node !== from) {
      this.#log.warn(
        { event: "gossip-refused", peer: from, bytes: body.length },
        `what ${from} says about itself cannot be read`,
      );
      return;
    }
    this.#heard.set(from, { bootId, version, body: parsed });
    for (const listener of [...this.#listeners]) listener(from, parsed);
  }

  /** What a node said last about itself, this one included; null if nothing yet. */
  of(nodeId: string): GossipBody | null {
    return nodeId === this.#own.node ? this.#own : (this.#heard.get(nodeId)?.body ?? null);
  }

  onHeard(listener: (nodeId: string, body: GossipBody) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Where clients find the nodes: this one, those with a link, then those that were heard of before. */
  endpoints(): readonly Endpoint[] {
    const others = [...this.#heard.keys()].sort();
    const up = others.filter((nodeId) => this.#links.has(nodeId));
    const down = others.filter((nodeId) => !this.#links.has(nodeId));
    const bodies = [this.#own.node, ...up, ...down].map((nodeId) => this.of(nodeId));
    return bodies
      .filter((body) => body !== null)
      .map(({ node, region, clientUrl }) => ({ node, region, url: clientUrl }));
  }

  #spread(to: Iterable<string> = this.#links.keys()): void {
    const body = new TextEncoder().encode(JSON.stringify(this.#own));
    assert(
      body.length <= gossipDefaults.bodyBytesMax,
      `gossip: ${body.length} bytes are more than bodyBytesMax`,
    );
    for (const nodeId of to) this.#send(nodeId, { type: "gossip", version: this.#version, body });
  }

  #repeat(): void {
    this.#cancelRepeat = this.#clock.setTimer(() => {
      this.#spread();
      this.table.repeat();
      this.#repeat();
    }, gossipDefaults.repeatMs);
  }
}

export function isGossip(message: PeerMessage): message is GossipMessage {
  return message.type === "gossip" || message.type === "rows" || message.type === "rowsWanted";
}

function parseBody(bytes: Uint8Array): GossipBody | null {
  if (bytes.length > gossipDefaults.bodyBytesMax) return null;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return null;
  }
  const parsed = bodySchema.safeParse(json);
  return parsed.success ? parsed.data : null;
}
