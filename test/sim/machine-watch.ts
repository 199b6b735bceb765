import type { AppliedCommand, ApplyResult, Machine } from "../../server/group/machine.ts";
import type { Quarantine } from "../../server/session/quarantine.ts";
import type { RoomReplica } from "../../server/session/room-replica.ts";
import { isRefusal } from "../../server/session/session-error.ts";
import type { SessionMachine } from "../../server/session/session-machine.ts";
import {
  type Allocate,
  type NodeLost,
  type NodeMissing,
  sessionMenu,
} from "../../server/session/session-menu.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import type { Coverage } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import type { LedLaws } from "./led-laws.ts";
import { OwedMessages } from "./owed-messages.ts";
import type { Poison } from "./poison.ts";
import { PresenceLaws } from "./presence-laws.ts";
import type { RoomTimes } from "./room-times.ts";
import { type Given, SessionModel } from "./session-model.ts";
import { taintOf } from "./sim-room.ts";
import { hold } from "./violation.ts";

/** Every so many entries all rooms are compared, graph by graph. */
const entriesPerComparison = 16;

/** How far one start of a node has come in a group, and which entries it has foreseen. */
interface Progress {
  readonly bootCount: number;
  appliedIndex: number;
  readonly foreseen: Set<number>;
  /** What was agreed about it. */
  readonly missing: { readonly appliedAtMost: number; readonly index: number }[];
}

/** What the replicas of all rooms were at the indexes at which they are compared, by whoever came there first. */
export class ReplicaBook {
  readonly poison: Poison;
  /** By room of which some replica was changed behind the log's back, ever: whose. */
  readonly tampered = new Map<string, Set<string>>();
  /**
   * Rooms whose majority may be wrong: an operator let them go on, or a new member has its state from a replica that was
   * tampered with.
   */
  readonly excused = new Set<string>();
  /**
   * By node and room: its replica was changed, and has not been put right since. Also over a restart: what it did not
   * carry out it did not count as news either, so its log may have been cut behind an older checkpoint.
   */
  readonly suspects = new Set<string>();
  /** Rooms that some replica has seen to their end, or that never came to life. */
  readonly ended = new Set<string>();
  /** Rooms that some node did not have, ever: what it gives for their commands is nothing that others give. */
  readonly absent = new Set<string>();
  readonly #known = new Map<string, { readonly node: string; readonly what: string }>();
  #broken: unknown = null;
  readonly #coverage: Coverage;
  readonly #models = new Map<number, { readonly model: SessionModel; index: number }>();
  readonly owed: OwedMessages;
  readonly led: LedLaws;
  readonly presence: PresenceLaws;
  /** While a command is applied for the first time anywhere. */
  #first: AppliedCommand | null = null;
  /** By node and group, of all its starts. */
  readonly #progress = new Map<string, Progress[]>();

  constructor(coverage: Coverage, poison: Poison, led: LedLaws) {
    this.#coverage = coverage;
    this.led = led;
    this.presence = new PresenceLaws(coverage);
    this.owed = new OwedMessages(coverage);
    this.poison = poison;
  }

  /** What room code does is looked at in the midst of it, where whatever is thrown would be the room's failure. */
  watched<Args extends unknown[]>(look: (...args: Args) => void): (...args: Args) => void {
    return (...args) => {
      try {
        look(...args);
      } catch (error) {
        this.#broken ??= error;
      }
    };
  }

  /** Behind room code. @throws what was found wrong in the midst of it */
  check(): void {
    if (this.#broken !== null) throw this.#broken;
  }

  starts(node: string, group: number, bootCount: number): Progress {
    const progress = { bootCount, appliedIndex: 0, foreseen: new Set<number>(), missing: [] };
    const key = `${node} ${group}`;
    this.#progress.set(key, [...(this.#progress.get(key) ?? []), progress]);
    return progress;
  }

  /** Who is said to be missing has applied no more than is said, or has read that it is. */
  #lookAtMissing(group: number, { index, term, command }: AppliedCommand): void {
    const { name, argument } = sessionMenu.decode(command);
    if (name !== "nodeMissing" || (argument as NodeMissing).term !== term) return;
    const { nodeId, bootCountMax, appliedAtMost } = argument as NodeMissing;
    for (const progress of this.#progress.get(`${nodeId} ${group}`) ?? []) {
      if (progress.bootCount > bootCountMax) continue;
      progress.missing.push({ appliedAtMost, index });
      this.#holdForeseen(progress, progress.appliedIndex, () => `${nodeId} in group ${group}`);
    }
  }

  #holdForeseen({ missing, foreseen }: Progress, appliedIndex: number, who: () => string): void {
    const unread = missing.find(
      ({ appliedAtMost, index }) =>
        appliedIndex > appliedAtMost && appliedIndex <= index && !foreseen.has(index),
    );
    hold(
      unread === undefined,
      "X52",
      () =>
        `${who()} applies ${appliedIndex}; entry ${unread?.index}, which it has not read, names ${unread?.appliedAtMost}`,
    );
  }

  #modelOf(group: number): { readonly model: SessionModel; index: number } {
    let known = this.#models.get(group);
    if (known === undefined) {
      known = { model: new SessionModel(this.led), index: 0 };
      this.#models.set(group, known);
    }
    return known;
  }

  /** A replica of `node` is about to apply a command. */
  applying(node: string, group: number, command: AppliedCommand, progress: Progress): void {
    this.#first = command.index > this.#modelOf(group).index ? command : null;
    if (this.#first !== null) this.#lookAtMissing(group, command);
    progress.appliedIndex = command.index;
    this.#holdForeseen(progress, command.index, () => `${node} in group ${group}`);
  }

  said(sessionIds: readonly string[], number: number): void {
    if (this.#first === null) return;
    const { index, logTimeMs } = this.#first;
    this.owed.said(sessionIds, { number, index, atMs: logTimeMs });
  }

  /** What the first replica that comes to a command gives for it, against what the log says. */
  model(group: number, command: AppliedCommand, given: Omit<Given, "synced">): void {
    const known = this.#modelOf(group);
    this.#first = null;
    if (command.index <= known.index) return;
    known.index = command.index;
    known.model.applied(command, { ...given, synced: this.led.applied(command, given) });
    this.owed.applied(group, command, given.result, given.rooms.values());
  }

  compare(key: string, node: string, what: string): void {
    const known = this.#known.get(key);
    if (known === undefined) {
      this.#known.set(key, { node, what });
      return;
    }
    this.#coverage.hit("hashesCompared");
    hold(known.what === what, "X8", () => `${key} on ${node}: ${what}; on ${known.node}: ${known.what}`);
  }
}

export interface MachineWatchParts {
  readonly node: string;
  readonly bootCount: number;
  readonly group: number;
  readonly machine: SessionMachine;
  readonly laws: Laws;
  readonly book: ReplicaBook;
  readonly times: RoomTimes;
  readonly coverage: Coverage;
  /** Nodes that have a replica of the room just now. */
  readonly holders: (roomId: string) => readonly string[];
}

type Standing = "frozen" | "diverged" | "absent";
const begun = { frozen: "freezes", diverged: "divergences", absent: "absences" } as const;
const over = { frozen: "thaws", diverged: "healed", absent: "returns" } as const;

/** Looks over a group's shoulder: each command that is applied, and what the rooms are then. */
export class MachineWatch implements Machine {
  readonly #node: string;
  readonly #group: number;
  readonly #machine: SessionMachine;
  readonly #laws: Laws;
  readonly #book: ReplicaBook;
  readonly #times: RoomTimes;
  readonly #coverage: Coverage;
  readonly #holders: MachineWatchParts["holders"];
  readonly #progress: Progress;
  readonly #hashPoints = new Map<string, number>();
  /** By part: as of when it was last saved, if there was anything to save. */
  readonly #savedAt = new Map<string, number>();
  /** One at the start, and one for each snapshot that is installed. */
  #restores = 0;
  /** Rooms that this node does not speak for. */
  #standings = new Map<string, Standing>();
  #wholeFrom = 0;
  /** A room that was disposed later in the log may be gone from the disk already. */
  #listedFrom = 0;
  /** From here on every entry is compared. */
  compareFrom = Number.POSITIVE_INFINITY;

  constructor({ node, bootCount, group, machine, laws, book, times, coverage, holders }: MachineWatchParts) {
    this.#progress = book.starts(node, group, bootCount);
    this.#node = node;
    this.#group = group;
    this.#machine = machine;
    this.#laws = laws;
    this.#book = book;
    this.#times = times;
    this.#coverage = coverage;
    this.#holders = holders;
  }

  beginRestore(): void {
    this.#restores += 1;
    this.#wholeFrom = 0;
    this.#savedAt.clear();
    this.#laws.wholes.restoring(this.#node, this.#group);
    this.#listedFrom = this.#laws.committedIndex(this.#group);
    this.#machine.beginRestore();
  }

  restorePart(key: string, checkpoint: Checkpoint): void {
    this.#wholeFrom = Math.max(this.#wholeFrom, checkpoint.index);
    this.#laws.wholes.restored(this.#node, this.#group, checkpoint.index);
    // It may be of a replica that was changed, and not be put right itself when that one is.
    if (this.#restores > 1 && this.#book.tampered.has(key)) this.#book.suspects.add(`${this.#node} ${key}`);
    this.#machine.restorePart(key, checkpoint);
  }

  endRestore(): void {
    this.#machine.endRestore();
    this.#lookAtStandings();
  }

  apply(command: AppliedCommand): ApplyResult {
    this.#laws.applied(this.#node, this.#group, command);
    this.#times.applying();
    for (const [roomId, { world }] of this.#machine.rooms) this.#times.watch(world.timers, roomId);
    const had = new Set(this.#machine.rooms.keys());
    const staying = this.#seatsOfLaterStarts(command);
    this.#lookAtLost(command);
    this.#book.applying(this.#node, this.#group, command, this.#progress);
    const result = this.#machine.apply(command);
    for (const { sessionId, isAttached } of staying)
      hold(isAttached(), "X45", () => `${command.index} detaches ${sessionId}, which a later start holds`);
    this.#times.applied();
    this.#book.check();
    const { index } = command;
    const { rooms } = this.#machine;
    const isLost = (roomId: string) =>
      this.#book.poison.hasMet(roomId, index) ||
      this.#book.tampered.has(roomId) ||
      this.#book.absent.has(roomId);
    const isWhole =
      index > this.#wholeFrom && !this.#concerns(command, isLost) && !this.#isGoneAlready(index, result);
    this.#laws.calls.gave(this.#node, this.#group, {
      ...{ command, result, isWhole },
      isNews: index > this.#wholeFrom,
    });
    this.#book.model(this.#group, command, { result, rooms, isLost });
    this.#lookAtStandings();
    this.#lookAtGone(command, had);
    for (const [roomId, replica] of this.#machine.rooms) {
      const hashPoint = replica.witness.last;
      if (this.#isSuspect(replica)) {
        if (!this.#book.tampered.get(roomId)?.has(this.#node)) this.#book.excused.add(roomId);
        continue;
      }
      if (hashPoint === null || hashPoint.index === this.#hashPoints.get(roomId)) continue;
      this.#hashPoints.set(roomId, hashPoint.index);
      this.#book.compare(`hash point ${roomId} ${hashPoint.index}`, this.#node, hashPoint.hash);
    }
    if (index % entriesPerComparison === 0 || index >= this.compareFrom) this.compareRooms(index);
    return result;
  }

  /** A room that counts as gone was there, and has ended by this command or an earlier one. */
  #lookAtGone({ index, command }: AppliedCommand, had: ReadonlySet<string>): void {
    for (const roomId of this.#machine.gone()) {
      if (this.#book.ended.has(roomId)) continue;
      const { name, argument } = sessionMenu.decode(command);
      const isRefused = name === "allocate" && (argument as Allocate).roomId === roomId;
      // It may have been closed later in the log, and its checkpoint be gone already.
      const isTroubled = this.#book.tampered.has(roomId) || this.#book.poison.rooms.has(roomId);
      hold(
        had.has(roomId) || isRefused || isTroubled,
        "X47",
        () => `${this.#node} takes room ${roomId} for gone at ${index}, which nobody has seen end`,
      );
      this.#book.ended.add(roomId);
    }
  }

  /** A room that is closed since nobody has it any more. */
  #lookAtLost({ command }: AppliedCommand): void {
    const { name, argument } = sessionMenu.decode(command);
    const { roomId, act } = (argument ?? {}) as Partial<Quarantine>;
    if (name !== "quarantine" || act !== "pin" || roomId === undefined || !this.#machine.lists(roomId))
      return;
    this.#coverage.hit("roomsLost");
    const { voters, learners } = this.#laws.committedConfiguration(this.#group);
    const members = new Set([...voters, ...learners].map(({ nodeId }) => nodeId));
    const holders = this.#holders(roomId).filter((nodeId) => members.has(nodeId));
    hold(holders.length === 0, "X54", () => `${roomId} is closed as lost, and ${holders.join()} has it`);
  }

  #isSuspect(replica: RoomReplica): boolean {
    return taintOf(replica) !== 0 || this.#book.suspects.has(`${this.#node} ${replica.roomId}`);
  }

  /** Of the node whose earlier starts are said to be over: what that is none of. */
  #seatsOfLaterStarts({ command }: AppliedCommand) {
    const { name, argument } = sessionMenu.decode(command);
    if (name !== "nodeLost") return [];
    const { nodeId, bootCountMax } = argument as NodeLost;
    return [...this.#machine.rooms.values()].flatMap(({ seats }) =>
      [...seats].flatMap(([sessionId, seat]) => {
        const { attachment } = seat;
        const isLater = attachment?.nodeId === nodeId && attachment.bootCount > bootCountMax;
        return isLater ? { sessionId, isAttached: () => seat.attachment !== null } : [];
      }),
    );
  }

  #concerns({ command }: AppliedCommand, isLost: (roomId: string) => boolean): boolean {
    const { poison, tampered, absent } = this.#book;
    if (poison.rooms.size === 0 && tampered.size === 0 && absent.size === 0) return false;
    const { roomId } = (sessionMenu.decode(command).argument ?? {}) as { roomId?: string };
    // Nothing of a room is carried out where it stands still, not even what came before its poison.
    return roomId !== undefined && (isLost(roomId) || this.#machine.standings.has(roomId));
  }

  /** The room ended later in the log, and its checkpoint with it. */
  #isGoneAlready(index: number, result: ApplyResult): boolean {
    if (index > this.#listedFrom || result.type !== "done") return false;
    return isRefusal(result.value) && result.value.refused === "ROOM_NOT_FOUND";
  }

  foresee(ahead: Pick<AppliedCommand, "index" | "term" | "command">): void {
    this.#progress.foreseen.add(ahead.index);
    this.#machine.foresee(ahead);
  }

  missingCommand(nodeId: string, known: { appliedAtMost: number; term: number }): Uint8Array | null {
    return this.#machine.missingCommand(nodeId, known);
  }

  compareRooms(index: number): void {
    const { rooms, standings } = this.#machine;
    // Parts that were restored from a later checkpoint are ahead of the log.
    if (index < this.#wholeFrom) return;
    for (const [roomId, replica] of rooms) {
      // It is not where the others are.
      if (standings.has(roomId)) continue;
      // It was tampered with: that it is found and put right is another law.
      if (this.#isSuspect(replica)) continue;
      const compare = (what: string, value: string) =>
        this.#book.compare(`${what} of room ${roomId} at ${index}`, this.#node, value);
      for (const { state } of replica.seats.values()) {
        const replies = state.replies.map(([requestId]) => requestId);
        compare(`seat ${state.sessionId}`, JSON.stringify({ ...state, replies }));
      }
      const timers = replica.world.timers.live.map(
        ({ id, dueMs, intervalMs }) => `${id} ${dueMs} ${intervalMs}`,
      );
      compare("timers", timers.sort().join());
      compare("seats", [...replica.seats.keys()].join());
      compare("time", `${replica.world.nowMs()} ${replica.world.wallMs()}`);
      compare("graph", replica.program.hash());
    }
    // A replica that was tampered with may be here still, or here no more, and the others' not.
    if (index < this.#listedFrom || this.#isTroubled) return;
    const listed = new Set([...rooms.keys(), ...standings.keys()]);
    const known = [...listed].filter((roomId) => !this.#book.poison.hasMet(roomId, index));
    this.#book.compare(`rooms of group ${this.#group} at ${index}`, this.#node, known.sort().join());
  }

  get #isTroubled(): boolean {
    const machine = this.#machine;
    // One that is not here may have ended where it was.
    if (machine.odd.all().some(({ isAbsent }) => isAbsent)) return true;
    // Whoever was made of a snapshot has it from another node.
    for (const roomId of this.#book.tampered.keys()) {
      const replica = machine.rooms.get(roomId);
      if (machine.odd.has(roomId) || machine.ended.has(roomId)) return true;
      if (replica !== undefined && taintOf(replica) !== 0) return true;
    }
    return false;
  }

  dirty(): Iterable<{ readonly key: string; readonly firstIndex: number }> {
    return this.#machine.dirty();
  }

  save(key: string): Checkpoint | null | "deleted" {
    const isDirty = this.#isDirty(key);
    const state = this.#machine.save(key);
    if (state !== null && isDirty) this.#savedAt.set(key, this.#machine.appliedIndex);
    return state;
  }

  letGo(key: string): Checkpoint | null {
    const state = this.#machine.letGo(key);
    if (state === null) return null;
    this.#coverage.hit("pinnings");
    if (this.#isDirty(key)) this.#savedAt.set(key, this.#machine.appliedIndex);
    return state;
  }

  saved(key: string, index: number): void {
    this.#machine.saved(key, index);
    const savedAt = this.#savedAt.get(key) ?? 0;
    hold(
      index >= savedAt || this.#isDirty(key),
      "X46",
      () => `"${key}" counts as clean by its checkpoint of ${index}, and was saved again at ${savedAt}`,
    );
  }

  #isDirty(key: string): boolean {
    return [...this.dirty()].some((part) => part.key === key);
  }

  nextTickMs(): number | null {
    return this.#machine.nextTickMs();
  }

  tickCommand(): Uint8Array {
    return this.#machine.tickCommand();
  }

  lacksParts(nodeId?: string): boolean {
    return this.#machine.lacksParts(nodeId);
  }

  drained(): void {
    this.#machine.drained();
    this.#lookAtStandings();
  }

  heard(from: string, body: Uint8Array): void {
    this.#machine.heard(from, body);
    this.#lookAtStandings();
  }

  /** Only a replica that was tampered with is ever found to differ, unless the majority may be wrong. */
  #lookAtStandings(): void {
    const before = this.#standings;
    this.#standings = new Map();
    for (const { divergence, isAbsent } of this.#machine.odd.all()) {
      const { roomId } = divergence;
      this.#standings.set(roomId, isAbsent ? "absent" : "diverged");
      if (isAbsent) this.#book.absent.add(roomId);
      const replica = this.#machine.rooms.get(roomId);
      hold(
        replica === undefined || this.#isSuspect(replica) || this.#book.excused.has(roomId),
        "V10",
        () => `${this.#node}'s replica of ${roomId} is what it should be, and is said to differ`,
      );
    }
    for (const [roomId, { witness }] of this.#machine.rooms)
      if (witness.frozen !== null && !this.#standings.has(roomId)) this.#standings.set(roomId, "frozen");
    for (const [roomId, standing] of this.#standings) {
      if (before.get(roomId) === standing) continue;
      this.#coverage.hit(begun[standing]);
    }
    for (const [roomId, standing] of before) {
      if (this.#standings.get(roomId) === standing || !this.#machine.rooms.has(roomId)) continue;
      this.#coverage.hit(over[standing]);
      if (standing !== "frozen") this.#book.suspects.delete(`${this.#node} ${roomId}`);
    }
  }
}
