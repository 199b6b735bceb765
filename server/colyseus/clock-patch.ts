import { Clock, type Delayed, type Room, TimedEventException } from "@colyseus/core";
import { currentWorld, type World } from "../session/sandbox.ts";
import { outsideLog } from "../session/session-error.ts";
import { type Seam, seamIn } from "./seam.ts";

type Callback = (...args: unknown[]) => unknown;
type TimerName = "setTimeout" | "setInterval";

/** Where a clock timer comes from: what a restored room matches it by (design 5.5). */
export type DelayedOrigin =
  /** Made while the room was created, as the n-th: made anew by onCreate. */
  | { readonly type: "created"; readonly ordinal: number }
  /** A method of the room: saved by its name. */
  | { readonly type: "method"; readonly name: string }
  /** A closure made later: the room is not at rest until it has fired. */
  | { readonly type: "closure"; readonly site: string };

const origins = new WeakMap<object, DelayedOrigin>();

export function originOf(delayed: Delayed): DelayedOrigin | undefined {
  return origins.get(delayed);
}

export function setOrigin(delayed: Delayed, origin: DelayedOrigin): void {
  origins.set(delayed, origin);
}

interface ClockMethods {
  delayed: Delayed[];
  setTimeout(handler: Callback, time: number, ...args: unknown[]): Delayed;
  setInterval(handler: Callback, time: number, ...args: unknown[]): Delayed;
  duration(ms: number): Promise<void>;
  clear(): void;
}

/** The room's own method under which this very function is found, or null. */
export function methodName(room: object, handler: Callback): string | null {
  const { name } = handler;
  return name !== "" && (room as Record<string, unknown>)[name] === handler ? name : null;
}

function originFor(seam: Seam, handler: Callback): DelayedOrigin {
  if (seam.creating) return { type: "created", ordinal: seam.clockOrdinal++ };
  const name = methodName(seam.room, handler);
  if (name !== null) return { type: "method", name };
  return { type: "closure", site: closureSite() };
}

/** File and line of the room code that made the timer or subscription: for the warning about a room that never comes to rest. */
export function closureSite(): string {
  const lines = (new Error().stack ?? "").split("\n").slice(1);
  const line = lines.find((each) => !/[\\/]server[\\/](colyseus|session)[\\/]|@colyseus[\\/]/.test(each));
  return line?.trim().replace(/^at /, "") ?? "unknown";
}

/** A timer's callback: a failure is a result, a promise is counted, and a method of the room is called on the room. */
function guarded(seam: Seam, handler: Callback, origin: DelayedOrigin, name: TimerName): Callback {
  return function (this: unknown, ...args: unknown[]) {
    const failed = (error: unknown) => tell(seam, error, name, args);
    try {
      const result = handler.apply(origin.type === "method" ? seam.room : this, args);
      if (typeof (result as PromiseLike<unknown> | undefined)?.then === "function") {
        seam.environment.track((result as PromiseLike<unknown>).then(undefined, failed), "a clock timer");
      }
      return result;
    } catch (error) {
      failed(error);
      return undefined;
    }
  };
}

/** To the room's own onUncaughtException if it has one, as the stock room would. */
function tell(seam: Seam, error: unknown, name: TimerName, args: unknown[]): void {
  if (!seam.catches) {
    seam.environment.report(error, "clock timer");
    return;
  }
  try {
    const told = new TimedEventException(
      error as Error,
      (error as Error | null)?.message ?? String(error),
      ...args,
    );
    (seam.room as Room).onUncaughtException?.(told, name);
  } catch (failure) {
    seam.environment.report(failure, "onUncaughtException");
  }
}

const worldOfClock = new WeakMap<object, World>();

/** The clock is a replicated room's: timers are made on it inside of this world only. */
export function ownClock(clock: object, world: World): void {
  worldOfClock.set(clock, world);
}

function checkInside(clock: object, name: string): void {
  const world = worldOfClock.get(clock);
  if (world === undefined || world === currentWorld()) return;
  throw outsideLog(`clock.${name}() of ${world.label} was called outside of the room`);
}

/**
 * A stock room with onUncaughtException wraps its clock's methods in closures of its own, and a method of the room that
 * is given to them loses its name. Here the timers themselves tell the room, so the wrappers can go.
 */
export function unwrapClock(clock: object, seam: Seam): void {
  seam.catches = Object.hasOwn(clock, "setTimeout");
  for (const name of ["setTimeout", "setInterval"]) Reflect.deleteProperty(clock, name);
}

let patched = false;

/** Timers of `room.clock` inside a replicated room know where they come from. Plain rooms are left as they are. */
export function patchClock(): void {
  if (patched) return;
  patched = true;
  const prototype = Clock.prototype as unknown as ClockMethods;
  const stock = {
    setTimeout: prototype.setTimeout,
    setInterval: prototype.setInterval,
    duration: prototype.duration,
    clear: prototype.clear,
  };
  for (const name of ["setTimeout", "setInterval"] as const) {
    prototype[name] = function (this: ClockMethods, handler: Callback, time: number, ...args: unknown[]) {
      checkInside(this, name);
      const seam = seamIn(currentWorld());
      if (seam === undefined) return stock[name].call(this, handler, time, ...args);
      const origin = originFor(seam, handler);
      const delayed = stock[name].call(this, guarded(seam, handler, origin, name), time, ...args);
      origins.set(delayed, origin);
      return delayed;
    };
  }
  prototype.clear = function (this: ClockMethods) {
    checkInside(this, "clear");
    stock.clear.call(this);
  };
  prototype.duration = function (this: ClockMethods, ms: number) {
    checkInside(this, "duration");
    const seam = seamIn(currentWorld());
    const waiting = stock.duration.call(this, ms);
    const delayed = this.delayed.at(-1);
    // Whoever awaits it is counted where the promise of its hook or handler is.
    if (seam !== undefined && delayed !== undefined)
      origins.set(delayed, { type: "closure", site: closureSite() });
    return waiting;
  };
}
