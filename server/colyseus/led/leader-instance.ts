import { matchMaker, type Room, RoomInternalState } from "@colyseus/core";
import { failureCode, failureWords } from "../../session/failure.ts";
import { captureSchema } from "../../session/graph/schema-restore.ts";
import type { Lead } from "../../session/led-program.ts";
import { sessionLimits } from "../../session/limits.ts";
import type { EffectPromise } from "../../session/room-effects.ts";
import { drainMicrotasks, outsideWorld } from "../../session/sandbox.ts";
import { takeEffects } from "../effects.ts";
import type { LoggedClient } from "../logged-client.ts";
import { partsOf, type RoomParts } from "../room-parts.ts";
import { checkLedRoom } from "./led-check.ts";
import { keptSeconds, restoreLed, unpackedPerson } from "./led-restore.ts";
import { ledBase } from "./led-room.ts";
import type { LedInstance, LedReplica, LedRoomData } from "./led-room-data.ts";
import { type Connection, type LedInput, packed, piecesOf, unpacked } from "./led-step.ts";
import { LiveClients } from "./live-clients.ts";
import { LiveEffects } from "./live-effects.ts";
import { LiveInputs } from "./live-inputs.ts";
import { guardClock, type LiveRoomHost, newLiveRoom, stopRoom } from "./live-room.ts";
import { StepDraft } from "./step-draft.ts";
import { StepNews } from "./step-news.ts";
import { StepSender } from "./step-sender.ts";

const cacheEveryMsDefault = 1_000;

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
  #isWatched = false;
  #isWorkDue = false;
  #isCutDue = false;
  #news: StepNews;
  readonly #effects: LiveEffects;
  #cacheTimer: NodeJS.Timeout | undefined;

  constructor(program: LedReplica, lead: Lead) {
    this.#program = program;
    this.#lead = lead;
    const { data, environment } = program;
    this.#news = new StepNews(data);
    this.#clients = new LiveClients({
      frame: this.said,
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
    const here = () => ({ room: this.#room as Room, run: this.#sender.run });
    this.#effects = new LiveEffects(environment.birth.roomId, here);
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
    this.#effects.end();
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

  get #asking(): LiveInputs {
    const { said } = this;
    return new LiveInputs({ room: this.#room as Room, data: this.#data, clients: this.#clients, said });
  }

  get #parts(): RoomParts {
    return partsOf(this.#room as Room);
  }

  // ---- how it comes to life ---------------------------------------------------------------------------------------

  async #make(): Promise<void> {
    if (this.#isOver) return;
    this.#news = new StepNews(this.#data);
    const { birth } = this.#program.environment;
    try {
      const room = this.watched(() => this.#newRoom());
      const handler = matchMaker.getHandler(birth.roomName);
      const options = { ...(structuredClone(birth.options ?? {}) as object), ...handler.options };
      await this.watched(() => room.onCreate?.(options));
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
    this.#news.takeFlags(this.#parts, this.#draft);
    this.changed();
    this.wake();
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
    this.#news.patched(bytes.length);
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

  watched<T>(act: () => T): T {
    if (this.#isWatched) return act();
    this.#isWatched = true;
    try {
      return this.#lead.watched(act);
    } finally {
      this.#isWatched = false;
    }
  }

  effect(name: string, argument: unknown): EffectPromise<unknown> {
    return this.#effects.make(name, argument);
  }

  readonly said = (client: LoggedClient, frame: Uint8Array): void => {
    if (this.restoring !== null || this.#isOver) return;
    const { sessionId, epoch, seat } = client;
    this.#draft.frame({ sessionId, epoch, isWrapper: seat.wrapper }, frame);
    this.changed();
  };

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
        this.watched(() => {
          this.#effects.because(number, () => this.#tell(number, input));
          drainMicrotasks();
        });
      } catch (error) {
        this.failed(error, input.type);
      }
      const pending = this.#pending;
      this.#pending = null;
      this.#doneBehind(number, input, pending);
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
        return this.#answer(number, this.#asking.reserve(input.sessionId));
      case "join":
        return this.#answer(number, this.#asking.join(input));
      case "call":
        return this.#answer(number, this.#asking.call(input.method, unpacked(input.data) as unknown[]));
      case "sync":
        if (isSpoken) this.#draft.synced({ sessionId: input.sessionId, epoch: input.epoch });
        return;
      case "message":
        if (client !== undefined) this.#asking.hear(client, input);
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
      (error: unknown) => done({ error: { message: failureWords(error), code: failureCode(error) ?? null } }),
    );
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
    this.#news.takeFlags(this.#parts, this.#draft);
    this.#news.takeFull(this.#parts, this.#draft);
  }

  /** What its fields are, for whoever leads next. */
  #cache(): void {
    try {
      if (this.#news.takeCached(this.#room as Room, this.#draft)) this.changed();
    } catch (error) {
      this.failed(error, "onCacheRoom");
    }
  }
}
