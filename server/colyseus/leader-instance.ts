import {
  ClientState,
  ErrorCode,
  matchMaker,
  type Room,
  RoomInternalState,
  ServerError,
} from "@colyseus/core";
import { failureCode, failureWords } from "../session/failure.ts";
import { captureSchema } from "../session/graph/schema-restore.ts";
import type { Lead } from "../session/led-program.ts";
import { sessionLimits } from "../session/limits.ts";
import { checkPlainData } from "../session/plain-data.ts";
import { drainMicrotasks, outsideWorld } from "../session/sandbox.ts";
import { runEffect, takeEffects } from "./effects.ts";
import { checkLedRoom } from "./led-check.ts";
import { keptSeconds, restoreLed, unpackedPerson } from "./led-restore.ts";
import { ledBase } from "./led-room.ts";
import type { LedInstance, LedReplica, LedRoomData } from "./led-room-data.ts";
import { type Connection, type LedInput, packed, piecesOf, unpacked } from "./led-step.ts";
import { isKept, LiveClients } from "./live-clients.ts";
import { guardClock, type LiveRoomHost, newLiveRoom } from "./live-room.ts";
import type { LoggedClient } from "./logged-client.ts";
import { partsOf, type RoomParts } from "./room-parts.ts";
import { nextIndexesOf } from "./state-handover.ts";
import { StepDraft } from "./step-draft.ts";
import { StepSender } from "./step-sender.ts";

const cacheEveryMsDefault = 1_000;
const joinContext = { token: undefined, headers: new Headers(), ip: undefined };

/**
 * The room itself, on the leader's node and there alone: an ordinary Colyseus room, run outside of applies. What comes of it
 * is held back until the step that it is in is committed; with the lead the instance goes, and all that was not (design 5.8).
 */
export class LeaderInstance implements LiveRoomHost, LedInstance {
  restoring: LiveRoomHost["restoring"] = null;
  readonly #program: LedReplica;
  readonly #lead: Lead;
  readonly #sender: StepSender;
  readonly #clients: LiveClients;
  #room: Room | null = null;
  #draft = new StepDraft();
  #isReady = false;
  #isOver = false;
  /** The last input that the room was told of. */
  #told = 0;
  /** What goes on behind the input that the room is told of just now. */
  #pending: PromiseLike<unknown>[] | null = null;
  #isWorkDue = false;
  #isCutDue = false;
  /** Patches behind the full state, in bytes. */
  #patchBytes = 0;
  #needsFull: boolean;
  #effects = 0;
  #cacheTimer: NodeJS.Timeout | undefined;
  #cached: Uint8Array | null = null;
  #flags: Uint8Array | null = null;

  constructor(program: LedReplica, lead: Lead) {
    this.#program = program;
    this.#lead = lead;
    const { data, environment } = program;
    this.#needsFull = data.state === null;
    for (const patch of data.state?.patches ?? []) this.#patchBytes += patch.length;
    this.#clients = new LiveClients({
      frame: (client, frame) => this.#said(client, frame),
      leave: (client, code, reason) => {
        const { sessionId, epoch } = client;
        this.#draft.left({ sessionId, epoch, code, reason });
        this.changed();
      },
    });
    this.#sender = new StepSender(lead, {
      roomId: environment.birth.roomId,
      lost: () => this.end(),
      free: () => {
        this.wake();
        this.changed();
      },
    });
    void this.#begin();
  }

  /** It runs no longer, or not for this term. */
  isOver(term: number): boolean {
    return this.#isOver || this.#lead.term !== term;
  }

  /** With all that it had not had agreed, and without a word to its code. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#cacheTimer);
    if (this.#room !== null) stopRoom(this.#room);
  }

  /** There is something to be worked off; in the middle of an apply. */
  wake(): void {
    if (this.#isWorkDue || this.#isOver) return;
    this.#isWorkDue = true;
    outsideWorld(() =>
      this.#lead.soon(() => {
        this.#isWorkDue = false;
        this.#work();
      }),
    );
  }

  async #begin(): Promise<void> {
    const { roomId } = this.#program.environment.birth;
    const run = this.#data.run + 1;
    try {
      const refused = await this.#lead.beginRun({ roomId, run });
      if (refused !== null || this.#data.run !== run) return this.end();
    } catch {
      return this.end();
    }
    if (this.#isOver) return;
    this.#sender.begin(run);
    this.#lead.soon(() => void this.#make());
  }

  get #data(): LedRoomData {
    return this.#program.data;
  }

  get #parts(): RoomParts {
    return partsOf(this.#room as Room);
  }

  // ---- how it comes to life ---------------------------------------------------------------------------------------

  async #make(): Promise<void> {
    if (this.#isOver) return;
    const { birth } = this.#program.environment;
    try {
      const room = this.#newRoom();
      const handler = matchMaker.getHandler(birth.roomName);
      await room.onCreate?.({ ...(structuredClone(birth.options ?? {}) as object), ...handler.options });
      this.#parts._internalState = RoomInternalState.CREATED;
      checkLedRoom(room, this.#program.seam);
      if (this.#data.isOpen && !this.#isOver) await this.#restore(room);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#isOver) return stopRoom(this.#room as Room);
    this.#isReady = true;
    this.#parts._serializer.encoder?.discardChanges();
    const cacheEveryMs = this.#program.seam.options.cacheEveryMs ?? cacheEveryMsDefault;
    if (this.#room?.onCacheRoom !== undefined) {
      this.#cache();
      this.#cacheTimer = setInterval(() => this.#cache(), cacheEveryMs);
    }
    // The room is open, whatever has come of it so far.
    this.#takeFlags();
    this.changed();
    this.#work();
  }

  #newRoom(): Room {
    const { environment, room: shown } = this.#program;
    const { birth } = environment;
    const base = ledBase(shown);
    if (base === undefined) throw new Error(`room ${birth.roomId} is not run by its leader`);
    const room = newLiveRoom(base, this);
    this.#room = room;
    const parts = partsOf(room);
    parts.roomId = birth.roomId;
    parts.clock.now = () => this.#sender.nowMs();
    guardClock(room);
    (room as unknown as { __init(): void }).__init();
    parts.roomName = birth.roomName;
    parts.presence = matchMaker.presence;
    parts._listing = { ...partsOf(shown)._listing, roomId: undefined as never };
    parts._events.once("disconnect", () => {
      this.#draft.end(null);
      this.changed();
    });
    takeEffects(room);
    return room;
  }

  async #restore(room: Room): Promise<void> {
    const nowMs = this.#program.environment.world.nowMs();
    const restoration = {
      ...{ room, data: this.#data, nowMs },
      newClient: (connection: Connection) => this.#clients.add(connection),
    };
    this.restoring = { keepSeconds: (sessionId) => keptSeconds(restoration, sessionId) };
    try {
      await restoreLed(restoration);
    } finally {
      this.restoring = null;
    }
    for (const [sessionId, person] of this.#data.people) {
      if (person.isReserved) this.#clients.reserved(sessionId);
      if (person.connection !== null) this.#clients.personIs(sessionId, unpackedPerson(person));
    }
    const { cached } = this.#data;
    if (room.onRestoreRoom !== undefined && cached !== null) {
      this.#cached = cached;
      await room.onRestoreRoom(unpacked(cached));
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.failed(error, this.#data.isOpen ? "going on with the room on another node" : "onCreate");
    this.#draft = new StepDraft();
    this.#draft.end(failureWords(error));
    this.#isReady = true;
    this.#cut();
  }

  // ---- for the live room ------------------------------------------------------------------------------------------

  get isHeld(): boolean {
    return !this.#isReady || this.#isOver || this.#sender.isBehind;
  }

  patch(bytes: Uint8Array): void {
    if (!this.#isReady) return;
    this.#draft.patch(bytes);
    this.#patchBytes += bytes.length;
  }

  changed(): void {
    if (this.#isCutDue || !this.#isReady || this.#isOver) return;
    this.#isCutDue = true;
    outsideWorld(() =>
      this.#lead.soon(() => {
        this.#isCutDue = false;
        this.#cut();
      }),
    );
  }

  pending(promise: PromiseLike<unknown>): void {
    this.#pending?.push(promise);
  }

  keeps(client: LoggedClient, seconds: number | "manual"): number | "manual" {
    // Its hook begins again with the next leader, the time that its seat is kept does not.
    const nowMs = this.#program.environment.world.nowMs();
    const isNew = this.#data.people.get(client.sessionId)?.connection?.epoch !== client.epoch;
    const left = isNew ? undefined : keptSeconds({ data: this.#data, nowMs }, client.sessionId);
    const most = seconds === "manual" ? Number.POSITIVE_INFINITY : seconds;
    const kept = Math.min(most, left ?? most);
    this.#clients.keeps(
      client,
      kept === Number.POSITIVE_INFINITY ? null : this.#sender.nowMs() + kept * 1000,
    );
    this.changed();
    return kept === Number.POSITIVE_INFINITY ? "manual" : kept;
  }

  failed(error: unknown, where: string): void {
    outsideWorld(() => this.#program.environment.report(error, where));
  }

  async runEffect(name: string, argument: unknown): Promise<unknown> {
    const { signal } = new AbortController();
    const { roomId } = this.#program.environment.birth;
    const key = `${roomId}:${this.#sender.run}:${++this.#effects}`;
    return await runEffect(this.#room as Room, name, argument, { key, signal });
  }

  #said(client: LoggedClient, frame: Uint8Array): void {
    if (this.restoring !== null || this.#isOver) return;
    this.#draft.frame(client, frame);
    this.changed();
  }

  // ---- inputs -----------------------------------------------------------------------------------------------------

  /** One after the other, each with all that it leaves behind, as if it came from a socket of its own. */
  #work(): void {
    let dropped: string | null = null;
    for (const [number, input] of this.#data.inputs) {
      if (number <= this.#told) continue;
      // Who comes again by the same command was never away: nothing is said in between.
      const isBack = input.type === "join" && input.sessionId === dropped;
      if ((this.isHeld && !isBack) || this.#isOver || this.#draft.hasEnd) return;
      dropped = input.type === "drop" ? input.sessionId : null;
      this.#told = number;
      this.#pending = [];
      try {
        this.#tell(number, input);
      } catch (error) {
        this.failed(error, input.type);
      }
      const pending = this.#pending;
      this.#pending = null;
      this.#doneBehind(number, input, pending);
      drainMicrotasks();
    }
  }

  /** An input is worked off when its hook or handler has finished. */
  #doneBehind(number: number, { type }: LedInput, pending: readonly PromiseLike<unknown>[]): void {
    if (type === "reserve" || type === "join" || type === "call") return;
    const done = () => {
      this.#draft.done(number);
      this.changed();
    };
    if (pending.length === 0) done();
    else void Promise.allSettled(pending).then(done);
  }

  #tell(number: number, input: LedInput): void {
    const client = this.#clients.get(input.type === "call" ? "" : input.sessionId);
    const isSpoken = "epoch" in input && client?.epoch === input.epoch;
    switch (input.type) {
      case "reserve":
        return this.#answer(number, this.#reserve(input.sessionId));
      case "join":
        return this.#answer(number, this.#join(input));
      case "call":
        return this.#answer(number, this.#call(input.method, unpacked(input.data) as unknown[]));
      case "sync":
        if (isSpoken) this.#draft.synced({ sessionId: input.sessionId, epoch: input.epoch });
        return;
      case "message":
        if (isSpoken) client?.ref.emit("message", Buffer.from(input.frame));
        return;
      case "drop":
        if (isSpoken) client?.connectionLost(input.code);
    }
  }

  #answer(number: number, promise: Promise<unknown>): void {
    const done = (answer: Parameters<StepDraft["done"]>[1]) => {
      this.#draft.done(number, answer);
      this.changed();
    };
    promise.then(
      (value) => done({ value }),
      (error: unknown) => {
        const code = failureCode(error) ?? null;
        done({ error: { message: failureWords(error), code } });
      },
    );
  }

  async #reserve(sessionId: string): Promise<boolean> {
    const person = this.#data.people.get(sessionId);
    if (person === undefined || this.#parts.locked) return false;
    const { options, auth, reservation } = person;
    const isReserved = await this.#parts._reserveSeat(
      sessionId,
      unpacked(options),
      unpacked(auth),
      reservation.seconds,
    );
    if (isReserved) this.#clients.reserved(sessionId);
    return isReserved;
  }

  async #join(input: Connection & { isReconnecting: boolean; skipHandshake: boolean }): Promise<void> {
    const { sessionId, isReconnecting, skipHandshake } = input;
    const before = this.#clients.get(sessionId);
    const expired = (why: string) => new ServerError(ErrorCode.MATCHMAKE_EXPIRED, why);
    if (isReconnecting && (before === undefined || !isKept(this.#parts, before)))
      throw expired("the room did not keep the seat: it did not call allowReconnection()");
    if (!isReconnecting && this.#parts._reservedSeats[sessionId] === undefined) {
      if (!(await this.#reserve(sessionId))) throw expired("seat reservation expired: the room is full");
    }
    const client = this.#clients.add(input);
    const connection = isReconnecting
      ? { reconnectionToken: before?.reconnectionToken ?? "", skipHandshake }
      : { skipHandshake };
    await this.#clients.joins(client, this.#parts._onJoin(client, joinContext, connection));
    if (client.state !== ClientState.JOINING) return;
    // That its client has heard of it is the matter of where that is.
    client.state = ClientState.JOINED;
    client._joinedAt = this.#parts.clock.elapsedTime;
    const waiting = client._enqueuedMessages ?? [];
    delete client._enqueuedMessages;
    for (const message of waiting) this.#said(client, message);
  }

  async #call(method: string, data: unknown[]): Promise<unknown> {
    const called = (this.#room as unknown as Record<string, unknown>)[method];
    if (typeof called !== "function")
      throw new Error(`room "${this.#parts.roomName}" has no method "${method}" to propose`);
    const value: unknown = await called.apply(this.#room, data);
    checkPlainData(value, `what ${method}() returns`);
    return value;
  }

  // ---- steps ------------------------------------------------------------------------------------------------------

  /** Everything up to here is one step: nothing of it is seen, or lost, without the rest. */
  #cut(): void {
    if (this.#isOver || !this.#isReady || this.#sender.isBehind) return;
    // What it says while it is asked goes with this step.
    this.#isCutDue = true;
    if (this.#room !== null && !this.#draft.hasEnd) this.#takeAll(this.#room);
    this.#isCutDue = false;
    const { encoder } = this.#room === null ? {} : this.#parts._serializer;
    const step = this.#draft.whole({
      elapsedMs: this.#room === null ? this.#data.elapsedMs : this.#parts.clock.elapsedTime,
      nextRefId: encoder === undefined ? this.#data.nextRefId : captureSchema(encoder).nextRefId,
    });
    if (step === null) return;
    this.#draft = new StepDraft();
    const bytes = packed(step);
    const { stepBytesMax } = sessionLimits;
    if (bytes.length <= stepBytesMax) return this.#sender.send(piecesOf(bytes));
    const much = `what came of it at once has ${bytes.length} bytes, at most ${stepBytesMax} can be agreed`;
    this.#fail(
      new Error(`${this.#room?.constructor.name}: ${much}: its state may have 1 MiB, and send less at once`),
    );
  }

  #takeAll(room: Room): void {
    try {
      room.broadcastPatch();
    } catch (error) {
      this.failed(error, "onBeforePatch");
    }
    if (this.#draft.hasEnd) return;
    this.#clients.takeNews(this.#parts, this.#draft, {
      nowMs: this.#sender.nowMs(),
      failed: (error) => this.failed(error, "client.auth or client.userData"),
    });
    this.#takeFlags();
    this.#takeFull();
  }

  #takeFull(): void {
    const serializer = this.#parts._serializer as { encoder?: never; getFullState?: () => Uint8Array };
    const { encoder } = this.#parts._serializer;
    if (encoder === undefined) return;
    const { full } = this.#data.state ?? {};
    const most = Math.max(full?.frame.length ?? 0, sessionLimits.patchBytesKeptMin);
    if (!this.#needsFull && !this.#draft.needsFull && this.#patchBytes <= most) return;
    Object.assign(serializer, { needFullEncode: true });
    const frame = Uint8Array.from(serializer.getFullState?.() ?? []);
    this.#draft.full({ frame, nextIndexes: nextIndexesOf(encoder) });
    this.#patchBytes = 0;
    this.#needsFull = false;
  }

  #takeFlags(): void {
    const parts = this.#parts;
    const { processId: _, publicAddress: __, roomId: ___, name: ____, ...listing } = parts._listing;
    const { locked, maxClients, autoDispose, seatReservationTimeout, maxMessagesPerSecond } = parts;
    const flags = {
      ...{ listing, locked, lockedExplicitly: parts._lockedExplicitly, maxClients, autoDispose },
      ...{ seatReservationTimeout, maxMessagesPerSecond },
    };
    const bytes = packed(flags);
    if (this.#flags !== null && Buffer.compare(this.#flags, bytes) === 0) return;
    this.#flags = bytes;
    this.#draft.flags(flags);
  }

  /** What its fields are, for whoever leads next. */
  #cache(): void {
    try {
      const value: unknown = this.#room?.onCacheRoom?.();
      checkPlainData(value, "what onCacheRoom returns");
      const bytes = packed(value);
      if (this.#cached !== null && Buffer.compare(this.#cached, bytes) === 0) return;
      this.#cached = bytes;
      this.#draft.cached(unpacked(bytes));
      this.changed();
    } catch (error) {
      this.failed(error, "onCacheRoom");
    }
  }
}

/** Its timers and Colyseus's; what its code has set up by itself goes on without effect. */
function stopRoom(room: Room): void {
  const parts = partsOf(room);
  const timers = room as unknown as { _simulationInterval: unknown };
  clearInterval(timers._simulationInterval as NodeJS.Timeout);
  // A room without patches would tick by an interval of its own.
  timers._simulationInterval = true;
  parts.patchRate = null;
  clearTimeout(parts._autoDisposeTimeout as NodeJS.Timeout);
  for (const timer of Object.values(parts._reservedSeatTimeouts)) clearTimeout(timer as NodeJS.Timeout);
  parts.clock.clear();
  parts.clock.stop();
}
