import type { ApplyResult } from "../group/machine.ts";
import { Origins } from "../group/origins.ts";
import { type Judgement, RoomWitness, unsavableHash } from "./divergence/room-witness.ts";
import type { Verdict } from "./divergence/verdict.ts";
import type { EffectDone } from "./effect-outcome.ts";
import { runEventual } from "./eventual-run.ts";
import { sessionLimits } from "./limits.ts";
import { abnormalClosure, mayTryReconnect } from "./live-socket.ts";
import type { RoomHost } from "./room-host.ts";
import { RoomOutbox } from "./room-outbox.ts";
import type { RoomBirth, RoomEnvironment, RoomProgram } from "./room-program.ts";
import { upgradeRoom } from "./room-upgrade.ts";
import { RoomWorld } from "./room-world.ts";
import { settledOutside } from "./sandbox.ts";
import { SaveTrial } from "./save-trial.ts";
import { packRoom, roomHash, type SavedRoom, type SessionPart, unpackRoom } from "./saved-room.ts";
import { Seat, seatsAt, speaker } from "./seat.ts";
import { SeatSockets } from "./seat-sockets.ts";
import { failureRefusal, type Refusal, refusal, roomFrozen, roomGone } from "./session-error.ts";
import type { Attach, Call, Detach, Message, NodeLost, Reserve, SessionContext } from "./session-menu.ts";

/**
 * One room on this node: everything that a command for it reads or changes (design 5.2). Deduplication, clock, timers,
 * chance, seats and tokens live here; the game itself is the program.
 */
export class RoomReplica implements RoomEnvironment {
  readonly birth: RoomBirth;
  readonly nodeId: string;
  readonly seats: Map<string, Seat>;
  readonly world: RoomWorld;
  readonly origins: Origins;
  readonly witness: RoomWitness;
  /** Of its clients that are attached to this node. */
  readonly sockets = new SeatSockets();
  /** The last command that touched this room. */
  index: number;
  /** This node's disk has a stub of the room instead of a checkpoint: no restart brings it back here. */
  isPinned = false;
  readonly #host: RoomHost;
  readonly #outbox = new RoomOutbox();
  #program: RoomProgram | null = null;
  readonly #saving = new SaveTrial((error) => this.report(error, "checkpoint"));

  private constructor(host: RoomHost, birth: RoomBirth, saved: SavedRoom | null) {
    this.#host = host;
    this.birth = birth;
    this.nodeId = host.nodeId;
    this.index = birth.index;
    this.world = new RoomWorld(birth, host);
    this.origins = new Origins(saved?.origins);
    this.witness = new RoomWitness(host.nodeId, birth.roomId);
    this.seats = new Map((saved?.seats ?? []).map((state) => [state.sessionId, Seat.from(state)]));
    if (saved !== null) this.#outbox.restore(saved.outbox, (sessionId) => this.seats.get(sessionId));
  }

  /** The room as the log creates it; a refusal says why there is none. */
  static create(host: RoomHost, birth: RoomBirth): RoomReplica | Refusal {
    const replica = new RoomReplica(host, birth, null);
    const made = replica.world.settle(() => host.programs.create(replica));
    if (made.state === "done") {
      replica.#program = made.value;
      return replica;
    }
    replica.discard();
    if (made.state === "failed") return failureRefusal("ROOM_CREATE_FAILED", made.error);
    const waits = `onCreate of "${birth.roomName}" waits for something outside the log: it must finish by itself`;
    return refusal("ROOM_CREATE_FAILED", waits);
  }

  /** @throws if the checkpoint cannot be brought back to life: a replica that would differ must not exist. */
  static restore(host: RoomHost, bytes: Uint8Array): RoomReplica {
    const saved = unpackRoom(bytes);
    const replica = new RoomReplica(host, saved.birth, saved);
    try {
      const made = () => host.programs.restore(replica, saved, replica.seats);
      replica.#program = replica.world.finish(made, `room ${replica.roomId} does not rest once restored`);
      replica.index = saved.index;
      replica.world.restore(saved.world);
      replica.witness.restore(saved.witness, saved.index);
      if (saved.upgradeFrom !== undefined) upgradeRoom(replica, saved.upgradeFrom);
    } catch (error) {
      replica.discard();
      throw error;
    }
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
    const open = this.world.openPromise;
    if (open !== null) return `${open} has not finished`;
    return this.program.restlessBecause() ?? this.#saving.because;
  }

  /** Null: not at rest, or something in it cannot be saved; the older checkpoint and its log are kept (design 5.5). */
  save(): Uint8Array | null {
    if (this.world.openPromise !== null || this.program.restlessBecause() !== null) return null;
    return this.#saving.try(() => this.#packed(this.program.save()));
  }

  /** What can be compared but not brought back to life: also while it is not at rest. @throws GraphError */
  picture(): Uint8Array {
    return this.#packed(this.program.save());
  }

  #packed(program: Uint8Array): Uint8Array {
    const { birth, index, witness } = this;
    const outbox = this.#outbox.state(this.seats.values());
    return packRoom({ ...this.#sessionPart, birth, index, witness: witness.state, outbox, program });
  }

  get #sessionPart(): SessionPart {
    const seats = [...this.seats.values()].map((seat) => seat.state);
    return { world: this.world.state, origins: this.origins.state, seats };
  }

  // ---- what is compared -------------------------------------------------------------------------------------------

  /** After each command that is addressed to the room, whatever it did here. True: a hash was taken. */
  takePoint({ index, logTimeMs }: SessionContext): boolean {
    if (this.disposed || !this.witness.isDue(logTimeMs)) return false;
    this.witness.add({ index, hash: this.#hash() }, logTimeMs);
    return true;
  }

  #hash(): string {
    return this.#saving.try(() => roomHash(this.program.hash(), this.#sessionPart)) ?? unsavableHash;
  }

  /** All replicas differ from what was agreed: they stand still here, and are compared. */
  compareAnew({ index, logTimeMs }: SessionContext): void {
    this.index = index;
    if (this.witness.frozen === null) this.#freeze(logTimeMs);
    this.witness.compareAnew({ index, hash: this.#hash() }, logTimeMs);
  }

  #freeze(logTimeMs: number): void {
    this.world.stop(logTimeMs);
    this.sockets.closeAll(mayTryReconnect, "ROOM_FROZEN: its replicas differ, and none has a majority");
  }

  /** What was agreed about the room's hashes. */
  judge(verdict: Verdict, { index, logTimeMs }: SessionContext): Judgement {
    this.index = index;
    const judgement = this.witness.judge(verdict);
    if (judgement.type === "freezes") this.#freeze(logTimeMs);
    else if (judgement.type !== "none" && judgement.thaws) this.world.goOn(logTimeMs);
    return judgement;
  }

  // ---- for the program --------------------------------------------------------------------------------------------

  created(): void {
    this.world.timers.creating = false;
  }

  track(promise: PromiseLike<unknown>, what: string): void {
    this.world.untilSettled(promise, what, (error) => this.report(error, what));
  }

  watch(promise: PromiseLike<unknown>, what: string): void {
    this.world.untilSettled(promise, what, () => {});
  }

  report(error: unknown, where: string): void {
    this.world.report(error, where);
  }

  deliver(seat: Seat, epoch: number, frame: Uint8Array): void {
    this.sockets.deliver(seat, epoch, frame);
  }

  close(seat: Seat, code: number, reason: string): void {
    this.sockets.close(seat, code, reason);
  }

  say(seat: Seat, epoch: number, message: Uint8Array): void {
    const isHeld = seat.isMissing || (!seat.wrapper && this.#host.holdsBack(this.index));
    if (!isHeld) this.deliver(seat, epoch, message);
  }

  acknowledged(seat: Seat): void {
    seat.tokenAcknowledged(this.index);
  }

  keep(seat: Seat, epoch: number, frame: Uint8Array): Uint8Array {
    // What is said while a replica is restored was said before.
    if (seat.epoch !== epoch || seat.attachment === null || this.#program === null) return frame;
    return this.#outbox.add(seat.outbox, frame, { index: this.index, nowMs: this.world.nowMs() });
  }

  isPrimary(): boolean {
    return this.#host.isPrimary();
  }

  isHere(seat: Seat): boolean {
    return this.sockets.has(seat);
  }

  // ---- commands ---------------------------------------------------------------------------------------------------

  reserve(argument: Reserve, context: SessionContext): ApplyResult {
    return this.#proposed(argument.sequence, context, () => {
      const { sessionId, mayRepeat } = argument;
      if (mayRepeat && (this.seats.has(sessionId) || this.program.hasReservation(sessionId))) return true;
      if (this.seats.size + this.program.reservedSeats >= sessionLimits.seatsMax) {
        const most = `a room has at most ${sessionLimits.seatsMax} seats: open another room`;
        return refusal("SEATS_TOO_MANY", most);
      }
      const reserved = this.world.settle(() => this.program.reserve(argument));
      if (reserved.state === "failed") return failureRefusal("APPLICATION", reserved.error);
      return reserved.state === "done" ? reserved.value : settledOutside(reserved.promise);
    });
  }

  attach(argument: Attach, context: SessionContext): ApplyResult {
    return this.#proposed(argument.sequence, context, () => {
      const { sessionId, presentedToken, attachId, token, wrapper, skipHandshake, auth, received } = argument;
      const reconnecting = presentedToken !== null;
      const seat = reconnecting ? this.#keptSeat(sessionId, presentedToken) : this.#newSeat(sessionId);
      if (!(seat instanceof Seat)) return seat;
      const { nodeId, bootCount } = context.origin;
      this.sockets.close(seat, mayTryReconnect, "attached elsewhere");
      seat.attach({ nodeId, bootCount, attachId }, { token, presentedToken });
      const resumption = seat.resume({ wrapper, received });
      this.seats.set(seat.sessionId, seat);
      if (nodeId === this.#host.nodeId && bootCount === this.#host.bootCount) this.#bind(seat, attachId);
      const how = { skipHandshake, reconnecting, auth, missed: resumption.missed };
      const join = () => this.sockets.join(seat, resumption, () => this.program.join(seat, how));
      const joined = this.world.settle(join);
      if (joined.state === "failed") return failureRefusal("APPLICATION", joined.error);
      const { epoch } = resumption;
      return { epoch, joined: joined.state === "pending" ? settledOutside(joined.promise) : null };
    });
  }

  detach(argument: Detach, context: SessionContext): ApplyResult {
    return this.#proposed(argument.sequence, context, () => {
      const seat = this.seats.get(argument.sessionId);
      if (seat === undefined || seat.epoch !== argument.epoch)
        return refusal("EPOCH_PAST", "the seat is attached elsewhere by now");
      this.#detach(seat, argument.code);
      return null;
    });
  }

  /** Seats that a lost node held are free to be taken again elsewhere. */
  nodeLost(argument: NodeLost, context: SessionContext): void {
    if (this.witness.frozen !== null) return;
    this.#begin(context);
    if (this.disposed) return;
    for (const seat of seatsAt(this.seats, argument)) this.#detach(seat, abnormalClosure);
    this.#settleLeaves();
  }

  /** What no room code hears of. */
  tellSeats({ index }: SessionContext, tell: (seats: ReadonlyMap<string, Seat>) => void): void {
    if (this.witness.frozen !== null) return;
    this.index = index;
    tell(this.seats);
  }

  message(argument: Message, context: SessionContext): ApplyResult {
    const { stream, sequence, frame } = argument;
    if (this.witness.frozen !== null) return done(roomFrozen(this.roomId));
    const seat = speaker(this.seats, argument);
    if (!(seat instanceof Seat)) return done(seat);
    // Not counted as taken: it can be sent again.
    const busy = this.program.led?.busy(frame.length) ?? null;
    if (busy !== null) return done(busy);
    const verdict = seat.take(stream, sequence);
    if (verdict === "gap") return { type: "gap" };
    this.#begin(context);
    if (this.disposed) return done(roomGone(this.roomId));
    if (verdict !== "new" || !this.#hasRunEventual(argument)) {
      const act = verdict === "new" ? this.program.message : this.program.repeat;
      this.world.run(() => act.call(this.program, seat, frame), "message");
    }
    if (stream === "client") this.sockets.acknowledge(seat);
    this.#settleLeaves();
    return done(null);
  }

  /** One that its client numbers must be counted, so it is in the log; it may do no more than others. */
  #hasRunEventual(message: Message): boolean {
    if (this.program.eventualType(message.frame) === null) return false;
    const how = { index: null, isEcho: !this.#host.isPrimary(), difference: this.#host.pictureDifference };
    // What the room does not take the stock room sends away.
    return runEventual({ replica: this, message, ...how }) === null;
  }

  call(argument: Call, context: SessionContext): ApplyResult {
    return this.#proposed(argument.sequence, context, () => {
      const called = this.world.settle(async () => this.program.call(argument.method, argument.data));
      if (called.state === "failed") return failureRefusal("APPLICATION", called.error);
      return called.state === "done" ? called.value : settledOutside(called.promise);
    });
  }

  effectDone({ sequence, number, outcome }: EffectDone, context: SessionContext): ApplyResult {
    const settle = () => this.world.effects.settle(number, outcome);
    return this.#proposed(sequence, context, () => this.world.run(settle, "effect"));
  }

  tick(context: SessionContext): void {
    this.#begin(context);
    this.#settleLeaves();
  }

  /** The replica is replaced by a snapshot, is disposed, or could not be created. */
  discard(): void {
    this.sockets.closeAll(mayTryReconnect, "this replica was replaced");
    this.#program?.discard();
    this.world.end();
  }

  // ---- how a command runs -----------------------------------------------------------------------------------------

  #proposed(sequence: number, context: SessionContext, act: () => unknown): ApplyResult {
    const verdict = this.origins.take({ ...context.origin, sequence });
    if (verdict === "gap") return { type: "gap" };
    if (verdict === "duplicate") return done(refusal("APPLIED_RESULT_FORGOTTEN", "this was applied before"));
    if (verdict === "expired")
      return done(refusal("SESSION_EXPIRED", "a later start of this node has spoken since"));
    // Counted all the same: a number that is left out would hold up everything after it.
    if (this.witness.frozen !== null) return done(roomFrozen(this.roomId));
    this.#begin(context);
    if (this.disposed) return done(roomGone(this.roomId));
    const value = act();
    this.#settleLeaves();
    return done(value);
  }

  #begin(context: SessionContext): void {
    this.index = context.index;
    this.world.advance(context, () => this.#settleLeaves());
    // By every command: what a replica has dropped must not depend on when it was saved or hashed.
    this.#outbox.expire(this.world.nowMs());
  }

  /** Clients that room code sent away, and those that their leaving sends away in turn. */
  #settleLeaves(): void {
    for (let leaves = this.program.takeLeaves(); leaves.length > 0; leaves = this.program.takeLeaves()) {
      for (const { seat, code, reason } of leaves) {
        this.sockets.close(seat, code, reason);
        this.#detach(seat, code);
      }
    }
    if (this.program.disposed) return;
    for (const seat of this.program.vacated()) {
      this.seats.delete(seat.sessionId);
      seat.outbox.clear();
    }
  }

  #bind(seat: Seat, attachId: number): void {
    const socket = this.#host.takeSocket(attachId);
    if (socket === null) this.#host.orphaned(this.roomId, seat.sessionId, seat.epoch);
    else this.sockets.set(seat, socket);
  }

  #detach(seat: Seat, code: number): void {
    seat.attachment = null;
    this.sockets.close(seat, mayTryReconnect, "detached by the log");
    this.world.run(() => this.program.drop(seat, code), "leave");
  }

  #newSeat(sessionId: string): Seat | Refusal {
    if (!this.seats.has(sessionId) && this.program.hasReservation(sessionId)) return new Seat(sessionId);
    const expired = `seat reservation expired: room ${this.roomId} holds no free seat for ${sessionId}`;
    return refusal("SEAT_EXPIRED", expired);
  }

  #keptSeat(sessionId: string, token: string): Seat | Refusal {
    const seat = this.seats.get(sessionId);
    if (seat === undefined)
      return refusal("SEAT_EXPIRED", `room ${this.roomId} no longer keeps a seat for ${sessionId}`);
    if (!seat.accepts(token)) return refusal("TOKEN_REFUSED", "reconnection token invalid or already used");
    this.program.tokenShown(seat);
    // The old connection may still look open: a node that was just killed, or a phone that changed its network.
    if (this.program.isPresent(seat)) this.#detach(seat, abnormalClosure);
    this.#settleLeaves();
    if (this.program.isKept(seat)) return seat;
    return refusal("SEAT_EXPIRED", "the room did not keep the seat: it did not call allowReconnection()");
  }
}

const done = (value: unknown): ApplyResult => ({ type: "done", value });
