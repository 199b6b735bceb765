import { failureWords } from "./failure.ts";
import { sessionLimits } from "./limits.ts";
import { RoomRandom } from "./random.ts";
import type { RoomBirth } from "./room-program.ts";
import { type RoomTimer, RoomTimers } from "./room-timers.ts";
import { outsideWorld, runInWorld, type World } from "./sandbox.ts";

export interface WorldState {
  readonly nowMs: number;
  readonly wallMs: number;
  readonly random: [number, number, number, number];
}

/** How far an asynchronous piece of room code came by itself. */
export type Settled<T> =
  | { readonly state: "pending"; readonly promise: Promise<T> }
  | { readonly state: "done"; readonly value: T }
  | { readonly state: "failed"; readonly error: unknown };

type Stamps = { readonly logTimeMs: number; readonly wallTimeMs: number };

/** What one room's code sees of the world, and how it is run there: time, chance, timers and open promises. */
export class RoomWorld implements World {
  readonly timers = new RoomTimers(sessionLimits.timersMax);
  lastError: string | null = null;
  readonly #birth: RoomBirth;
  readonly #warn: (fields: object, message: string) => void;
  readonly #random: RoomRandom;
  /** Promises of room code that have not settled: what each is. */
  readonly #open = new Map<number, string>();
  #nextOpen = 1;
  #nowMs: number;
  #wallMs: number;

  constructor(birth: RoomBirth, warn: (fields: object, message: string) => void) {
    this.#birth = birth;
    this.#warn = warn;
    this.#random = RoomRandom.seeded(birth.seed);
    this.#nowMs = birth.logTimeMs;
    this.#wallMs = birth.wallTimeMs;
  }

  get state(): WorldState {
    return { nowMs: this.#nowMs, wallMs: this.#wallMs, random: this.#random.state };
  }

  restore(state: WorldState): void {
    this.#nowMs = state.nowMs;
    this.#wallMs = state.wallMs;
    this.#random.restore(state.random);
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
    outsideWorld(() => this.#warn({ roomId, room: roomName, where, error: message }, "room code failed"));
  }

  /** The first promise that is still open, in words; null: none. */
  get openPromise(): string | null {
    const first = this.#open.values().next();
    return first.done ? null : first.value;
  }

  untilSettled(promise: PromiseLike<unknown>, what: string, failed: (error: unknown) => void): void {
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

  /** Whatever falls due up to a command's stamp has happened before it, on every replica. */
  advance({ logTimeMs, wallTimeMs }: Stamps, afterEach: () => void): void {
    this.timers.advance(logTimeMs, (timer, dueMs) => {
      this.#moveTime(dueMs, wallTimeMs - (logTimeMs - dueMs));
      this.run(() => timer.callback(...timer.args), "timer");
      afterEach();
    });
    this.#moveTime(logTimeMs, wallTimeMs);
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
}
