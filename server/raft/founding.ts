import type { Address, Member } from "./configuration.ts";

/** What a cluster is: decided once by its founder, and saved by every founding node before it takes part (design 4.3). */
export interface Founding {
  /** 16 hex digits, random. */
  readonly clusterId: string;
  readonly members: readonly Member[];
  /** As far as the founder knew them. */
  readonly addresses: readonly Address[];
  /** How many groups of rooms there are: 1 to 64. Their ids are 0 to groups - 1. */
  readonly groups: number;
  /** At which they begin (see level.ts): what every founding node can read. */
  readonly level: number;
}
