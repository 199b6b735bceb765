import type { AppliedCommand, ApplyResult, Machine } from "../group/machine.ts";
import type { Checkpoint } from "../storage/storage.ts";
import { Dirt } from "./dirt.ts";
import { RoomDirectory } from "./room-directory.ts";
import type { RoomHost } from "./room-host.ts";
import { RoomReplica } from "./room-replica.ts";
import { isRefusal, refusal } from "./session-error.ts";
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
  /** A room is here from now on, or no longer. */
  roomAdded(replica: RoomReplica): void;
  roomRemoved(replica: RoomReplica): void;
  encodeAck(sequence: number): Uint8Array;
}

/** The key of the group's own part; rooms are keyed by their id. */
const directoryKey = "";
const tickCommand = sessionMenu.encode("tick", null);

/** The replicated state machine of one group: its directory and its rooms, each a part with an index of its own. */
export class SessionMachine implements Machine, SessionCommands {
  readonly rooms = new Map<string, RoomReplica>();
  readonly #host: SessionMachineHost;
  readonly #dirt = new Map<string, Dirt>();
  /** Rooms with commands since the last drain: they may have something for their clients. */
  readonly #spoken = new Set<RoomReplica>();
  #directory = new RoomDirectory();
  #directoryIndex = 0;
  /** The last command that was applied to anything: what a part that is saved now stands at. */
  #appliedIndex = 0;
  /** Asked on every turn of the leader's, and changed only by commands. */
  #nextTickMs: number | null | undefined = undefined;

  constructor(host: SessionMachineHost) {
    this.#host = host;
  }

  restore(checkpoints: ReadonlyMap<string, Checkpoint>): void {
    const replaced = [...this.rooms.values()];
    for (const replica of replaced) replica.discard();
    this.rooms.clear();
    this.#dirt.clear();
    this.#spoken.clear();
    this.#appliedIndex = 0;
    this.#nextTickMs = undefined;
    const directory = checkpoints.get(directoryKey);
    this.#directory = new RoomDirectory(directory?.bytes);
    this.#directoryIndex = directory?.index ?? 0;
    for (const [roomId, checkpoint] of checkpoints) {
      if (roomId === directoryKey) continue;
      const replica = RoomReplica.restore(this.#host, checkpoint.bytes);
      replica.index = checkpoint.index;
      this.rooms.set(roomId, replica);
      this.#host.roomAdded(replica);
    }
    // A room that lives on was never gone: this node goes on numbering what it proposes to it.
    for (const replica of replaced) if (!this.rooms.has(replica.roomId)) this.#host.roomRemoved(replica);
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
    if (!this.#directory.createdBy(argument.roomId, context.index) || this.rooms.has(argument.roomId))
      return result;
    const { roomId, roomName, options, seed } = argument;
    const birth = {
      roomId,
      roomName,
      options,
      seed,
      index: context.index,
      logTimeMs: context.logTimeMs,
      wallTimeMs: context.wallTimeMs,
    };
    const replica = RoomReplica.create(this.#host, birth);
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
    if (verdict === "new") this.#directory.forget(argument.roomId);
    return { type: "done", value: null };
  }

  /**
   * Rooms that the directory still lists although they are gone: to be forgotten by a command. The directory's
   * checkpoint may be ahead of what has been applied since: a room that is still to be made again is not gone.
   */
  *gone(): Iterable<string> {
    for (const roomId of this.#directory.roomsMadeBy(this.#appliedIndex))
      if (!this.rooms.has(roomId)) yield roomId;
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

  *dirty(): Iterable<{ key: string; firstIndex: number }> {
    for (const [key, dirt] of this.#dirt)
      if (dirt.firstIndex !== null) yield { key, firstIndex: dirt.firstIndex };
  }

  save(key: string): Checkpoint | null | "deleted" {
    const dirt = this.#dirt.get(key);
    if (key === directoryKey) {
      dirt?.saving(this.#appliedIndex);
      return { index: this.#appliedIndex, bytes: this.#directory.save() };
    }
    const replica = this.rooms.get(key);
    const bytes = replica?.save();
    if (bytes === null) return null;
    dirt?.saving(this.#appliedIndex);
    return bytes === undefined ? "deleted" : { index: this.#appliedIndex, bytes };
  }

  saved(key: string, index: number): void {
    const dirt = this.#dirt.get(key);
    dirt?.saved(index);
    if (dirt?.firstIndex === null && key !== directoryKey && !this.rooms.has(key)) this.#dirt.delete(key);
  }

  // -----------------------------------------------------------------------------------------------------------------

  #withRoom(
    roomId: string,
    context: SessionContext,
    act: (replica: RoomReplica) => ApplyResult,
  ): ApplyResult {
    const replica = this.rooms.get(roomId);
    if (replica === undefined)
      return {
        type: "done",
        value: refusal("ROOM_NOT_FOUND", `room "${roomId}" is not there, or no longer`),
      };
    // The room's checkpoint has this command already.
    if (context.index <= replica.index)
      return { type: "done", value: refusal("APPLIED_RESULT_FORGOTTEN", "this was applied before") };
    this.#touch(roomId, context.index);
    this.#spoken.add(replica);
    const result = act(replica);
    if (replica.disposed) {
      this.rooms.delete(roomId);
      this.#host.roomRemoved(replica);
      replica.discard();
    }
    return result;
  }

  #touchDirectory(index: number): void {
    this.#touch(directoryKey, index);
  }

  #touch(key: string, index: number): void {
    let dirt = this.#dirt.get(key);
    if (dirt === undefined) {
      dirt = new Dirt();
      this.#dirt.set(key, dirt);
    }
    dirt.touch(index);
  }
}
