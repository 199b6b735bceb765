import type { ApplyResult } from "../../group/machine.ts";
import type { Origins, OriginsState } from "../../group/origins.ts";
import type { Checkpoint } from "../../storage/storage.ts";
import type { Absence, OtherCode } from "../absence.ts";
import { sessionLimits } from "../limits.ts";
import type { RoomReplica } from "../room-replica.ts";
import type { SessionContext } from "../session-menu.ts";
import type { Divergence } from "./divergence.ts";

const comingMsMax = 2_000;

/** A command for one room: where it stands in the log, and what it does to a replica. */
export interface RoomCommand {
  readonly context: SessionContext;
  readonly act: (replica: RoomReplica) => ApplyResult;
  /** Of a command to all rooms: whether it is one to this room, too, as the replica is then. */
  readonly concerns: (replica: RoomReplica) => boolean;
  /** The proposer's number, if it has one. */
  readonly sequence: number | null;
  /** A verdict about points takes none itself. */
  readonly takesPoint: boolean;
  /** Of the whole command. */
  readonly bytes: number;
}

/**
 * A replica that differs from the majority's. It stands still, and the commands that follow are held for the one that
 * will replace it: a holder's, as of an index that this one can still come to, so that the two can be compared there.
 */
export class OddReplica {
  readonly divergence: Divergence;
  /** Who had the majority's hash; empty: anybody else may have it. */
  readonly holders: readonly string[];
  /** There is no replica: the room was pinned, and this node has started anew since, or got a snapshot; or it is foreign. */
  readonly isAbsent: boolean;
  /** Why this node's disk has a stub of the room instead of a checkpoint; null: it has a checkpoint, or nothing yet. */
  pinnedBecause: string | null;
  /** The room runs under another code than this node's. */
  readonly foreign: OtherCode | null;
  /** Why the last copy could not be brought to life here. */
  failure: string | null = null;
  /** See Absence. */
  readonly handover: Checkpoint | null;
  /** Its own numbers of commands, so that a gap is noticed at once; see SessionMachine. */
  readonly #origins: Origins;
  /** The last command that is not held: what replaces it must stand here or later. */
  #index: number;
  #lastLogTimeMs: number;
  #switchedMs: number | null = null;
  #held: RoomCommand[] = [];
  #heldBytes = 0;

  constructor(
    divergence: Divergence,
    {
      holders,
      origins,
      context,
      absence = null,
    }: {
      holders: readonly string[];
      origins: Origins;
      context: Pick<SessionContext, "index" | "logTimeMs">;
      absence?: Pick<Absence, "because" | "foreign" | "handover"> | null;
    },
  ) {
    this.divergence = divergence;
    this.holders = holders;
    this.isAbsent = absence !== null;
    this.pinnedBecause = absence?.because ?? null;
    this.foreign = absence?.foreign ?? null;
    this.handover = absence?.handover ?? null;
    this.#origins = origins;
    this.#index = context.index;
    this.#lastLogTimeMs = context.logTimeMs;
  }

  /** By the log the room goes on under this node's code, as of this entry's time: whoever runs it now gives it away. */
  switchedHere({ logTimeMs }: Pick<SessionContext, "logTimeMs">): void {
    this.#switchedMs = logTimeMs;
  }

  /** A copy is on its way. That the room was not at rest, and stays where it is, nobody tells: so it counts for a while only. */
  get isComing(): boolean {
    return this.#switchedMs !== null && this.#lastLogTimeMs - this.#switchedMs < comingMsMax;
  }

  /** Nothing on this node could bring it back. */
  get isLost(): boolean {
    return this.isAbsent && this.pinnedBecause !== null;
  }

  get index(): number {
    return this.#index;
  }

  get origins(): OriginsState {
    return this.#origins.state;
  }

  /** Of the last command that was held. */
  get lastLogTimeMs(): number {
    return this.#lastLogTimeMs;
  }

  get held(): number {
    return this.#held.length;
  }

  /** False: it comes before one that it must follow, and does nothing on any replica. */
  hold(command: RoomCommand): boolean {
    const { context, sequence, bytes } = command;
    this.#lastLogTimeMs = context.logTimeMs;
    if (sequence !== null && this.#origins.take({ ...context.origin, sequence }) === "gap") return false;
    this.#held.push(command);
    this.#heldBytes += bytes;
    return true;
  }

  get isFull(): boolean {
    return (
      this.#held.length > sessionLimits.heldCommandsMax || this.#heldBytes > sessionLimits.heldCommandBytesMax
    );
  }

  /** The older half, when there are too many: what replaces this replica must stand behind them now. */
  takeOldest(): RoomCommand[] {
    const last = this.#held[this.#held.length >> 1];
    return last === undefined ? [] : this.takeThrough(last.context.index);
  }

  /** Those up to an index. */
  takeThrough(index: number): RoomCommand[] {
    const first = this.#held.findIndex(({ context }) => context.index > index);
    const taken = this.#held.splice(0, first === -1 ? this.#held.length : first);
    for (const { bytes } of taken) this.#heldBytes -= bytes;
    this.#index = Math.max(this.#index, index);
    return taken;
  }
}
