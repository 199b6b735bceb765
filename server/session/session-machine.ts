import type { AppliedCommand, ApplyResult, Machine } from "../group/machine.ts";
import type { Checkpoint } from "../storage/storage.ts";
import { PartsDirt } from "./dirt.ts";
import { describeQuarantine, type Quarantine, type QuarantinedRoom, quarantinedCode } from "./quarantine.ts";
import { RoomDirectory } from "./room-directory.ts";
import type { RoomHost } from "./room-host.ts";
import type { RoomMarks } from "./room-mark.ts";
import { RoomReplica } from "./room-replica.ts";
import { describeStanding, type RoomStanding, RoomStandings } from "./room-standing.ts";
import type { RoomActing, RoomWatch } from "./room-watch.ts";
import { isRefusal, type Refusal, refusal } from "./session-error.ts";
import type {
  Allocate,
  Attach,
  Call,
  Detach,
  Forget,
  Message,
  NodeLost,
  Reserve,
  SessionCommands,
  SessionContext,
} from "./session-menu.ts";
import { sessionMenu } from "./session-menu.ts";

export interface SessionMachineHost extends RoomHost {
  readonly group: number;
  readonly watch: RoomWatch;
  /** What earlier starts of this node could not get past, in any group. */
  readonly marks: RoomMarks;
  /** A room is here from now on, or no longer. */
  roomAdded(replica: RoomReplica): void;
  roomRemoved(replica: RoomReplica): void;
  encodeAck(sequence: number): Uint8Array;
}

/** The key of the group's own part; rooms are keyed by their id. */
const directoryKey = "";
const tickCommand = sessionMenu.encode("tick", null);
const quarantineNumber = sessionMenu.encode("quarantine", {
  roomId: "any",
  act: "apply",
  index: 0,
  why: "",
  deaths: 1,
})[0];

/** The replicated state machine of one group: its directory and its rooms, each a part with an index of its own. */
export class SessionMachine implements Machine, SessionCommands {
  readonly rooms = new Map<string, RoomReplica>();
  readonly #host: SessionMachineHost;
  readonly #dirt = new PartsDirt();
  /** Rooms with commands since the last drain: they may have something for their clients. */
  readonly #spoken = new Set<RoomReplica>();
  /** Rooms that this replica passes over. */
  readonly #standings: RoomStandings;
  #directory = new RoomDirectory();
  #directoryIndex = 0;
  /** The last command that was applied to anything: what a part that is saved now stands at. */
  #appliedIndex = 0;
  /** Asked on every turn of the leader's, and changed only by commands. */
  #nextTickMs: number | null | undefined = undefined;

  constructor(host: SessionMachineHost) {
    this.#host = host;
    this.#standings = new RoomStandings({ ...host, touch: (roomId, index) => this.#touch(roomId, index) });
  }

  restore(checkpoints: ReadonlyMap<string, Checkpoint>): void {
    const replaced = [...this.rooms.values()];
    for (const replica of replaced) replica.discard();
    this.rooms.clear();
    this.#dirt.clear();
    this.#spoken.clear();
    this.#standings.clear();
    this.#appliedIndex = 0;
    this.#nextTickMs = undefined;
    const directory = checkpoints.get(directoryKey);
    this.#directory = new RoomDirectory(directory?.bytes);
    this.#directoryIndex = directory?.index ?? 0;
    for (const [roomId, checkpoint] of checkpoints) {
      if (roomId === directoryKey || !this.#comesToLife(roomId, checkpoint.index)) continue;
      const { index, bytes } = checkpoint;
      const acting = { roomId, act: "restore", index } as const;
      const replica = this.#watched(acting, () => RoomReplica.restore(this.#host, bytes));
      replica.index = index;
      this.rooms.set(roomId, replica);
      this.#host.roomAdded(replica);
    }
    // A room that lives on was never gone: this node goes on numbering what it proposes to it.
    for (const replica of replaced) if (!this.rooms.has(replica.roomId)) this.#host.roomRemoved(replica);
  }

  #comesToLife(roomId: string, checkpointIndex: number): boolean {
    if (this.#directoryIndex > checkpointIndex && !this.#directory.lists(roomId)) {
      // Its end is in the log ahead, and known; its own code on the way there may be why it was ended.
      this.#touch(roomId, checkpointIndex + 1);
      return false;
    }
    return this.#standings.meet(roomId, checkpointIndex);
  }

  /**
   * A command that is committed and waits to be applied. What comes before a room's quarantine need not run any more, and
   * may be what this node cannot get past either.
   */
  foresee({ index, command }: { readonly index: number; readonly command: Uint8Array }): void {
    if (command[0] !== quarantineNumber) return;
    const { roomId } = sessionMenu.decode(command).argument as Quarantine;
    if (index > this.#directoryIndex)
      this.#standings.foresee(roomId, { index, appliedIndex: this.#appliedIndex });
  }

  apply(applied: AppliedCommand): ApplyResult {
    this.#appliedIndex = applied.index;
    this.#nextTickMs = undefined;
    const context: SessionContext = {
      index: applied.index,
      logTimeMs: applied.logTimeMs,
      wallTimeMs: applied.wallTimeMs,
      origin: { nodeId: applied.id.nodeId, bootCount: applied.id.bootCount },
    };
    return sessionMenu.apply(this, applied.command, context) as ApplyResult;
  }

  // ---- the group's own part ---------------------------------------------------------------------------------------

  allocate(argument: Allocate, context: SessionContext): ApplyResult {
    let result: ApplyResult = { type: "done", value: { roomId: argument.roomId } };
    if (context.index > this.#directoryIndex) {
      const verdict = this.#directory.origins.take({ ...context.origin, sequence: argument.sequence });
      if (verdict === "gap") return { type: "gap" };
      this.#touchDirectory(context.index);
      if (verdict !== "new")
        return { type: "done", value: refusal("APPLIED_RESULT_FORGOTTEN", "this was applied before") };
      result = { type: "done", value: this.#directory.allocate(argument, context.index) };
    }
    const { roomId, roomName, options, seed } = argument;
    if (!this.#directory.createdBy(roomId, context.index) || this.rooms.has(roomId)) return result;
    if (!this.#standings.meet(roomId, context.index - 1)) return this.#passedOver(roomId);
    const birth = {
      roomId,
      roomName,
      options,
      seed,
      index: context.index,
      logTimeMs: context.logTimeMs,
      wallTimeMs: context.wallTimeMs,
    };
    const acting = { roomId, act: "create", index: context.index } as const;
    const replica = this.#watched(acting, () => RoomReplica.create(this.#host, birth));
    if (isRefusal(replica)) return { type: "done", value: replica };
    this.rooms.set(roomId, replica);
    this.#touch(roomId, context.index);
    this.#host.roomAdded(replica);
    return result;
  }

  forget(argument: Forget, context: SessionContext): ApplyResult {
    if (context.index <= this.#directoryIndex) return { type: "done", value: null };
    const verdict = this.#directory.origins.take({ ...context.origin, sequence: argument.sequence });
    if (verdict === "gap") return { type: "gap" };
    this.#touchDirectory(context.index);
    if (verdict !== "new") return { type: "done", value: null };
    this.#directory.forget(argument.roomId);
    // Who leads has got past what this replica did not, and the room has ended by itself.
    this.#standings.end(argument.roomId, context.index);
    return { type: "done", value: null };
  }

  /** The room is closed everywhere, and none of its code is asked: that is what is broken (design 5.4). */
  quarantine(argument: Quarantine, context: SessionContext): ApplyResult {
    const { roomId } = argument;
    const { index } = context;
    if (index > this.#directoryIndex) {
      const nodeId = context.origin.nodeId;
      const quarantined = this.#directory.quarantine(argument, { nodeId, index });
      if (quarantined !== null) {
        this.#touchDirectory(index);
        this.#tellOfQuarantine(quarantined);
      }
    }
    this.#standings.end(roomId, index);
    const replica = this.rooms.get(roomId);
    if (replica !== undefined) {
      replica.closeSockets(quarantinedCode, describeQuarantine(argument));
      this.#remove(replica);
      this.#touch(roomId, index);
    }
    return { type: "done", value: null };
  }

  #tellOfQuarantine(quarantined: QuarantinedRoom): void {
    const { group, log } = this.#host;
    const facts = { event: "room-quarantined", group, ...quarantined };
    log.error(facts, `${describeQuarantine(quarantined)} (said ${quarantined.nodeId})`);
  }

  /** For operators: the newest ones of this group, oldest first, and how many there have ever been. */
  get quarantined(): { readonly newest: readonly QuarantinedRoom[]; readonly count: number } {
    return { newest: this.#directory.quarantined, count: this.#directory.quarantinesCount };
  }

  /** Rooms that take no part on this replica, and why. */
  get standings(): ReadonlyMap<string, RoomStanding> {
    return this.#standings.all;
  }

  /** It stood still here and has ended; this is not durable yet. */
  hasEnded(roomId: string): boolean {
    return this.#standings.hasEnded(roomId);
  }

  /** It is here, or was and is not gone from the disk yet. */
  hasTraceOf(roomId: string): boolean {
    const isHere = this.rooms.has(roomId) || this.#standings.has(roomId) || this.hasEnded(roomId);
    return isHere || this.#directory.lists(roomId) || this.#dirt.firstIndex(roomId) !== null;
  }

  /**
   * Rooms that the directory still lists although they are gone: to be forgotten by a command. The directory's
   * checkpoint may be ahead of what has been applied since: a room that is still to be made again is not gone.
   */
  *gone(): Iterable<string> {
    for (const roomId of this.#directory.roomsMadeBy(this.#appliedIndex))
      if (!this.rooms.has(roomId) && !this.#standings.has(roomId)) yield roomId;
  }

  // ---- rooms ------------------------------------------------------------------------------------------------------

  reserve(argument: Reserve, context: SessionContext): ApplyResult {
    return this.#withRoom(argument.roomId, context, (replica) => replica.reserve(argument, context));
  }

  attach(argument: Attach, context: SessionContext): ApplyResult {
    return this.#withRoom(argument.roomId, context, (replica) => replica.attach(argument, context));
  }

  detach(argument: Detach, context: SessionContext): ApplyResult {
    return this.#withRoom(argument.roomId, context, (replica) => replica.detach(argument, context));
  }

  message(argument: Message, context: SessionContext): ApplyResult {
    return this.#withRoom(argument.roomId, context, (replica) => replica.message(argument, context));
  }

  call(argument: Call, context: SessionContext): ApplyResult {
    return this.#withRoom(argument.roomId, context, (replica) => replica.call(argument, context));
  }

  nodeLost(argument: NodeLost, context: SessionContext): ApplyResult {
    for (const replica of [...this.rooms.values()]) {
      const holds = [...replica.seats.values()].some((seat) => seat.attachment?.nodeId === argument.nodeId);
      if (!holds) continue;
      this.#withRoom(replica.roomId, context, () => {
        replica.nodeLost(argument, context);
        return { type: "done", value: null };
      });
    }
    return { type: "done", value: null };
  }

  tick(_argument: null, context: SessionContext): ApplyResult {
    for (const replica of [...this.rooms.values()]) {
      const dueMs = replica.timers.nextDueMs();
      if (dueMs === null || dueMs > context.logTimeMs) continue;
      this.#withRoom(replica.roomId, context, () => {
        replica.tick(context);
        return { type: "done", value: null };
      });
    }
    return { type: "done", value: null };
  }

  nextTickMs(): number | null {
    if (this.#nextTickMs !== undefined) return this.#nextTickMs;
    let next: number | null = null;
    for (const replica of this.rooms.values()) {
      const dueMs = replica.timers.nextDueMs();
      if (dueMs !== null && (next === null || dueMs < next)) next = dueMs;
    }
    this.#nextTickMs = next;
    return next;
  }

  tickCommand(): Uint8Array {
    return tickCommand;
  }

  drained(): void {
    for (const replica of this.#spoken) replica.flushAcks(this.#host.encodeAck);
    this.#spoken.clear();
  }

  // ---- checkpoints ------------------------------------------------------------------------------------------------

  dirty(): Iterable<{ key: string; firstIndex: number }> {
    return this.#dirt.dirty();
  }

  save(key: string): Checkpoint | null | "deleted" {
    const index = this.#appliedIndex;
    if (key === directoryKey) {
      this.#dirt.saving(key, index);
      return { index, bytes: this.#directory.save() };
    }
    if (this.#standings.has(key)) return null;
    const replica = this.rooms.get(key);
    const bytes = replica && this.#watched({ roomId: key, act: "save", index }, () => replica.save());
    if (bytes === null) return null;
    this.#dirt.saving(key, index);
    return bytes === undefined ? "deleted" : { index, bytes };
  }

  saved(key: string, index: number): void {
    this.#dirt.saved(key, index);
    const isGone = (part: string) => this.#dirt.firstIndex(part) === null && !this.rooms.has(part);
    if (key !== directoryKey && isGone(key)) this.#dirt.delete(key);
    // The directory's end of it too: not even a replay from its creation on meets the room again.
    const directoryFirst = this.#dirt.firstIndex(directoryKey) ?? Number.POSITIVE_INFINITY;
    this.#standings.settle((roomId, endedAt) => isGone(roomId) && directoryFirst > endedAt);
  }

  // -----------------------------------------------------------------------------------------------------------------

  #withRoom(
    roomId: string,
    context: SessionContext,
    act: (replica: RoomReplica) => ApplyResult,
  ): ApplyResult {
    if (this.#standings.has(roomId)) return this.#passedOver(roomId);
    const replica = this.rooms.get(roomId);
    if (replica === undefined) return { type: "done", value: this.notServed(roomId) };
    // The room's checkpoint has this command already.
    if (context.index <= replica.index)
      return { type: "done", value: refusal("APPLIED_RESULT_FORGOTTEN", "this was applied before") };
    this.#touch(roomId, context.index);
    this.#spoken.add(replica);
    const result = this.#watched({ roomId, act: "apply", index: context.index }, () => act(replica));
    if (replica.disposed) this.#remove(replica);
    return result;
  }

  #passedOver(roomId: string): ApplyResult {
    return { type: "done", value: this.notServed(roomId) };
  }

  /** Why the room cannot be had here: it stands still, was quarantined, or does not exist. */
  notServed(roomId: string): Refusal {
    const standing = this.#standings.of(roomId);
    if (standing !== undefined) return refusal("ROOM_STANDS_STILL", describeStanding(roomId, standing));
    const quarantined = this.#directory.quarantined.find((each) => each.roomId === roomId);
    return quarantined === undefined
      ? refusal("ROOM_NOT_FOUND", `room "${roomId}" is not there, or no longer`)
      : refusal("ROOM_QUARANTINED", describeQuarantine(quarantined));
  }

  #remove(replica: RoomReplica): void {
    this.rooms.delete(replica.roomId);
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

  #touchDirectory(index: number): void {
    this.#touch(directoryKey, index);
  }

  #touch(key: string, index: number): void {
    this.#dirt.touch(key, index);
  }
}
