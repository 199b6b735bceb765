import { CloseCode, matchMaker, Protocol, type Room, ServerError } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import { decodeGraph, encodeGraph, hashGraph } from "../../session/graph/graph.ts";
import type { BeginRun, Lead, LedSide, Runner, StepPiece } from "../../session/led-program.ts";
import { sessionLimits } from "../../session/limits.ts";
import type { RoomProgram } from "../../session/room-program.ts";
import type { Seat } from "../../session/seat.ts";
import { type Refusal, refusal, SessionError } from "../../session/session-error.ts";
import { discardStockRoom } from "../colyseus-room.ts";
import { typeOf } from "../message-consistency.ts";
import { partsOf } from "../room-parts.ts";
import type { Seam } from "../seam.ts";
import { LedDelivery, type LedEnvironment } from "./led-delivery.ts";
import {
  inputBytes,
  type LedInstance,
  type LedReplica,
  type LedRoomData,
  type NewLedInstance,
  newRoomData,
} from "./led-room-data.ts";
import { type LedFlags, type LedInput, packed, type SeatEpoch, type Step, unpacked } from "./led-step.ts";

const graphOptions = {
  classes: [],
  stateClasses: [],
  references: new Map<object, string>(),
  resolve: () => undefined,
  rootName: "room",
};

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface LedProgramParts {
  readonly room: Room;
  readonly seam: Seam;
  readonly environment: LedEnvironment;
  readonly newInstance: NewLedInstance;
}

/**
 * A room whose code runs on the leader's node alone, as every replica has it (design 5.8): its seats, its state as clients
 * are sent it, and what waits to be worked off. None of its code is run by an apply.
 */
export class LedProgram implements RoomProgram, LedSide, LedReplica {
  readonly led = this;
  /** What Colyseus's matchmaking and transport see of the room on this node. */
  readonly room: Room;
  readonly seam: Seam;
  readonly environment: LedEnvironment;
  readonly data: LedRoomData;
  /** Of commands that this node may have proposed. */
  readonly #waiting = new Map<number, Waiting>();
  #inputBytes = 0;
  readonly #leaves: { seat: Seat; code: number; reason: string }[] = [];
  #vacated: Seat[] = [];
  #instance: LedInstance | null = null;
  readonly #newInstance: NewLedInstance;
  readonly #delivery: LedDelivery;
  #discarded = false;

  constructor(
    { room, seam, environment, newInstance }: LedProgramParts,
    /** A checkpoint; null: it has just been created. */
    saved: Uint8Array | null,
  ) {
    this.#newInstance = newInstance;
    this.room = room;
    this.seam = seam;
    this.environment = environment;
    this.data = saved === null ? newRoomData() : (decodeGraph(saved, graphOptions) as LedRoomData);
    this.#delivery = new LedDelivery(environment, this.data);
    for (const input of this.data.inputs.values()) this.#inputBytes += inputBytes(input);
    if (this.data.flags !== null) this.#show(unpacked(this.data.flags) as LedFlags);
  }

  // ---- what clients ask -------------------------------------------------------------------------------------------

  reserve(fields: { sessionId: string; options: unknown; auth: unknown; seconds: number }): Promise<boolean> {
    const { sessionId, options, auth, seconds } = fields;
    const { people } = this.data;
    if (people.has(sessionId)) return Promise.resolve(false);
    this.#checkBusy(0);
    people.set(sessionId, {
      options: packed(options),
      auth: packed(auth ?? undefined),
      userData: packed(undefined),
      reservation: { seconds, atMs: this.environment.world.nowMs() },
      isReserved: false,
      connection: null,
      keptUntilMs: null,
      dropCode: 0,
      isSynced: false,
      held: [],
    });
    return this.#ask({ type: "reserve", sessionId }) as Promise<boolean>;
  }

  hasReservation(sessionId: string): boolean {
    return this.data.people.get(sessionId)?.isReserved === true;
  }

  get reservedSeats(): number {
    let reserved = 0;
    for (const sessionId of this.data.people.keys()) if (!this.environment.seats.has(sessionId)) reserved++;
    return reserved;
  }

  join(
    seat: Seat,
    how: { skipHandshake: boolean; reconnecting: boolean; missed: readonly Uint8Array[] },
  ): Promise<void> {
    const person = this.data.people.get(seat.sessionId);
    if (person === undefined) throw new Error(`no seat for ${seat.sessionId}`);
    person.isReserved = false;
    person.isSynced = false;
    person.held = how.missed.map((frame) => Uint8Array.from(frame));
    const { sessionId, epoch, token, wrapper, attachment } = seat;
    const connection = { sessionId, epoch, token, nodeId: attachment?.nodeId ?? "", isWrapper: wrapper };
    const { reconnecting: isReconnecting, skipHandshake } = how;
    return this.#ask({ type: "join", ...connection, isReconnecting, skipHandshake }) as Promise<void>;
  }

  tokenShown(): void {}

  drop({ sessionId, epoch }: Seat, code: number): void {
    const person = this.data.people.get(sessionId);
    if (person === undefined) return;
    person.isSynced = false;
    person.held = [];
    this.#put({ type: "drop", sessionId, epoch, code });
  }

  /** The room's code decides when it comes to that: until then nobody is sent away. */
  isKept({ sessionId }: Seat): boolean {
    return this.data.people.has(sessionId);
  }

  isPresent({ sessionId, attachment }: Seat): boolean {
    return attachment !== null && this.data.people.has(sessionId);
  }

  vacated(): readonly Seat[] {
    if (this.#vacated.length === 0) return this.#vacated;
    const vacated = this.#vacated.filter(({ sessionId }) => !this.data.people.has(sessionId));
    this.#vacated = [];
    return vacated;
  }

  message(seat: Seat, frame: Uint8Array): void {
    const { sessionId, epoch } = seat;
    if (frame[0] === Protocol.JOIN_ROOM) {
      // As it gets the state, and with it what was held for it.
      if (this.data.people.get(sessionId)?.isSynced === false) this.#put({ type: "sync", sessionId, epoch });
      else this.environment.acknowledged(seat);
    } else this.#put({ type: "message", sessionId, epoch, frame: Uint8Array.from(frame) });
  }

  latestType(frame: Uint8Array): string | null {
    return typeOf(frame, this.seam.options.messages, "latest");
  }

  /** Refused at the definition: there is no replica whose handler could read the room. */
  eventualType(): null {
    return null;
  }

  hearEventual(): void {}

  get messagesPerSecondMax(): number {
    return Number.POSITIVE_INFINITY;
  }

  repeat(seat: Seat, frame: Uint8Array): void {
    if (frame[0] !== Protocol.ROOM_REQUEST) return;
    const reply = seat.replies.get(decode.number(frame, { offset: 1 }));
    if (reply !== undefined) this.environment.deliver(seat, seat.epoch, reply);
  }

  call(method: string, data: readonly unknown[]): Promise<unknown> {
    const bytes = packed(data);
    this.#checkBusy(bytes.length);
    return this.#ask({ type: "call", method, data: bytes });
  }

  runEffect(name: string): never {
    throw new Error(`effect "${name}" of a room that its leader runs does not go through the log`);
  }

  busy(bytes: number): Refusal | null {
    const { inputsWaitingMax, inputsWaitingBytesMax } = sessionLimits;
    const { size } = this.data.inputs;
    if (size < inputsWaitingMax && this.#inputBytes + bytes <= inputsWaitingBytesMax) return null;
    const waits = `${size} commands of ${this.#inputBytes} bytes wait for the code of room ${this.environment.birth.roomId}`;
    const most = `at most ${inputsWaitingMax} of ${inputsWaitingBytesMax} bytes may`;
    return refusal("ROOM_BUSY", `${waits}, ${most}: send less, or again in a moment`);
  }

  #checkBusy(bytes: number): void {
    const busy = this.busy(bytes);
    if (busy !== null) throw new SessionError(busy.refused, busy.message);
  }

  #put(input: LedInput): number {
    const number = this.data.nextInput++;
    this.data.inputs.set(number, input);
    this.#inputBytes += inputBytes(input);
    this.#instance?.wake();
    return number;
  }

  #ask(input: LedInput): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(this.#put(input), { resolve, reject });
    });
  }

  // ---- runs and steps ---------------------------------------------------------------------------------------------

  beginRun({ run }: BeginRun, { nodeId, bootCount }: Runner): Refusal | null {
    const { data } = this;
    if (run !== data.run + 1) return refusal("RUN_PAST", `run ${run} cannot follow run ${data.run}`);
    Object.assign(data, { run, runner: { nodeId, bootCount }, number: 0, pieces: [] });
    return null;
  }

  step({ run, number, bytes, isLast }: StepPiece, origin: Runner): Refusal | null {
    const { data } = this;
    const isRunner = data.runner?.nodeId === origin.nodeId && data.runner.bootCount === origin.bootCount;
    if (run !== data.run || number !== data.number + 1 || !isRunner)
      return refusal("RUN_PAST", `step ${run}:${number} cannot follow ${data.run}:${data.number}`);
    data.number = number;
    data.pieces.push(Uint8Array.from(bytes));
    if (!isLast) return null;
    const step = unpacked(Buffer.concat(data.pieces)) as Step;
    data.pieces = [];
    this.#carryOut(step);
    return null;
  }

  lead(lead: Lead): void {
    if (this.disposed || this.#instance?.isOver(lead.term) === false) return;
    this.#instance?.end();
    this.#instance = this.#newInstance(this, lead);
  }

  stepDown(): void {
    this.#instance?.end();
    this.#instance = null;
  }

  #carryOut(step: Step): void {
    const { data } = this;
    const wasOpen = data.isOpen;
    data.isOpen = true;
    data.elapsedMs = step.elapsedMs;
    data.nextRefId = step.nextRefId;
    if (step.cached !== null) data.cached = packed(step.cached.value);
    for (const { sessionId, auth, userData } of step.people) {
      const person = data.people.get(sessionId);
      if (person !== undefined) Object.assign(person, { auth: packed(auth), userData: packed(userData) });
    }
    if (step.flags !== null) {
      data.flags = packed(step.flags);
      this.#show(step.flags);
    }
    this.#settle(step);
    this.#delivery.send(step);
    for (const { sessionId, ms } of step.kept) {
      const person = data.people.get(sessionId);
      const atMs = ms === null ? null : this.environment.world.nowMs() + ms;
      if (person !== undefined) person.keptUntilMs = { atMs };
    }
    for (const left of step.gone) this.#free(left);
    for (const { sessionId, epoch, code, reason } of step.leaves) {
      const seat = this.environment.seats.get(sessionId);
      if (seat?.epoch === epoch && seat.attachment !== null) this.#leaves.push({ seat, code, reason });
    }
    if (step.end !== null) this.#end(step.end, wasOpen);
  }

  /** Inputs that are worked off, and whoever waits for that. */
  #settle({ done, answers }: Step): void {
    const answered = new Map(answers.map((answer) => [answer.input, answer]));
    for (const number of done) {
      const input = this.data.inputs.get(number);
      if (input === undefined) continue;
      this.data.inputs.delete(number);
      this.#inputBytes -= inputBytes(input);
      const { value, error } = answered.get(number) ?? {};
      this.#outcome(input, { isDone: error === undefined, value });
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new ServerError(error.code as number, error.message));
    }
  }

  #outcome(input: LedInput, { isDone, value }: { isDone: boolean; value: unknown }): void {
    const { people } = this.data;
    if (input.type === "reserve") {
      const person = people.get(input.sessionId);
      if (person !== undefined && isDone && value === true) person.isReserved = true;
      else people.delete(input.sessionId);
    } else if (input.type === "join") {
      const { sessionId, epoch, token, nodeId, isWrapper } = input;
      const person = people.get(sessionId);
      if (person === undefined) return;
      if (!isDone) return this.#free(input);
      person.connection = { sessionId, epoch, token, nodeId, isWrapper };
      person.keptUntilMs = null;
      // In the order of `room.clients`.
      people.delete(sessionId);
      people.set(sessionId, person);
    } else if (input.type === "drop") {
      const person = people.get(input.sessionId);
      if (person !== undefined) person.dropCode = input.code;
    }
  }

  /** Unless its player has come again since. */
  #free({ sessionId, epoch }: SeatEpoch): void {
    const person = this.data.people.get(sessionId);
    const seat = this.environment.seats.get(sessionId);
    if (person === undefined) return;
    if (seat !== undefined && seat.epoch > epoch) {
      person.connection = null;
      person.keptUntilMs = null;
      return;
    }
    this.data.people.delete(sessionId);
    if (seat !== undefined) this.#vacated.push(seat);
  }

  #show({ listing, seatReservationTimeout }: LedFlags): void {
    const parts = partsOf(this.room);
    Object.assign(parts._listing, listing);
    parts.seatReservationTimeout = seatReservationTimeout;
    void matchMaker.driver.persist(parts._listing);
  }

  #end(end: { readonly failure: string | null }, wasOpen: boolean): void {
    this.data.end = end;
    const { roomId } = this.environment.birth;
    for (const seat of this.environment.seats.values())
      if (seat.attachment !== null && end.failure !== null)
        this.#leaves.push({ seat, code: CloseCode.WITH_ERROR, reason: end.failure });
    if (wasOpen || end.failure === null)
      this.#letGo("ROOM_NOT_FOUND", end.failure ?? `room "${roomId}" has ended`);
    else this.#letGo("ROOM_CREATE_FAILED", end.failure);
  }

  #letGo(code: "ROOM_NOT_FOUND" | "ROOM_CREATE_FAILED", why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new SessionError(code, why));
    this.#waiting.clear();
  }

  // -----------------------------------------------------------------------------------------------------------------

  takeLeaves(): readonly { seat: Seat; code: number; reason: string }[] {
    return this.#leaves.splice(0);
  }

  get disposed(): boolean {
    return this.#discarded || this.data.end !== null;
  }

  /** Whatever the room's code is at: what is agreed of it can be saved. */
  restlessBecause(): null {
    return null;
  }

  save(): Uint8Array {
    return encodeGraph(this.data, graphOptions);
  }

  hash(): string {
    return hashGraph(this.data, graphOptions);
  }

  discard(): void {
    if (this.#discarded) return;
    this.#discarded = true;
    this.stepDown();
    this.#letGo("ROOM_NOT_FOUND", "this replica was replaced");
    discardStockRoom(this.room);
  }
}
