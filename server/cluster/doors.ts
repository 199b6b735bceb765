import type { Endpoint, Gossip, GossipBody } from "./gossip.ts";

/** `closed`: it has not caught up yet. `open`: clients may come. `closing`: it drains, and who is there goes elsewhere. */
export type Door = "closed" | "open" | "closing";

/** A node where clients may be, and whether they should rather go elsewhere. */
export interface ClientEndpoint extends Endpoint {
  readonly draining?: true;
}

/** What each node says of its door, under this key of its gossip. */
export const doorKey = "door";

/** What each node runs rooms with: see roomCode. */
export const codeKey = "code";
/** The engine of that, in words. */
export const engineKey = "engine";

interface DoorsParts {
  readonly self: string;
  readonly gossip: Pick<Gossip, "of" | "set" | "endpoints">;
  readonly isMember: (nodeId: string) => boolean;
  readonly isLinked: (nodeId: string) => boolean;
}

/** Where clients may go: each node tells the others whether it takes them. */
export class Doors {
  readonly #parts: DoorsParts;

  constructor(parts: DoorsParts) {
    this.#parts = parts;
  }

  set(door: Door): void {
    this.#parts.gossip.set(doorKey, door);
  }

  of(nodeId: string): Door {
    const body = this.#parts.gossip.of(nodeId);
    if (body === null) return "closed";
    const door = body[doorKey];
    // Nodes of earlier versions say nothing of it.
    return door === "closed" || door === "closing" ? door : "open";
  }

  /** More of the linked members have another code than this node's: what is played runs there, and so do new rooms. */
  get isOfFew(): boolean {
    const { own, others } = this.#codes();
    const counts = Map.groupBy(others, (code) => code);
    const same = 1 + (counts.get(own)?.length ?? 0);
    return [...counts].some(([code, { length }]) => code !== own && length > same);
  }

  /** No other linked member has this node's code: what runs here runs nowhere else. */
  get isLastOfItsCode(): boolean {
    const { own, others } = this.#codes();
    return others.length > 0 && !others.includes(own);
  }

  #codes(): { readonly own: string; readonly others: readonly string[] } {
    const { self, gossip, isMember, isLinked } = this.#parts;
    const others = gossip
      .endpoints()
      .filter(({ node }) => node !== self && isMember(node) && isLinked(node))
      .map(({ node }) => codeOf(gossip.of(node)));
    return { own: codeOf(gossip.of(self)), others };
  }

  /** Other members that take clients. */
  others(): readonly Endpoint[] {
    const { self, gossip, isMember, isLinked } = this.#parts;
    return gossip
      .endpoints()
      .filter(({ node }) => node !== self && isMember(node) && isLinked(node) && this.of(node) === "open");
  }

  /** This node first, then members that are linked, then those heard of before; behind all of them those that drain. */
  endpoints(): readonly ClientEndpoint[] {
    const { self, gossip, isMember } = this.#parts;
    const all = gossip.endpoints().filter(({ node }) => node === self || isMember(node));
    const draining = all.filter(({ node }) => this.of(node) === "closing");
    const rest = all.filter((endpoint) => !draining.includes(endpoint));
    return [...rest, ...draining.map((endpoint) => ({ ...endpoint, draining: true }) as const)];
  }
}

/** What a node says of its code; empty: nothing. */
export function codeOf(body: GossipBody | null): string {
  const code = body?.[codeKey];
  return typeof code === "string" ? code : "";
}
