import { pack, unpack } from "msgpackr";
import type { ApplyResult } from "../group/machine.ts";
import { sessionLimits } from "./limits.ts";
import { abnormalClosure, mayTryReconnect, type LiveSocket } from "./live-socket.ts";
import { Origins, type OriginsState } from "./origins.ts";
import { RoomRandom } from "./random.ts";
import type { RoomBirth, RoomEnvironment, RoomProgram, RoomPrograms } from "./room-program.ts";
import { type RoomTimer, RoomTimers } from "./room-timers.ts";
import { outsideWorld, runInWorld, settledOutside, type World } from "./sandbox.ts";
import { Seat, type SeatState } from "./seat.ts";
import { type Refusal, refusal } from "./session-error.ts";
import type { Attach, Call, Detach, Message, NodeLost, Reserve, SessionContext } from "./session-menu.ts";

/** What a replica needs from its node. */
export interface RoomHost {
  readonly nodeId: string;
  readonly bootCount: number;
  readonly programs: RoomPrograms;
  /** The socket that waits for this attachment, if it is this node's; handed out once. */
  takeSocket(attachId: number): LiveSocket | null;
  /** This node's client had given up before its attach was applied. */
  orphaned(roomId: string, sessionId: string, epoch: number): void;
  log: { warn(fields: object, message: string): void };
}

/** After so many commands a room's graph hash is taken: at equal indexes on every replica. */
const commandsPerHash = 32;
const checkpointVersion = 1;

interface Saved {
  readonly version: number;
  readonly birth: RoomBirth;
  readonly index: number;
  readonly nowMs: number;
  readonly wallMs: number;
  readonly random: [number, number, number, number];
  readonly origins: OriginsState;
  readonly seats: SeatState[];
  readonly commands: number;
  readonly hashPoint: { index: number; hash: string } | null;
  readonly program: Uint8Array;
}

type Settled<T> = { state: "pending"; promise: Promise<T> } | { state: "done"; value: T } | { state: "failed"; error: unknown };

/**
 * One room on this node: everything that a command for it reads or changes (design 5.2). Deduplication, clock, timers,
 * chance, seats and tokens live here; the game itself is the program.
 */
export class RoomReplica implements World, RoomEnvironment {
  readonly birth: RoomBirth;
  readonly nodeId: string;
  readonly seats: Map<string, Seat>;
  readonly timers = new RoomTimers(sessionLimits.timersMax);
  /** The last command that touched this room. */
  index: number;
  /** Index and graph hash of the last point that all replicas share. */
  hashPoint: { index: number; hash: string } | null = null;
  lastError: string | null = null;
  readonly #host: RoomHost;
  readonly #origins: Origins;
  readonly #random: RoomRandom;
  readonly #sockets = new Map<string, { readonly socket: LiveSocket; readonly epoch: number }>();
  readonly #acks = new Map<string, number>();
  readonly #open = new Map<number, string>();
  #nextOpen = 1;
  #program: RoomProgram | null = null;
  #nowMs: number;
  #wallMs: number;
  #commands: number;

  private constructor(host: RoomHost, birth: RoomBirth, saved: Saved | null) {
    this.#host = host;
    this.birth = birth;
    this.nodeId = host.nodeId;
    this.index = birth.index;
    this.#nowMs = birth.logTimeMs;
    this.#wallMs = birth.wallTimeMs;
    this.#random = RoomRandom.seeded(birth.seed);
    this.#origins = new Origins(saved?.origins);
    this.#commands = saved?.commands ?? 0;
    this.seats = new Map((saved?.seats ?? []).map((state) => [state.sessionId, Seat.from(state)]));
  }

  /** The room as the log creates it; a refusal says why there is none. */
  static create(host: RoomHost, birth: RoomBirth): RoomReplica | Refusal {
    const replica = new RoomReplica(host, birth, null);
    const made = replica.#settle(() => host.programs.create(replica));
    if (made.state === "done") {
      replica.#program = made.value;
      return replica;
    }
    replica.discard();
    if (made.state === "pending") {
      return refusal("ROOM_CREATE_FAILED", `onCreate of "${birth.roomName}" waits for something outside the log: it must finish by itself`);
    }
    return asRefusal("ROOM_CREATE_FAILED", made.error);
  }

  /** @throws if the checkpoint cannot be brought back to life: a replica that would differ must not exist. */
  static restore(host: RoomHost, bytes: Uint8Array): RoomReplica {
    const saved = unpack(bytes) as Saved;
    if (saved.version !== checkpointVersion) throw new Error(`room checkpoint of version ${saved.version}, this code reads ${checkpointVersion}`);
    const replica = new RoomReplica(host, saved.birth, saved);
    const made = replica.#settle(() => host.programs.restore(replica, saved.program, replica.seats));
    if (made.state === "failed") throw made.error;
    if (made.state === "pending") throw new Error(`room ${saved.birth.roomId} does not come to rest while it is restored`);
    replica.#program = made.value;
    replica.index = saved.index;
    replica.#nowMs = saved.nowMs;
    replica.#wallMs = saved.wallMs;
    replica.#random.restore(saved.random);
    replica.hashPoint = saved.hashPoint;
    return replica;
  }

  get roomId(): string {
    return this.birth.roomId;
  }

  get program(): RoomProgram {
    if (this.#program === null) throw new Error(`room ${this.roomId} is not created yet`);
    return this.#program;
  }

  get disposed(): boolean {
    return this.program.disposed;
  }

  restlessBecause(): string | null {
    const open = this.#open.values().next();
    if (!open.done) return `${open.value} has not finished`;
    return this.program.restlessBecause();
  }

  save(): Uint8Array {
    const saved: Saved = {
      version: checkpointVersion,
      birth: this.birth,
      index: this.index,
      nowMs: this.#nowMs,
      wallMs: this.#wallMs,
      random: this.#random.state,
      origins: this.#origins.state,
      seats: [...this.seats.values()].map((seat) => seat.state),
      commands: this.#commands,
      hashPoint: this.hashPoint,
      program: this.program.save(),
    };
    return pack(saved);
  }

  // ---- the world of the room's code -------------------------------------------------------------------------------

  get label(): string {
    return `room ${this.birth.roomName} ${this.birth.roomId}`;
  }

  get world(): World {
    return this;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  random(): number {
    return this.#random.next();
  }

  setTimer(callback: (...args: unknown[]) => void, delayMs: number, intervalMs: number | null, args: unknown[]): RoomTimer {
    return this.timers.create({ nowMs: this.#nowMs, callback, delayMs, intervalMs, args });
  }

  clearTimer(timer: unknown): void {
    this.timers.clear(timer);
  }

  created(): void {
    this.timers.creating = false;
  }

  track(promise: PromiseLike<unknown>, what: string): void {
    this.#untilSettled(promise, what, (error) => this.report(error, what));
  }

  watch(promise: PromiseLike<unknown>, what: string): void {
    this.#untilSettled(promise, what, () => {});
  }

  report(error: unknown, where: string): void {
    const message = error instanceof Error ? error.message : String(error);
    this.lastError = `${where}: ${message}`;
    const fields = { roomId: this.roomId, room: this.birth.roomName, where, error: message };
    outsideWorld(() => this.#host.log.warn(fields, "room code failed"));
  }

  deliver(seat: Seat, epoch: number, frame: Uint8Array): void {
    const here = this.#sockets.get(seat.sessionId);
    if (here !== undefined && here.epoch === epoch) outsideWorld(() => here.socket.send(frame));
  }

  isHere(seat: Seat): boolean {
    return this.#sockets.get(seat.sessionId)?.epoch === seat.epoch;
  }

  // ---- commands ---------------------------------------------------------------------------------------------------

  reserve(argument: Reserve, context: SessionContext): ApplyResult {
    return this.#proposed(argument.sequence, context, () => {
      if (this.seats.size >= sessionLimits.seatsMax) {
        return refusal("SEATS_TOO_MANY", `a room has at most ${sessionLimits.seatsMax} seats: open another room`);
      }
      const reserved = this.#settle(() => this.program.reserve(argument));
      if (reserved.state === "failed") return asRefusal("APPLICATION", reserved.error);
      return reserved.state === "done" && reserved.value;
    });
  }

  attach(argument: Attach, context: SessionContext): ApplyResult {
    return this.#proposed(argument.sequence, context, () => {
      const seat = argument.presentedToken === null ? this.#newSeat(argument.sessionId) : this.#keptSeat(argument.sessionId, argument.presentedToken);
      if (!(seat instanceof Seat)) return seat;
      const { nodeId, bootCount } = context.origin;
      this.#letGo(seat, mayTryReconnect, "attached elsewhere");
      seat.attach({ nodeId, bootCount, attachId: argument.attachId }, argument.token);
      seat.wrapper = argument.wrapper;
      this.seats.set(seat.sessionId, seat);
      const isOurs = nodeId === this.#host.nodeId && bootCount === this.#host.bootCount;
      const socket = isOurs ? this.#host.takeSocket(argument.attachId) : null;
      if (socket !== null) this.#sockets.set(seat.sessionId, { socket, epoch: seat.epoch });
      else if (isOurs) this.#host.orphaned(this.roomId, seat.sessionId, seat.epoch);
      const reconnecting = argument.presentedToken !== null;
      const joined = this.#settle(() => this.program.join(seat, { skipHandshake: argument.skipHandshake, reconnecting }));
      if (joined.state === "failed") {
        this.#sockets.delete(seat.sessionId);
        return asRefusal("APPLICATION", joined.error);
      }
      if (joined.state === "done") this.#resume(seat);
      else joined.promise.then(() => this.#resume(seat)).catch(() => {});
      return { epoch: seat.epoch, joined: joined.state === "pending" ? settledOutside(joined.promise) : null };
    });
  }

  detach(argument: Detach, context: SessionContext): ApplyResult {
    return this.#proposed(argument.sequence, context, () => {
      const seat = this.seats.get(argument.sessionId);
      if (seat === undefined || seat.epoch !== argument.epoch) return refusal("EPOCH_PAST", "the seat is attached elsewhere by now");
      this.#detach(seat, argument.code);
      return null;
    });
  }

  /** Seats that a lost node held are free to be taken again elsewhere. */
  nodeLost(argument: NodeLost, context: SessionContext): void {
    this.#begin(context);
    for (const seat of [...this.seats.values()]) {
      const at = seat.attachment;
      if (at !== null && at.nodeId === argument.nodeId && at.bootCount <= argument.bootCountMax) {
        this.#detach(seat, abnormalClosure);
      }
    }
    this.#end();
  }

  message(argument: Message, context: SessionContext): ApplyResult {
    const seat = this.seats.get(argument.sessionId);
    if (seat === undefined) return { type: "done", value: refusal("SEAT_EXPIRED", `room ${this.roomId} has no seat ${argument.sessionId}`) };
    if (seat.epoch !== argument.epoch) {
      return { type: "done", value: refusal("EPOCH_PAST", `the seat is in epoch ${seat.epoch}, the frame is of epoch ${argument.epoch}`) };
    }
    const verdict = seat.take(argument.stream, argument.sequence);
    if (verdict === "gap") return { type: "gap" };
    this.#begin(context);
    this.#run(() => (verdict === "new" ? this.program.message(seat, argument.frame) : this.program.repeat(seat, argument.frame)), "message");
    if (argument.stream === "client" && this.isHere(seat)) this.#acks.set(seat.sessionId, seat.clientSequence);
    this.#end();
    return { type: "done", value: null };
  }

  call(argument: Call, context: SessionContext): ApplyResult {
    return this.#proposed(argument.sequence, context, () => {
      const called = this.#settle(async () => this.program.call(argument.method, argument.data));
      if (called.state === "failed") return asRefusal("APPLICATION", called.error);
      return called.state === "done" ? called.value : settledOutside(called.promise);
    });
  }

  tick(context: SessionContext): void {
    this.#begin(context);
    this.#end();
  }

  /** Acknowledgements for wrapper clients, one a drain; `encode` is the wrapper protocol's. */
  flushAcks(encode: (sequence: number) => Uint8Array): void {
    for (const [sessionId, sequence] of this.#acks) {
      this.#sockets.get(sessionId)?.socket.send(encode(sequence));
    }
    this.#acks.clear();
  }

  /** Closes every client of this node, so that they go on elsewhere (4010) or learn that the room is gone. */
  closeSockets(code: number, reason: string): void {
    for (const { socket } of this.#sockets.values()) socket.close(code, reason);
    this.#sockets.clear();
  }

  /** The replica is replaced by a snapshot, or could not be created. */
  discard(): void {
    this.closeSockets(mayTryReconnect, "this replica was replaced");
    this.#program?.discard();
    this.timers.clearAll();
  }

  #untilSettled(promise: PromiseLike<unknown>, what: string, failed: (error: unknown) => void): void {
    const id = this.#nextOpen++;
    this.#open.set(id, what);
    promise.then(
      () => this.#open.delete(id),
      (error: unknown) => {
        this.#open.delete(id);
        failed(error);
      },
    );
  }

  // ---- how a command runs -----------------------------------------------------------------------------------------

  #proposed(sequence: number, context: SessionContext, act: () => unknown): ApplyResult {
    const verdict = this.#origins.take({ ...context.origin, sequence });
    if (verdict === "gap") return { type: "gap" };
    if (verdict === "duplicate") return { type: "done", value: refusal("APPLIED_RESULT_FORGOTTEN", "this was applied before; its result is gone") };
    if (verdict === "expired") return { type: "done", value: refusal("SESSION_EXPIRED", "a later start of this node has spoken since") };
    this.#begin(context);
    const value = act();
    this.#end();
    return { type: "done", value };
  }

  /** Time first: whatever fell due before this command has happened before it, on every replica. */
  #begin(context: SessionContext): void {
    this.index = context.index;
    this.timers.advance(context.logTimeMs, (timer, dueMs) => {
      this.#moveTime(dueMs, context.wallTimeMs - (context.logTimeMs - dueMs));
      this.#run(() => timer.callback(...timer.args), "timer");
      this.#settleLeaves();
    });
    this.#moveTime(context.logTimeMs, context.wallTimeMs);
  }

  #end(): void {
    this.#settleLeaves();
    this.#commands++;
    if (this.#commands % commandsPerHash === 0 && !this.disposed) this.hashPoint = { index: this.index, hash: this.program.hash() };
  }

  #moveTime(nowMs: number, wallMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#wallMs = Math.max(this.#wallMs, wallMs);
  }

  #run(act: () => void, where: string): void {
    try {
      runInWorld(this, act);
    } catch (error) {
      // A failure in room code is a result, equal on every replica; it hurts nothing else (design 5.4).
      this.report(error, where);
    }
  }

  /** Runs an asynchronous piece of room code as far as it comes by itself. */
  #settle<T>(act: () => Promise<T>): Settled<T> {
    let settled: Settled<T> | null = null;
    const failed = (error: unknown) => {
      settled = { state: "failed", error };
    };
    try {
      runInWorld(this, () => {
        const promise = act();
        promise.then((value) => {
          settled = { state: "done", value };
        }, failed);
        settled ??= { state: "pending", promise };
      });
    } catch (error) {
      failed(error);
    }
    const result = settled as Settled<T> | null;
    if (result === null) throw new Error("an apply ended without a result");
    if (result.state === "pending") this.track(result.promise, "a hook");
    return result;
  }

  /** Clients that room code sent away, and those that their leaving sends away in turn. */
  #settleLeaves(): void {
    for (let leaves = this.program.takeLeaves(); leaves.length > 0; leaves = this.program.takeLeaves()) {
      for (const { seat, code } of leaves) {
        this.#letGo(seat, code, "left");
        this.#detach(seat, code);
      }
    }
    if (this.program.disposed) return;
    for (const seat of this.seats.values()) {
      if (!this.program.isPresent(seat) && !this.program.isKept(seat) && !this.program.hasReservation(seat.sessionId)) {
        this.seats.delete(seat.sessionId);
      }
    }
  }

  #detach(seat: Seat, code: number): void {
    seat.attachment = null;
    this.#letGo(seat, mayTryReconnect, "detached by the log");
    this.#run(() => this.program.drop(seat, code), "leave");
  }

  #letGo(seat: Seat, code: number, reason: string): void {
    const here = this.#sockets.get(seat.sessionId);
    if (here === undefined) return;
    this.#sockets.delete(seat.sessionId);
    this.#acks.delete(seat.sessionId);
    here.socket.close(code, reason);
  }

  #newSeat(sessionId: string): Seat | Refusal {
    if (this.seats.has(sessionId) || !this.program.hasReservation(sessionId)) {
      return refusal("SEAT_EXPIRED", `seat reservation expired: room ${this.roomId} holds no free seat for ${sessionId}`);
    }
    return new Seat(sessionId);
  }

  #keptSeat(sessionId: string, token: string): Seat | Refusal {
    const seat = this.seats.get(sessionId);
    if (seat === undefined) return refusal("SEAT_EXPIRED", `room ${this.roomId} no longer keeps a seat for ${sessionId}`);
    if (!seat.accepts(token)) return refusal("TOKEN_REFUSED", "reconnection token invalid or already used");
    // The old connection may still look open: a node that was just killed, or a phone that changed its network.
    if (this.program.isPresent(seat)) this.#detach(seat, abnormalClosure);
    this.#settleLeaves();
    if (!this.program.isKept(seat)) return refusal("SEAT_EXPIRED", "the room did not keep the seat: it did not call allowReconnection()");
    return seat;
  }

  /** What a wrapper client may have missed: the replies to its last requests, then how far its commands have come. */
  #resume(seat: Seat): void {
    if (!seat.wrapper || !this.isHere(seat)) return;
    for (const frame of seat.replies.values()) this.deliver(seat, seat.epoch, frame);
    this.#acks.set(seat.sessionId, seat.clientSequence);
  }
}

function asRefusal(code: Refusal["refused"], error: unknown): Refusal {
  const colyseusCode = (error as { code?: unknown } | null)?.code;
  const message = error instanceof Error ? error.message : String(error);
  return refusal(code, message, typeof colyseusCode === "number" ? colyseusCode : undefined);
}
