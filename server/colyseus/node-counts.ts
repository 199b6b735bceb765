import { matchMaker } from "@colyseus/core";
import { z } from "zod";
import { codeOf } from "../cluster/doors.ts";
import type { TestudoNode } from "../cluster/node.ts";
import type { Sessions } from "../session/sessions.ts";
import type { ProcessCount } from "./room-placement.ts";

/** What a node says of itself to the others, under this key of its gossip. */
const gossipKey = "colyseus";
const countsSchema = z.object({
  processId: z.string(),
  roomCount: z.number().int(),
  ccu: z.number().int(),
  channels: z.array(z.string()).default([]),
});
/** Where a node listens: so many channels it tells the others of, and none that Colyseus makes for each room and request. */
const channelsToldMax = 256;
const channelsToldBytesMax = 32 * 1024;
const notTold = /^(?:ipc:|\$)/;
/** So often it is looked whether they have changed. */
const spreadMs = 250;

/**
 * Colyseus's counts of rooms and clients (`matchMaker.stats`) on a node: its plain rooms as Colyseus counts them, and of
 * the replicated ones what is counted on no other node, so that the sum over the cluster is right: the clients that are
 * attached here, and the rooms whose group this node leads.
 */
export class NodeCounts {
  readonly #node: TestudoNode;
  readonly #sessions: Sessions;
  readonly #channels: () => readonly string[];

  constructor(node: TestudoNode, sessions: Sessions, channels: () => readonly string[]) {
    this.#channels = channels;
    this.#node = node;
    this.#sessions = sessions;
  }

  /** From now on, until the sessions stop. */
  begin(): void {
    countBeside("ccu", () => this.#attached());
    countBeside("roomCount", () => this.#led());
    this.#spread();
  }

  /** The other nodes' counts by process, as `stats.persist` writes them; a lost node's are gone. */
  others(): Record<string, string> {
    return Object.fromEntries(this.#heard().map((one) => [one.processId, `${one.roomCount},${one.ccu}`]));
  }

  /** Other processes that may get a plain room: clients reach them by an address of their own, and they have this node's code. */
  takers(): ProcessCount[] {
    const { gossip, options } = this.#node;
    const code = codeOf(gossip.of(options.id));
    return this.#node.elsewhere().flatMap(({ node, url }) => {
      const body = gossip.of(node);
      if (url === options.publicUrl || codeOf(body) !== code) return [];
      return countsSchema.safeParse(body?.[gossipKey]).data ?? [];
    });
  }

  /** Where the other nodes listen, as far as they tell. */
  otherChannels(): string[] {
    return this.#heard().flatMap(({ channels }) => channels);
  }

  #heard(): z.infer<typeof countsSchema>[] {
    return this.#node.endpoints().flatMap(({ node }) => {
      if (node === this.#sessions.nodeId || this.#node.isLost(node)) return [];
      return countsSchema.safeParse(this.#node.gossip.of(node)?.[gossipKey]).data ?? [];
    });
  }

  #attached(): number {
    const { nodeId, bootCount } = this.#node.identity;
    let attached = 0;
    for (const { seats } of this.#sessions.rooms.values()) {
      for (const { attachment } of seats.values())
        if (attachment?.nodeId === nodeId && attachment.bootCount === bootCount) attached++;
    }
    return attached;
  }

  #led(): number {
    if (!this.#node.life.serves) return 0;
    let led = 0;
    for (const [group, { rooms }] of this.#sessions.machines.entries())
      if (this.#node.engine.isLeader(group)) led += rooms.size;
    return led;
  }

  #spread(): void {
    const { roomCount, ccu } = matchMaker.stats.local;
    this.#node.gossip.set(gossipKey, {
      processId: matchMaker.processId,
      roomCount,
      ccu,
      channels: told(this.#channels()),
    });
    this.#sessions.later(() => this.#spread(), spreadMs);
  }
}

function told(channels: readonly string[]): string[] {
  const tellable = channels.filter((channel) => !notTold.test(channel)).slice(0, channelsToldMax);
  let bytes = 0;
  return tellable.filter((channel) => {
    bytes += Buffer.byteLength(channel);
    return bytes <= channelsToldBytesMax;
  });
}

/** Colyseus's own count goes on, of plain rooms; whoever reads it gets what `more` says on top. */
function countBeside(name: "ccu" | "roomCount", more: () => number): void {
  const { local } = matchMaker.stats;
  let plain = local[name];
  Object.defineProperty(local, name, {
    enumerable: true,
    configurable: true,
    get: () => plain + more(),
    set: (count: number) => {
      plain = count - more();
    },
  });
}
