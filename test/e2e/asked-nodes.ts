import type { IRoomCache, MatchMakerDriver, Presence } from "@colyseus/core";
import { askNode } from "./asks.ts";
import type { Cluster } from "./cluster.ts";

type Call = (...args: unknown[]) => Promise<unknown>;

/** Driver and presence of nodes that run plain-rooms-main, each call on the next one of those that live. */
export class AskedNodes {
  alive: readonly string[];
  readonly #cluster: Cluster;
  #turn = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.alive = cluster.ids;
  }

  async ask<T>(id: string, what: string, ...args: unknown[]): Promise<T> {
    return await askNode({ url: this.#cluster.url(id), answerMsMax: 60_000 }, what, args);
  }

  #next(what: string, ...args: unknown[]): Promise<unknown> {
    return this.ask(this.alive[this.#turn++ % this.alive.length] as string, what, ...args);
  }

  get presence(): Presence {
    return calls(
      (method) =>
        (...args) =>
          this.#next("presence", method, ...args),
    ) as unknown as Presence;
  }

  get driver(): MatchMakerDriver {
    const call =
      (method: string) =>
      async (...args: unknown[]) => {
        const value = await this.#next("driver", method, ...args);
        if (method === "update") apply(...(args as Parameters<typeof apply>));
        return method === "findByIds" ? new Map(value as [string, IRoomCache][]) : value;
      };
    return calls(call) as unknown as MatchMakerDriver;
  }
}

function calls(call: (method: string) => Call): Record<string, Call> {
  return new Proxy({}, { get: (_target, method: string) => call(method) });
}

/** A route gets a copy of the listing: what happens to it there happens to the one here, too. */
function apply(room: IRoomCache, { $set, $inc }: { $set?: object; $inc?: Record<string, number> }): void {
  Object.assign(room, $set);
  const counts = room as unknown as Record<string, number>;
  for (const [field, more] of Object.entries($inc ?? {})) counts[field] = (counts[field] ?? 0) + more;
}
