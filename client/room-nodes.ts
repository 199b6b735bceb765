import type { FailoverOptions } from "./client-options.ts";
import type { Endpoint } from "./endpoints.ts";

/** What a room needs of its client. */
export interface RoomNodes {
  readonly options: FailoverOptions;
  /** Where the room's first socket goes. */
  readonly first: Endpoint;
  /** Every endpoint to try, nearest first, the one that failed last. */
  after(failed: Endpoint): Endpoint[];
  socketUrl(to: Endpoint, seat: AttachedSeat): string;
  /** The list of nodes may have changed: this one is asked. If it does not answer, what is known is good enough. */
  refresh(at: Endpoint): Promise<void>;
}

export interface AttachedSeat {
  readonly roomId: string;
  readonly sessionId: string;
  /** The room's messages up to this one have come; null: the node did not tell where they stand. */
  readonly received: number | null;
}
