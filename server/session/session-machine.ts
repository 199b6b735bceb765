import { PartsDirt } from "../group/dirt.ts";
import type { AppliedCommand, ApplyResult, Machine } from "../group/machine.ts";
import type { Checkpoint } from "../storage/storage.ts";
import { AbsentNodes } from "./absent-nodes.ts";
import { switchRoom } from "./code-switch.ts";
import { applyVerdict } from "./divergence/apply-verdict.ts";
import type { EndedReplica, Healed, OddRooms } from "./divergence/odd-rooms.ts";
import type { Verdicts } from "./divergence/verdict.ts";
import type { EffectDone } from "./effect-outcome.ts";
import type { BeginRun, StepPiece } from "./led-program.ts";
import { mayTryReconnect } from "./live-socket.ts";
import { MachineRooms, type MachineRoomsHost } from "./machine-rooms.ts";
import { describeQuarantine, type Quarantine, type QuarantinedRoom, tellOfQuarantine } from "./quarantine.ts";
import { RoomDirectory } from "./room-directory.ts";
import type { RoomReplica } from "./room-replica.ts";
import { type RoomStanding, standingRefusal } from "./room-standing.ts";
import { actOnRun } from "./run-command.ts";
import { type Refusal, refusal, roomGone, type SessionError } from "./session-error.ts";
import type {
  Allocate,
  Attach,
  Call,
  Detach,
  Forget,
  Message,
  NodeFound,
  NodeLost,
  NodeMissing,
  Reserve,
  SessionCommands,
  SessionContext,
  SwitchCode,
} from "./session-menu.ts";
import { sessionMenu } from "./session-menu.ts";

export interface SessionMachineHost extends Omit<MachineRoomsHost, "isPrimary" | "holdsBack"> {
  /** This node leads the group, and has since that term began. */
  leads(term: number): boolean;
}

/** The key of the group's own part; rooms are keyed by their id. */
const directoryKey = "";
const tickCommand = sessionMenu.encode("tick", null);
const quarantineNumber = sessionMenu.numberOf("quarantine");
const nothing: ApplyResult = { type: "done", value: null };

/** The replicated state machine of one group: its directory and its rooms, each a part with an index of its own. */
export class SessionMachine implements Machine, SessionCommands {
  /** This node's version of the game's code. */
  readonly code: string;
  readonly #host: SessionMachineHost;
  readonly #dirt = new PartsDirt();
  readonly #rooms: MachineRooms;
  readonly #absent: AbsentNodes;
  #directory = new RoomDirectory();
  #directoryIndex = 0;
  /** Of the command at hand. */
  #term: number | null = null;

  constructor(given: SessionMachineHost) {
    this.#host = given;
    this.code = given.code;
    const isPrimary = () => this.#term !== null && given.leads(this.#term);
    const host = { ...given, isPrimary, holdsBack: (index: number) => this.#absent.holdsBack(index) };
    this.#rooms = new MachineRooms({ host, dirt: this.#dirt, notServed: (roomId) => this.notServed(roomId) });
    this.#absent = new AbsentNodes({ ...given, rooms: this.#rooms });
  }

  get rooms(): ReadonlyMap<string, RoomReplica> {
    return this.#rooms.all;
  }

  /** Those that differ from the majority's. */
  get odd(): OddRooms {
    return this.#rooms.odd;
  }

  /** Those whose replica has ended by itself, until it is agreed that the room has. */
  get ended(): ReadonlyMap<string, EndedReplica> {
    return this.#rooms.ended;
  }

  beginRestore(): void {
    this.#rooms.beginRestore();
    this.#dirt.clear();
    this.#directory = new RoomDirectory();
    this.#directoryIndex = 0;
  }

  restorePart(key: string, checkpoint: Checkpoint): void {
    if (key === directoryKey) {
      this.#directory = new RoomDirectory(checkpoint.bytes);
      this.#directoryIndex = checkpoint.index;
    } else if (this.#comesToLife(key, checkpoint.index)) this.#rooms.bringBack(key, checkpoint);
  }

  endRestore(): void {
    this.#rooms.endRestore();
  }

  #comesToLife(roomId: string, checkpointIndex: number): boolean {
    if (this.#directoryIndex > checkpointIndex && !this.#directory.lists(roomId)) {
      // Its end is in the log ahead, and known; its own code on the way there may be why it was ended.
      this.#dirt.touch(roomId, checkpointIndex + 1);
      return false;
    }
    return this.#rooms.standings.meet(roomId, checkpointIndex);
  }

  /**
   * A command that is committed and waits to be applied. What comes before a room's quarantine need not run any more, and
   * may be what this node cannot get past either.
   */
  foresee(ahead: Parameters<NonNullable<Machine["foresee"]>>[0]): void {
    this.#absent.foresee(ahead);
    const { index, command } = ahead;
    if (command[0] !== quarantineNumber) return;
    const { roomId } = sessionMenu.decode(command).argument as Quarantine;
    if (index > this.#directoryIndex)
      this.#rooms.standings.foresee(roomId, { index, appliedIndex: this.appliedIndex });
  }

  apply(applied: AppliedCommand): ApplyResult {
    const { index, command, logTimeMs, wallTimeMs, level, id } = applied;
    this.#rooms.begin({ index, bytes: command.length, wallTimeMs });
    const context: SessionContext = { index, logTimeMs, wallTimeMs, level, origin: id };
    this.#term = applied.term;
    const result = sessionMenu.apply(this, command, context) as ApplyResult;
    this.#term = null;
    return result;
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
    const { roomId, roomName, options, seed, code } = argument;
    const isHere = this.rooms.has(roomId) || this.odd.has(roomId);
    if (!this.#directory.createdBy(roomId, context.index) || isHere) return result;
    if (!this.#rooms.standings.meet(roomId, context.index - 1))
      return { type: "done", value: this.notServed(roomId) };
    const { origin: _, ...stamps } = context;
    const refused = this.#rooms.create({ roomId, roomName, options, seed, code, ...stamps });
    return refused === null ? result : { type: "done", value: refused };
  }

  forget(argument: Forget, context: SessionContext): ApplyResult {
    if (context.index <= this.#directoryIndex) return { type: "done", value: null };
    const verdict = this.#directory.origins.take({ ...context.origin, sequence: argument.sequence });
    if (verdict === "gap") return { type: "gap" };
    this.#touchDirectory(context.index);
    if (verdict !== "new") return { type: "done", value: null };
    this.#directory.forget(argument.roomId);
    // The majority has got past what this replica did not, and the room has ended by itself.
    this.#rooms.forget(argument.roomId, context.index);
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
        tellOfQuarantine(quarantined, this.#host);
      }
    }
    this.#rooms.close(roomId, index, describeQuarantine(argument));
    return { type: "done", value: null };
  }

  /** For operators: the newest ones of this group, oldest first, and how many there have ever been. */
  get quarantined(): { readonly newest: readonly QuarantinedRoom[]; readonly count: number } {
    return { newest: this.#directory.quarantined, count: this.#directory.quarantinesCount };
  }

  /** The room exists, as far as is known here. */
  lists(roomId: string): boolean {
    return this.#directory.lists(roomId);
  }

  /** Of a room that exists, as far as is known here. */
  nameOf(roomId: string): string | undefined {
    return this.#directory.nameOf(roomId);
  }

  /** Rooms that take no part on this replica, and why. */
  get standings(): ReadonlyMap<string, RoomStanding> {
    return this.#rooms.standings.all;
  }

  /** It stood still here and has ended; this is not durable yet. */
  hasEnded(roomId: string): boolean {
    return this.#rooms.standings.hasEnded(roomId);
  }

  /** It is here, or was and is not gone from the disk yet. */
  hasTraceOf(roomId: string): boolean {
    const isHere = this.rooms.has(roomId) || this.#rooms.standings.has(roomId) || this.hasEnded(roomId);
    return isHere || this.#directory.lists(roomId) || this.#dirt.firstIndex(roomId) !== null;
  }

  /**
   * Rooms that the directory still lists although they are gone: to be forgotten by a command. The directory's
   * checkpoint may be ahead of what has been applied since: a room that is still to be made again is not gone.
   */
  *gone(): Iterable<string> {
    for (const roomId of this.#directory.roomsMadeBy(this.appliedIndex))
      if (!this.rooms.has(roomId) && this.standing(roomId) === undefined) yield roomId;
  }

  /** Why this node does not speak for the room just now; undefined: it does, if it has it. */
  standing(roomId: string): RoomStanding | undefined {
    return this.#rooms.standing(roomId);
  }

  /** Those that this node may speak for. */
  servingRooms(): Iterable<RoomReplica> {
    return this.#rooms.serving();
  }

  // ---- rooms ------------------------------------------------------------------------------------------------------

  reserve(argument: Reserve, context: SessionContext): ApplyResult {
    return this.#rooms.withRoom(argument, context, (replica) => replica.reserve(argument, context));
  }

  attach(argument: Attach, context: SessionContext): ApplyResult {
    const { nodeId, bootCount } = this.#host;
    const { origin } = context;
    if (this.odd.has(argument.roomId) && origin.nodeId === nodeId && origin.bootCount === bootCount)
      this.#host.takeSocket(argument.attachId)?.close(mayTryReconnect, "go on elsewhere");
    return this.#rooms.withRoom(argument, context, (replica) => replica.attach(argument, context));
  }

  detach(argument: Detach, context: SessionContext): ApplyResult {
    return this.#rooms.withRoom(argument, context, (replica) => replica.detach(argument, context));
  }

  message(argument: Message, context: SessionContext): ApplyResult {
    // Its number is the client's, or counts within one epoch: not the node's.
    const { roomId } = argument;
    return this.#rooms.withRoom({ roomId }, context, (replica) => replica.message(argument, context));
  }

  /** A message that is in no log: see Eventuals. */
  runEventual(...told: Parameters<MachineRooms["runEventual"]>): SessionError | null {
    return this.#rooms.runEventual(...told);
  }

  call(argument: Call, context: SessionContext): ApplyResult {
    return this.#rooms.withRoom(argument, context, (replica) => replica.call(argument, context));
  }

  effectDone(argument: EffectDone, context: SessionContext): ApplyResult {
    return this.#rooms.withRoom(argument, context, (replica) => replica.effectDone(argument, context));
  }

  // A run and its steps are numbered by themselves.
  beginRun(argument: BeginRun, context: SessionContext): ApplyResult {
    return actOnRun(this.#rooms, argument, context, (led) => led.beginRun(argument, context.origin));
  }

  step(argument: StepPiece, context: SessionContext): ApplyResult {
    return actOnRun(this.#rooms, argument, context, (led) => led.step(argument, context.origin));
  }

  switchCode(argument: SwitchCode, context: SessionContext): ApplyResult {
    return { type: "done", value: switchRoom(this.#rooms, argument, context) };
  }

  nodeLost(argument: NodeLost, context: SessionContext): ApplyResult {
    return this.#absent.lost(argument, context);
  }

  nodeMissing(argument: NodeMissing, context: SessionContext): ApplyResult {
    return this.#absent.missing(argument, context, this.#term);
  }

  nodeFound(argument: NodeFound, context: SessionContext): ApplyResult {
    return this.#absent.found(argument, context);
  }

  missingCommand(nodeId: string, known: { appliedAtMost: number; term: number }): Uint8Array | null {
    return this.#absent.missingCommand(nodeId, known);
  }

  tick(_argument: null, context: SessionContext): ApplyResult {
    const isDue = (replica: RoomReplica) => {
      const dueMs = replica.world.nextDueMs();
      return dueMs !== null && dueMs <= context.logTimeMs;
    };
    return this.#rooms.withRooms(context, isDue, (replica) => replica.tick(context));
  }

  nextTickMs(): number | null {
    return this.#rooms.nextTickMs();
  }

  tickCommand(): Uint8Array {
    return tickCommand;
  }

  lacksParts(nodeId?: string): boolean {
    return nodeId === undefined ? this.odd.hasAbsent : this.#host.isLacking(nodeId);
  }

  drained(): void {
    this.#rooms.drained();
    this.#host.drained();
  }

  heard(from: string, body: Uint8Array): void {
    this.#host.heard(from, body);
  }

  // ---- checkpoints ------------------------------------------------------------------------------------------------

  dirty(): Iterable<{ key: string; firstIndex: number }> {
    return this.#dirt.dirty();
  }

  save(key: string): Checkpoint | null | "deleted" {
    const index = this.appliedIndex;
    if (key === directoryKey) {
      this.#dirt.saving(key, index);
      return { index, bytes: this.#directory.save() };
    }
    const bytes = this.#rooms.save(key);
    if (bytes === null) return null;
    this.#dirt.saving(key, index);
    return bytes === undefined ? "deleted" : { index, bytes };
  }

  letGo(key: string): Checkpoint | null {
    const index = this.appliedIndex;
    const bytes = key === directoryKey ? null : this.#rooms.letGo(key);
    if (bytes === null) return null;
    this.#dirt.saving(key, index);
    return { index, bytes };
  }

  saved(key: string, index: number): void {
    this.#dirt.saved(key, index);
    const isGone = (part: string) => this.#dirt.firstIndex(part) === null && !this.rooms.has(part);
    if (key !== directoryKey && isGone(key)) this.#dirt.delete(key);
    // The directory's end of it too: not even a replay from its creation on meets the room again.
    const directoryFirst = this.#dirt.firstIndex(directoryKey) ?? Number.POSITIVE_INFINITY;
    this.#rooms.standings.settle((roomId, endedAt) => isGone(roomId) && directoryFirst > endedAt);
  }

  // ---- replicas that differ ---------------------------------------------------------------------------------------

  verdicts({ verdicts }: Verdicts, context: SessionContext): ApplyResult {
    for (const verdict of verdicts) applyVerdict(verdict, context, this.#rooms, this.#host);
    return nothing;
  }

  /** The last command that was applied here; a part may be ahead of it, right after a start. */
  get appliedIndex(): number {
    return this.#rooms.appliedIndex;
  }

  /** Replaces a replica that differs by a holder's: see OddRooms. */
  heal(roomId: string, checkpoint: Checkpoint): Healed {
    return this.#rooms.heal(roomId, checkpoint);
  }

  /** The room as it is now; null: it is not at rest. */
  copyOf(replica: RoomReplica): Uint8Array | null {
    return this.#rooms.copyOf(replica);
  }

  // -----------------------------------------------------------------------------------------------------------------

  /** Why the room cannot be had here: it stands still, was quarantined, or does not exist. */
  notServed(roomId: string): Refusal {
    const standing = this.standing(roomId);
    if (standing !== undefined) return standingRefusal(roomId, standing);
    const quarantined = this.#directory.quarantined.find((each) => each.roomId === roomId);
    return quarantined === undefined
      ? roomGone(roomId)
      : refusal("ROOM_QUARANTINED", describeQuarantine(quarantined));
  }

  #touchDirectory(index: number): void {
    this.#dirt.touch(directoryKey, index);
  }
}
