import { failurePlace, failureWords } from "./failure.ts";
import { sessionLimits } from "./limits.ts";
import { RoomRandom } from "./random.ts";
import { type EffectsState, RoomEffects } from "./room-effects.ts";
import type { RoomHost } from "./room-host.ts";
import type { RoomBirth } from "./room-program.ts";
import { type RoomTimer, RoomTimers } from "./room-timers.ts";
import { currentWorld, outsideWorld, runInWorld, type World } from "./sandbox.ts";
import { SecretRandom } from "./secret-random.ts";

export interface WorldState {
  readonly nowMs: number;
  readonly wallMs: number;
  readonly random: [number, number, number, number];
  /** Checkpoints that were written when `crypto` drew from `random`, too, have none. */
  readonly secretsDrawn?: number;
  readonly standstillMs: number;
  readonly stoppedAtMs: number | null;
  /** Checkpoints that were written before rooms had effects have none. */
  readonly effects?: EffectsState;
}

/** How far an asynchronous piece of room code came by itself. */
export type Settled<T> =
  | { readonly state: "pending"; readonly promise: Promise<T> }
  | { readonly state: "done"; readonly value: T }
  | { readonly state: "failed"; readonly error: unknown };

/** Of what the preload cannot refuse: a promise of code outside of the room, such as a driver's whose socket is open. */
export const wentOnOutside =
  "it waits for something outside the log, and went on when that came: at another moment on every replica; wait for it with an effect of the room (await this.effect(name, data)), or bring it in from outside with room.propose()";

type WorldHost = Pick<RoomHost, "log" | "isPrimary" | "effectOpened">;
type Stamps = { readonly logTimeMs: number; readonly wallTimeMs: number };

/** By a node's log: what it was told of rooms of each name. */
const toldBy = new WeakMap<object, Set<string>>();

/** What one room's code sees of the world, and how it is run there: time, chance, timers and open promises. */
export class RoomWorld implements World {
  readonly timers = new RoomTimers(sessionLimits.timersMax);
  readonly effects: RoomEffects;
  lastError: string | null = null;
  /** The room's code runs elsewhere: what is open here are answers to who asked, which no checkpoint needs. */
  isLed = false;
  #hasEnded = false;
  readonly #birth: RoomBirth;
  readonly #host: WorldHost;
  readonly #random: RoomRandom;
  readonly #secrets: SecretRandom;
  /** Promises of room code that have not settled: what each is. */
  readonly #open = new Map<number, string>();
  #nextOpen = 1;
  #nowMs: number;
  #wallMs: number;
  /** The log's time minus the room's: for how long it has stood still. */
  #standstillMs = 0;
  /** Log time; null: the room's clock goes. */
  #stoppedAtMs: number | null = null;

  constructor(birth: RoomBirth, host: WorldHost) {
    this.#birth = birth;
    this.#host = host;
    this.effects = new RoomEffects({
      roomId: birth.roomId,
      world: this,
      isCreating: () => this.timers.creating,
      opened: (effect) => {
        if (host.isPrimary()) host.effectOpened(birth.roomId, effect);
      },
    });
    this.#random = RoomRandom.seeded(birth.seed);
    this.#secrets = new SecretRandom(birth.seed);
    this.#nowMs = birth.logTimeMs;
    this.#wallMs = birth.wallTimeMs;
  }

  get state(): WorldState {
    return {
      nowMs: this.#nowMs,
      wallMs: this.#wallMs,
      random: this.#random.state,
      secretsDrawn: this.#secrets.drawn,
      standstillMs: this.#standstillMs,
      stoppedAtMs: this.#stoppedAtMs,
      effects: this.effects.state,
    };
  }

  restore(state: WorldState): void {
    this.#nowMs = state.nowMs;
    this.#wallMs = state.wallMs;
    this.#random.restore(state.random);
    this.#secrets.restore(state.secretsDrawn ?? 0);
    this.#standstillMs = state.standstillMs;
    this.#stoppedAtMs = state.stoppedAtMs;
    this.effects.restore(state.effects ?? { made: 0, open: [] });
  }

  get label(): string {
    return `room ${this.#birth.roomName} ${this.#birth.roomId}`;
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

  secretBytes(into: Uint8Array): void {
    this.#secrets.fill(into);
  }

  tellOnce(event: string, words: () => string | null): void {
    const { roomId, roomName } = this.#birth;
    const { log } = this.#host;
    const told = toldBy.get(log) ?? new Set<string>();
    toldBy.set(log, told);
    const topic = `${event} ${roomName}`;
    if (told.has(topic)) return;
    const message = words();
    if (message === null) return;
    told.add(topic);
    outsideWorld(() => log.warn({ event, roomId, room: roomName }, message));
  }

  setTimer(
    callback: (...args: unknown[]) => void,
    delayMs: number,
    intervalMs: number | null,
    args: unknown[],
  ): RoomTimer {
    return this.timers.create({ nowMs: this.#nowMs, callback, delayMs, intervalMs, args });
  }

  clearTimer(timer: unknown): void {
    this.timers.clear(timer);
  }

  report(error: unknown, where: string): void {
    const message = failureWords(error);
    this.lastError = `${where}: ${message}`;
    const { roomId, roomName } = this.#birth;
    const at = failurePlace(error);
    const told = { roomId, room: roomName, where, error: message, ...(at === null ? {} : { at }) };
    outsideWorld(() => this.#host.log.warn(told, "room code failed"));
  }

  /** The first effect or promise that is still open, in words; null: none. */
  get openPromise(): string | null {
    if (this.isLed) return null;
    for (const { name } of this.effects.open()) return `effect "${name}"`;
    for (const what of this.#open.values()) return what;
    return null;
  }

  /** The replica goes. */
  end(): void {
    this.#hasEnded = true;
    this.timers.clearAll();
    this.effects.end();
  }

  untilSettled(promise: PromiseLike<unknown>, what: string, failed: (error: unknown) => void): void {
    const id = this.#nextOpen++;
    this.#open.set(id, what);
    const settled = () => {
      this.#open.delete(id);
      if (currentWorld() !== this && !this.isLed && !this.#hasEnded)
        this.report(new Error(wentOnOutside), what);
    };
    promise.then(settled, (error: unknown) => {
      settled();
      failed(error);
    });
  }

  /** Whatever falls due up to a command's stamp has happened before it, on every replica. */
  advance({ logTimeMs, wallTimeMs }: Stamps, afterEach: () => void): void {
    const nowMs = logTimeMs - this.#standstillMs;
    this.timers.advance(nowMs, (timer, dueMs) => {
      this.#moveTime(dueMs, wallTimeMs - (nowMs - dueMs));
      this.run(() => timer.callback(...timer.args), "timer");
      afterEach();
    });
    this.#moveTime(nowMs, wallTimeMs);
  }

  /** The room's clock stands from here on. */
  stop(logTimeMs: number): void {
    this.#stoppedAtMs ??= logTimeMs;
  }

  /** It goes on from where it stood: no seat was kept, and no timer ran, meanwhile. */
  goOn(logTimeMs: number): void {
    if (this.#stoppedAtMs === null) return;
    this.#standstillMs += logTimeMs - this.#stoppedAtMs;
    this.#stoppedAtMs = null;
  }

  /** In log time; null: no timer, or the clock stands. */
  nextDueMs(): number | null {
    const dueMs = this.#stoppedAtMs === null ? this.timers.nextDueMs() : null;
    return dueMs === null ? null : dueMs + this.#standstillMs;
  }

  #moveTime(nowMs: number, wallMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#wallMs = Math.max(this.#wallMs, wallMs);
  }

  /** A failure in room code is a result, equal on every replica; it hurts nothing else (design 5.4). */
  run(act: () => void, where: string): void {
    try {
      runInWorld(this, act);
    } catch (error) {
      this.report(error, where);
    }
  }

  /** Runs an asynchronous piece of room code as far as it comes by itself. */
  settle<T>(act: () => Promise<T>): Settled<T> {
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
    if (result.state === "pending") {
      this.untilSettled(result.promise, "a hook", (error) => this.report(error, "a hook"));
    }
    return result;
  }

  /** Runs an asynchronous piece of room code that must finish by itself. @throws what it throws, or else these words */
  finish<T>(act: () => Promise<T>, waits: string): T {
    const settled = this.settle(act);
    if (settled.state === "failed") throw settled.error;
    if (settled.state === "pending") throw new Error(waits);
    return settled.value;
  }
}
