import type { Network } from "../network/network.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Group } from "./group.ts";

/** What the machines of a group say to each other beside its log (see Machine.heard), and who they are. */
export class GroupTalk {
  readonly #groups: readonly Group[];
  readonly #network: Network;
  readonly #options: Pick<EngineOptions, "bulkBufferedBytesMax">;

  constructor(
    groups: readonly Group[],
    network: Network,
    options: Pick<EngineOptions, "bulkBufferedBytesMax">,
  ) {
    this.#groups = groups;
    this.#network = network;
    this.#options = options;
  }

  configuration(group: number): Configuration {
    return (this.#groups[group] as Group).raft.configuration;
  }

  /** The nodes that have a replica of it, but for this one. */
  others(group: number): readonly string[] {
    return (this.#groups[group] as Group).raft.memberIds;
  }

  lead(group: number): { readonly leaderId: string | null; readonly term: number } {
    const { leaderId, term } = (this.#groups[group] as Group).raft;
    return { leaderId, term };
  }

  /** Without a link it is lost. */
  tell(group: number, to: string, body: Uint8Array): void {
    this.#network.send(to, { type: "session", group, body });
  }

  /** Bulk towards the node has to wait (design 4.1). */
  isBusy(nodeId: string): boolean {
    return this.#network.bufferedBytes(nodeId) > this.#options.bulkBufferedBytesMax;
  }
}
