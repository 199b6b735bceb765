import type { PartsDirt } from "../group/dirt.ts";
import type { ApplyResult } from "../group/machine.ts";
import type { Checkpoint } from "../storage/storage.ts";
import { absenceIn, otherCode } from "./absence.ts";
import type { RoomCommand } from "./divergence/odd-replica.ts";
import { type EndedReplica, type Healed, OddRooms, type RoomNotice } from "./divergence/odd-rooms.ts";
import { endedHash } from "./divergence/room-witness.ts";
import type { Verdict } from "./divergence/verdict.ts";
import { runEventual } from "./eventual-run.ts";
import { mayTryReconnect } from "./live-socket.ts";
import type { Message } from "./message-codec.ts";
import { PinnedRooms } from "./pinned-rooms.ts";
import { quarantinedCode } from "./quarantine.ts";
import type { RoomHost } from "./room-host.ts";
import type { RoomMarks } from "./room-mark.ts";
import type { RoomBirth } from "./room-program.ts";
import { RoomReplica } from "./room-replica.ts";
import { type RoomStanding, RoomStandings } from "./room-standing.ts";
import type { RoomActing, RoomWatch } from "./room-watch.ts";
import { isRefusal, type Refusal, refusal, type SessionError } from "./session-error.ts";
import type { SessionContext } from "./session-menu.ts";

export interface MachineRoomsHost extends RoomHost {
  readonly group: number;
  readonly watch: RoomWatch;
  /** What earlier starts of this node could not get past, in any group. */
  readonly marks: RoomMarks;
  /** A room is here from now on, or no longer. */
  roomAdded(replica: RoomReplica): void;
  roomRemoved(replica: RoomReplica): void;
  /** Something about the rooms' hashes. */
  noticed(notice: RoomNotice): void;
  /** All that was committed is applied for now. */
  drained(): void;
  /** Another node has said to this one, who leads, that it lacks rooms. */
  isLacking(nodeId: string): boolean;
  /** Another node's session layer says something about the group. */
  heard(from: string, body: Uint8Array): void;
  encodeAck(sequence: number): Uint8Array;
  /** A room was saved for this node's own disk: as it is in `bytes`. */
  readonly checkpointTaken?: ((replica: RoomReplica, bytes: Uint8Array) => void) | undefined;
}

interface MachineRoomsParts {
  readonly host: MachineRoomsHost;
  readonly dirt: PartsDirt;
  /** Why a room cannot be had here. */
  readonly notServed: (roomId: string) => Refusal;
}

/** Where nobody here can know when the room's next tick is due. */
const oddTickMs = 50;
const always = () => true;
const nothing: ApplyResult = { type: "done", value: null };

/** This node's replicas of one group's rooms: how a command comes to each of them, or is passed over, or held back. */
export class MachineRooms {
  readonly all = new Map<string, RoomReplica>();
  /** Rooms that this replica passes over. */
  readonly standings: RoomStandings;
  /** Those that differ from the majority's. */
  readonly odd: OddRooms;
  /** Those whose replica has ended by itself, until it is agreed that the room has. */
  readonly ended = new Map<string, EndedReplica>();
  readonly #host: MachineRoomsHost;
  readonly #pinned: PinnedRooms;
  readonly #dirt: PartsDirt;
  readonly #notServed: (roomId: string) => Refusal;
  /** Rooms with commands since the last drain: they may have something for their clients. */
  readonly #spoken = new Set<RoomReplica>();
  /** While a restore is under way: what was there before it, and has no successor yet. */
  readonly #replaced = new Map<string, RoomReplica>();
  /** The last command that was applied to anything: what a part that is saved now stands at. */
  #appliedIndex = 0;
  #commandBytes = 0;
  #wallTimeMs = 0;
  /** Asked on every turn of the leader's, and changed only by commands. */
  #nextTickMs: number | null | undefined = undefined;

  constructor({ host, dirt, notServed }: MachineRoomsParts) {
    this.#host = host;
    this.#dirt = dirt;
    this.#notServed = notServed;
    this.standings = new RoomStandings({ ...host, touch: (roomId, index) => dirt.touch(roomId, index) });
    this.odd = new OddRooms({
      noticed: (notice) => host.noticed(notice),
      rooms: this.all,
      watched: (acting, act) => this.#watched(acting, act),
      carryOut: (replica, command) => this.#carryOut(replica, command),
      apply: (roomId, { context, act, ...how }) => this.withRoom({ roomId, ...how }, context, act, how),
      replace: (roomId, checkpoint) => this.#replace(roomId, checkpoint),
    });
    this.#pinned = new PinnedRooms({ ...host, rooms: this.all, odd: this.odd });
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** Everything is replaced; `bringBack` follows for each room, over several turns, then `endRestore`. */
  beginRestore(): void {
    for (const [roomId, replica] of this.all) {
      replica.sockets.closeAll(mayTryReconnect, "this replica is replaced: go on elsewhere");
      this.#replaced.set(roomId, replica);
    }
    this.all.clear();
    this.#spoken.clear();
    this.standings.clear();
    this.ended.clear();
    this.odd.replaced(this.#wallTimeMs);
    this.#appliedIndex = 0;
    this.#nextTickMs = undefined;
  }

  endRestore(): void {
    for (const replica of this.#replaced.values()) {
      replica.discard();
      this.#host.roomRemoved(replica);
    }
    this.#replaced.clear();
  }

  /** @throws what cannot be brought to life */
  bringBack(roomId: string, checkpoint: Checkpoint): void {
    const absence = absenceIn(checkpoint.bytes, this.#host.code);
    if (absence === null) this.#bringToLife(roomId, checkpoint);
    else this.odd.absent(roomId, absence, checkpoint.index);
  }

  #bringToLife(roomId: string, { index, bytes }: Checkpoint): void {
    // A room that lives on was never gone: this node goes on numbering what it proposes to it.
    this.#replaced.get(roomId)?.discard();
    this.#replaced.delete(roomId);
    const acting = { roomId, act: "restore", index } as const;
    const replica = this.#watched(acting, () => RoomReplica.restore(this.#host, bytes));
    replica.index = index;
    this.all.set(roomId, replica);
    this.#host.roomAdded(replica);
  }

  /** Null: it has come to life, here or where its code is. */
  create(birth: RoomBirth): Refusal | null {
    const { roomId, index } = birth;
    const foreign = otherCode(birth.code, this.#host.code);
    if (foreign !== null) {
      this.#dirt.touch(roomId, index);
      this.odd.absent(roomId, { because: null, foreign, origins: [], agreed: null }, index);
      return null;
    }
    const acting = { roomId, act: "create", index } as const;
    const replica = this.#watched(acting, () => RoomReplica.create(this.#host, birth));
    if (isRefusal(replica)) return replica;
    this.all.set(roomId, replica);
    this.#dirt.touch(roomId, index);
    this.#host.roomAdded(replica);
    return null;
  }

  /** A command is about to be applied. */
  begin({ index, bytes, wallTimeMs }: { index: number; bytes: number; wallTimeMs: number }): void {
    this.#appliedIndex = index;
    this.#commandBytes = bytes;
    this.#wallTimeMs = wallTimeMs;
    this.#nextTickMs = undefined;
  }

  /** Why this node does not speak for the room just now; undefined: it does, if it has it. */
  standing(roomId: string): RoomStanding | undefined {
    return this.standings.of(roomId) ?? this.odd.standing(roomId);
  }

  /** Those that this node may speak for. */
  *serving(): Iterable<RoomReplica> {
    for (const replica of this.all.values()) if (this.standing(replica.roomId) === undefined) yield replica;
  }

  /** In log time; null: no room needs one. */
  nextTickMs(): number | null {
    if (this.#nextTickMs !== undefined) return this.#nextTickMs;
    let next: number | null = null;
    const due = (dueMs: number | null) => {
      if (dueMs !== null && (next === null || dueMs < next)) next = dueMs;
    };
    for (const { lastLogTimeMs } of this.odd.all()) due(lastLogTimeMs + oddTickMs);
    for (const replica of this.all.values())
      if (!this.odd.has(replica.roomId)) due(replica.world.nextDueMs());
    this.#nextTickMs = next;
    return next;
  }

  drained(): void {
    for (const replica of this.#spoken) replica.sockets.flushAcks(this.#host.encodeAck);
    this.#spoken.clear();
  }

  /** For this node's own disk; null: the older checkpoint and its log are kept, undefined: the room is gone. */
  save(roomId: string): Uint8Array | null | undefined {
    // A replica that differs is not to be trusted, nor one's end before the others have agreed to it.
    if (this.standings.has(roomId) || this.ended.has(roomId)) return null;
    if (this.odd.has(roomId)) return this.#pinned.stub(roomId);
    const replica = this.all.get(roomId);
    const bytes = replica && this.copyOf(replica);
    if (bytes === null) return this.#pinned.stub(roomId);
    if (replica) this.#pinned.unpin(replica);
    const { checkpointTaken } = this.#host;
    if (replica && bytes && checkpointTaken) {
      const acting = { roomId, act: "restore", index: this.#appliedIndex } as const;
      this.#watched(acting, () => checkpointTaken(replica, bytes));
    }
    return bytes;
  }

  /** Instead of a room that is not at rest, and that the log is not kept for any more; null: it is kept. */
  letGo(roomId: string): Uint8Array | null {
    return this.standings.has(roomId) || this.ended.has(roomId) ? null : this.#pinned.pin(roomId);
  }

  /** As it is now; null: it is not at rest. */
  copyOf(replica: RoomReplica): Uint8Array | null {
    const { roomId } = replica;
    return this.#watched({ roomId, act: "save", index: this.#appliedIndex }, () => replica.save());
  }

  /** Replaces a replica that differs by a holder's: see OddRooms. */
  heal(roomId: string, checkpoint: Checkpoint): Healed {
    this.#nextTickMs = undefined;
    const { isAbsent = false, pinnedBecause = null } = this.odd.get(roomId) ?? {};
    const now = { appliedIndex: this.#appliedIndex, wallTimeMs: this.#wallTimeMs };
    const healed = this.odd.heal(roomId, checkpoint, now);
    const replica = this.all.get(roomId);
    if (healed.type === "healed" && (isAbsent || pinnedBecause !== null) && replica !== undefined) {
      // The disk has no more than before: it is to be saved, whether anything else happens to it or not.
      replica.isPinned = pinnedBecause !== null;
      this.#dirt.touch(roomId, this.#appliedIndex);
    }
    return healed;
  }

  /** For a command that is addressed to one room. */
  withRoom(
    { roomId, sequence = null }: { readonly roomId: string; readonly sequence?: number | null },
    context: SessionContext,
    act: RoomCommand["act"],
    { concerns = always, takesPoint = true, bytes = this.#commandBytes }: Partial<RoomCommand> = {},
  ): ApplyResult {
    if (this.standings.has(roomId)) return { type: "done", value: this.#notServed(roomId) };
    // Its stub has this command already.
    if (context.index <= (this.odd.get(roomId)?.index ?? 0))
      return { type: "done", value: this.#notServed(roomId) };
    const command = { context, act, concerns, sequence, takesPoint, bytes };
    const held = this.odd.hold(roomId, command);
    if (held !== null) {
      this.#dirt.touch(roomId, context.index);
      return held;
    }
    const replica = this.all.get(roomId);
    if (replica === undefined) return this.#withoutReplica(roomId, command);
    // The room's checkpoint has this command already.
    if (context.index <= replica.index)
      return { type: "done", value: refusal("APPLIED_RESULT_FORGOTTEN", "this was applied before") };
    this.#dirt.touch(roomId, context.index);
    this.#spoken.add(replica);
    return this.#carryOut(replica, command);
  }

  /** Numbers are counted all the same where the room has ended: it may be this replica alone that has. */
  #withoutReplica(roomId: string, { context, sequence }: RoomCommand): ApplyResult {
    if (sequence !== null) this.ended.get(roomId)?.origins.take({ ...context.origin, sequence });
    return { type: "done", value: this.#notServed(roomId) };
  }

  /** For a command that is addressed to no room by name. */
  withRooms(
    context: SessionContext,
    concerns: (replica: RoomReplica) => boolean,
    act: (replica: RoomReplica) => void,
  ): ApplyResult {
    const actOn = (replica: RoomReplica) => {
      act(replica);
      return nothing;
    };
    for (const { divergence } of this.odd.all()) this.withRoom(divergence, context, actOn, { concerns });
    for (const replica of [...this.all.values()]) {
      const { roomId } = replica;
      if (!this.odd.has(roomId) && concerns(replica)) this.withRoom({ roomId }, context, actOn, { concerns });
    }
    return nothing;
  }

  #carryOut(replica: RoomReplica, { context, act, concerns, takesPoint }: RoomCommand): ApplyResult {
    if (!concerns(replica)) return nothing;
    const acting = { roomId: replica.roomId, act: "apply", index: context.index } as const;
    const { result, isCompared } = this.#watched(acting, () => ({
      result: act(replica),
      isCompared: takesPoint && replica.takePoint(context),
    }));
    if (isCompared) this.#host.noticed({ type: "pointTaken", replica });
    if (replica.disposed) this.#end(replica, context.index);
    return result;
  }

  /** A message that is in no log. @returns why the room does not take it; null: it ran, or is not for this replica */
  runEventual(
    message: Message,
    how: { readonly isEcho: boolean; readonly index: number | null },
  ): SessionError | null {
    const { roomId } = message;
    const replica = this.all.get(roomId);
    if (replica === undefined || this.standing(roomId) !== undefined) return null;
    const difference = this.#host.pictureDifference;
    return this.#watched({ roomId, act: "apply", index: this.#appliedIndex }, () =>
      runEventual({ replica, message, ...how, difference }),
    );
  }

  #replace(roomId: string, checkpoint: Checkpoint): void {
    const replaced = this.all.get(roomId);
    if (replaced !== undefined) {
      this.all.delete(roomId);
      this.#spoken.delete(replaced);
      replaced.discard();
    }
    this.#bringToLife(roomId, checkpoint);
  }

  /** One that differs has no say in whether the room has ended. */
  #end(replica: RoomReplica, index: number): void {
    const { roomId, origins, witness } = replica;
    if (!this.odd.has(roomId)) this.ended.set(roomId, { index, origins, witness });
    this.remove(replica);
  }

  /** A verdict about a replica that has ended by itself: where others were compared later, the room had not. */
  judgeEnded(verdict: Verdict, context: SessionContext): void {
    const ended = this.ended.get(verdict.roomId);
    if (ended === undefined || verdict.hash === null || verdict.index <= ended.index) return;
    if (verdict.hash === endedHash) return;
    this.ended.delete(verdict.roomId);
    this.#dirt.touch(verdict.roomId, context.index);
    this.odd.ended(ended, verdict, context);
  }

  /** No replica has what was agreed: every one stands still here, and the others are told what it is. */
  compareAnew(roomId: string, context: SessionContext): void {
    this.#nextTickMs = undefined;
    this.odd.release(roomId, context.index);
    const act = (replica: RoomReplica) => {
      const wasFrozen = replica.witness.frozen !== null;
      replica.compareAnew(context);
      this.#host.noticed({ type: "pointTaken", replica });
      if (!wasFrozen) this.#host.noticed({ type: "froze", replica });
      return nothing;
    };
    this.withRoom({ roomId }, context, act, { takesPoint: false });
  }

  /** It was agreed that the room has ended: whatever this node still has of it goes. */
  forget(roomId: string, index: number): void {
    this.standings.end(roomId, index);
    this.odd.end(roomId);
    this.ended.delete(roomId);
    const replica = this.all.get(roomId);
    if (replica !== undefined) {
      replica.sockets.closeAll(mayTryReconnect, "the room has ended");
      this.remove(replica);
    }
    this.#dirt.touch(roomId, index);
  }

  /** It was agreed that the room is closed, without a word to its code. */
  close(roomId: string, index: number, why: string): void {
    this.standings.end(roomId, index);
    const wasOdd = this.odd.end(roomId);
    const replica = this.all.get(roomId);
    if (wasOdd || replica !== undefined) this.#dirt.touch(roomId, index);
    if (replica === undefined) return;
    replica.sockets.closeAll(quarantinedCode, why);
    this.remove(replica);
  }

  remove(replica: RoomReplica): void {
    this.all.delete(replica.roomId);
    this.#dirt.touch(replica.roomId, this.#appliedIndex);
    this.#host.roomRemoved(replica);
    replica.discard();
  }

  /** Runs room code under the eyes of whoever looks on. */
  #watched<T>(acting: Omit<RoomActing, "group">, act: () => T): T {
    const { watch, group } = this.#host;
    watch.begin({ ...acting, group });
    try {
      return act();
    } finally {
      watch.end();
    }
  }
}
