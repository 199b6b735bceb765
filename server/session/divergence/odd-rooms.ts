import assert from "node:assert/strict";
import type { ApplyResult } from "../../group/machine.ts";
import { Origins, type OriginsState } from "../../group/origins.ts";
import type { Checkpoint } from "../../storage/storage.ts";
import type { Absence } from "../absence.ts";
import { mayTryReconnect } from "../live-socket.ts";
import type { RoomReplica } from "../room-replica.ts";
import { type RoomStanding, standingRefusal } from "../room-standing.ts";
import type { RoomActing } from "../room-watch.ts";
import type { SessionContext } from "../session-menu.ts";
import { OddReplica, type RoomCommand } from "./odd-replica.ts";
import { roomDifference } from "./room-difference.ts";
import { endedHash, noHash, type RoomWitness } from "./room-witness.ts";
import type { Verdict } from "./verdict.ts";

/** What a machine tells of its rooms' hashes. */
export type RoomNotice =
  /** A replica has a hash that no verdict has covered yet. */
  | { readonly type: "pointTaken"; readonly replica: RoomReplica }
  /** A verdict was applied, whoever has asked for it. */
  | { readonly type: "agreed"; readonly verdict: Verdict }
  /** It stands still, since its replicas differ and none has a majority; or it goes on. */
  | { readonly type: "froze" | "thawed"; readonly replica: RoomReplica }
  /** This node's replica differs; or what has replaced it is like the others. */
  | { readonly type: "diverged" | "healed"; readonly odd: OddReplica }
  /** The room is pinned, and not to this node: see RoomStub; or runs under another code. It is healed like one that differs. */
  | { readonly type: "absent"; readonly odd: OddReplica };

/** What is kept of a replica that has ended by itself. */
export interface EndedReplica {
  /** Of the entry that ended it. */
  readonly index: number;
  /** Go on with the log: if the room has not ended after all, what replaces this replica has taken what came since. */
  readonly origins: Origins;
  readonly witness: RoomWitness;
}

export type Healed = { readonly type: "healed" } | { readonly type: "failed"; readonly error: unknown };

interface OddRoomsParts {
  readonly noticed: (notice: RoomNotice) => void;
  readonly rooms: ReadonlyMap<string, RoomReplica>;
  readonly watched: <T>(acting: Omit<RoomActing, "group">, act: () => T) => T;
  readonly carryOut: (replica: RoomReplica, command: RoomCommand) => ApplyResult;
  /** As any command that is read from the log. */
  readonly apply: (roomId: string, command: RoomCommand) => void;
  /** @throws if it cannot be brought to life */
  readonly replace: (roomId: string, checkpoint: Checkpoint) => void;
}

/** The rooms of one group whose replica on this node differs from the majority's: each stands still until it is replaced. */
export class OddRooms {
  readonly #parts: OddRoomsParts;
  readonly #rooms = new Map<string, OddReplica>();

  constructor(parts: OddRoomsParts) {
    this.#parts = parts;
  }

  get(roomId: string): OddReplica | undefined {
    return this.#rooms.get(roomId);
  }

  has(roomId: string): boolean {
    return this.#rooms.has(roomId);
  }

  all(): readonly OddReplica[] {
    return [...this.#rooms.values()];
  }

  get hasAbsent(): boolean {
    return this.#rooms.size > 0 && this.all().some(({ isAbsent }) => isAbsent);
  }

  /** Undefined: this node may speak for the room. */
  standing(roomId: string): RoomStanding | undefined {
    const odd = this.#rooms.get(roomId);
    if (odd !== undefined) return standingOf(odd);
    const frozen = this.#parts.rooms.get(roomId)?.witness.frozen ?? null;
    return frozen === null ? undefined : { type: "frozen", ...frozen };
  }

  /** A verdict has been agreed: this node's replica obeys, whatever it believes itself. */
  judge(replica: RoomReplica, verdict: Verdict, context: SessionContext): void {
    const { noticed } = this.#parts;
    const judgement = replica.judge(verdict, context);
    // What is known to differ already is only brought to where it can be compared.
    if (judgement.type === "none" || this.#rooms.has(replica.roomId)) return;
    if (judgement.type === "freezes") return noticed({ type: "froze", replica });
    if (judgement.thaws) noticed({ type: "thawed", replica });
    if (judgement.type === "differs") this.#found(replica, verdict, { ...context, ...judgement });
  }

  #found(
    replica: RoomReplica,
    verdict: Verdict,
    { ownHash, ...context }: SessionContext & { readonly ownHash: string },
  ): void {
    const origins = replica.origins.state;
    this.#begin(verdict, context, { ownHash, origins, firstDifference: null });
    replica.sockets.closeAll(mayTryReconnect, "this node's replica of the room differs: go on elsewhere");
  }

  /** Where the majority's hash was taken this node's replica had ended. */
  ended({ index, origins }: EndedReplica, verdict: Verdict, context: SessionContext): void {
    const firstDifference = `room: here it had ended at entry ${index}`;
    this.#begin(verdict, context, { ownHash: endedHash, origins: origins.state, firstDifference });
  }

  #begin(
    { roomId, index, hash, hashes }: Verdict,
    context: SessionContext,
    own: { ownHash: string; origins: OriginsState; firstDifference: string | null },
  ): void {
    const { ownHash, firstDifference } = own;
    const known = { roomId, index, ownHash, hash: hash ?? "", foundAtMs: context.wallTimeMs };
    const odd = new OddReplica(
      { ...known, firstDifference, waitsFor: null, healedAtMs: null },
      {
        holders: hashes.flatMap(([nodeId, each]) => (each === hash ? [nodeId] : [])),
        origins: new Origins(own.origins),
        context,
      },
    );
    this.#rooms.set(roomId, odd);
    this.#parts.noticed({ type: "diverged", odd });
  }

  /** There is no replica of the room here, as of this entry. */
  absent(roomId: string, { origins, agreed, ...absence }: Absence, index: number): void {
    const { index: verdictIndex, hash } = agreed ?? { index: 0, hash: noHash };
    const known = { roomId, index: verdictIndex, hash, ownHash: noHash, foundAtMs: 0 };
    const odd = new OddReplica(
      { ...known, firstDifference: null, waitsFor: null, healedAtMs: null },
      {
        holders: [],
        origins: new Origins(origins),
        context: { index, logTimeMs: 0 },
        absence,
      },
    );
    this.#rooms.set(roomId, odd);
    this.#parts.noticed({ type: "absent", odd });
  }

  /** Null: the room's replica is like the others, as far as is known. */
  hold(roomId: string, command: RoomCommand): ApplyResult | null {
    const odd = this.#rooms.get(roomId);
    if (odd === undefined) return null;
    if (!odd.hold(command)) return { type: "gap" };
    if (odd.isFull) for (const each of odd.takeOldest()) this.#carryOut(roomId, each);
    return {
      type: "done",
      value: standingRefusal(roomId, standingOf(odd)),
    };
  }

  /** For nobody to see. */
  #carryOut(roomId: string, command: RoomCommand): void {
    const replica = this.#parts.rooms.get(roomId);
    if (replica !== undefined && command.context.index > replica.index)
      this.#parts.carryOut(replica, command);
  }

  /**
   * Replaces a replica that differs by a holder's, as of an index between its own and what is applied here. What was
   * held for it follows. If it cannot be brought to life there is no replica, and another attempt may follow. In a
   * macrotask only.
   */
  heal(roomId: string, checkpoint: Checkpoint, now: { appliedIndex: number; wallTimeMs: number }): Healed {
    const odd = this.#rooms.get(roomId);
    assert(odd !== undefined, `room ${roomId} does not differ`);
    const { index } = checkpoint;
    assert(odd.index <= index && index <= now.appliedIndex, `room ${roomId} cannot stand at ${index} here`);
    for (const command of odd.takeThrough(index)) this.#carryOut(roomId, command);
    const differing = this.#parts.rooms.get(roomId);
    if (differing !== undefined)
      odd.divergence.firstDifference = this.#parts.watched({ roomId, act: "save", index }, () =>
        roomDifference(differing, checkpoint.bytes),
      );
    try {
      this.#parts.replace(roomId, checkpoint);
    } catch (error) {
      return { type: "failed", error };
    }
    this.#rooms.delete(roomId);
    this.#healed(odd, now.wallTimeMs);
    for (const command of odd.takeThrough(now.appliedIndex)) this.#parts.apply(roomId, command);
    return { type: "healed" };
  }

  /** No replica is left that could replace it: it is as good as the others, as far as anybody knows, once it has caught up. */
  release(roomId: string, index: number): void {
    const odd = this.#rooms.get(roomId);
    // One that is not here has nothing to be compared, whatever is decided about the others.
    if (odd === undefined || odd.isAbsent) return;
    for (const command of odd.takeThrough(index)) this.#carryOut(roomId, command);
    odd.divergence.waitsFor = `nobody has what was agreed: compared anew at entry ${index}`;
    this.#rooms.delete(roomId);
  }

  /** The room has ended, and that was agreed. False: this node's replica did not differ. */
  end(roomId: string): boolean {
    return this.#rooms.delete(roomId);
  }

  /** A snapshot has replaced everything. */
  replaced(wallTimeMs: number): void {
    const odd = this.all();
    this.#rooms.clear();
    for (const each of odd) if (!each.isAbsent) this.#healed(each, wallTimeMs);
  }

  #healed(odd: OddReplica, wallTimeMs: number): void {
    odd.divergence.waitsFor = null;
    odd.divergence.healedAtMs = wallTimeMs;
    this.#parts.noticed({ type: "healed", odd });
  }
}

function standingOf({ divergence, isAbsent, pinnedBecause, foreign }: OddReplica): RoomStanding {
  if (foreign !== null) return { type: "foreign", ...foreign };
  if (!isAbsent) return { type: "diverged", ...divergence };
  return { type: "absent", because: pinnedBecause ?? "", waitsFor: divergence.waitsFor };
}
