import type { Network } from "../network/network.ts";

/** What the machines of a group say to each other beside its log (see Machine.heard). */
export class GroupTalk {
  readonly #network: Network;
  readonly #bulkBufferedBytesMax: number;

  constructor(network: Network, { bulkBufferedBytesMax }: { bulkBufferedBytesMax: number }) {
    this.#network = network;
    this.#bulkBufferedBytesMax = bulkBufferedBytesMax;
  }

  /** Without a link it is lost. */
  tell(group: number, to: string, body: Uint8Array): void {
    this.#network.send(to, { type: "session", group, body });
  }

  /** Bulk towards the node has to wait (design 4.1). */
  isBusy(nodeId: string): boolean {
    return this.#network.bufferedBytes(nodeId) > this.#bulkBufferedBytesMax;
  }
}
