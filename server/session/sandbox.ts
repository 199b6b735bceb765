import assert from "node:assert/strict";
import { processWide } from "./process-wide.ts";

/** What room code sees of the world while it is applied: the log's time, the log's chance (design 5.4). */
export interface World {
  readonly label: string;
  /** The room's log time, in milliseconds. */
  nowMs(): number;
  /** The leader's wall clock as stamped, in milliseconds since 1970. */
  wallMs(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Bytes that nobody can tell from what else the room drew. */
  secretBytes(into: Uint8Array): void;
  /** A line in the node's log for who writes the room, once for rooms of that name; null: this time there is nothing to tell. */
  tellOnce(event: string, words: () => string | null): void;
  /** A timer of the framework (Colyseus's own): fires by log time. `intervalMs` null: once. */
  setTimer(
    callback: (...args: unknown[]) => void,
    delayMs: number,
    intervalMs: number | null,
    args: unknown[],
  ): object;
  clearTimer(timer: unknown): void;
  /** A failure in room code that nobody caught. */
  report(error: unknown, where: string): void;
  /** Room code may only look here: why, and what to do instead. */
  readonly forbids?: string;
  /** What room code prints here is printed by another node. */
  readonly isEcho?: boolean;
}

interface Sandbox {
  // One variable is enough: an apply and the draining of its microtasks are one synchronous stretch.
  current: World | null;
  /** What waits for the end of the apply that is under way. */
  afterApply: (() => void)[];
}

const sandbox = processWide<Sandbox>("sandbox", () => ({ current: null, afterApply: [] }));

/** The world of the room that is being applied now, or null outside every apply. */
export function currentWorld(): World | null {
  return sandbox.current;
}

// Node's own drain of nextTicks and microtasks, callable from a macrotask: the same log drained per 1, 2 and 7
// entries gives different states, so every entry is drained to the end before the next one (design 5.4).
const tickCallback = (process as unknown as { _tickCallback?: () => void })._tickCallback;

/** Runs all waiting microtasks to the end. Must be called from a macrotask: inside a microtask V8 would not run them. */
export function drainMicrotasks(): void {
  assert(tickCallback !== undefined, "this version of Node has no process._tickCallback: use the pinned one");
  let drained = false;
  queueMicrotask(() => {
    drained = true;
  });
  tickCallback.call(process);
  assert(drained, "room code was applied from inside a promise's continuation");
}

/** Runs `apply` in a room's world, and every microtask that it leaves behind. Foreign microtasks run before, outside. */
export function runInWorld<T>(world: World, apply: () => T): T {
  assert(sandbox.current === null, `an apply of ${world.label} inside an apply of ${sandbox.current?.label}`);
  drainMicrotasks();
  sandbox.current = world;
  try {
    const result = apply();
    drainMicrotasks();
    return result;
  } catch (error) {
    drainMicrotasks();
    throw error;
  } finally {
    sandbox.current = null;
    const waiting = sandbox.afterApply;
    sandbox.afterApply = [];
    for (const act of waiting) act();
  }
}

/** Calls `act`, which must not throw, in the node's world: now, or as soon as the apply that is under way has ended. */
export function onceApplied(act: () => void): void {
  if (sandbox.current === null) act();
  else sandbox.afterApply.push(act);
}

/**
 * A promise of room code for the node's own code: settled only once the apply has ended, so that whoever awaits it goes
 * on in the node's world, with the node's clock.
 */
export function settledOutside<T>(promise: Promise<T>): Promise<T> {
  const settled = new Promise<T>((resolve, reject) => {
    promise.then(
      (value) => onceApplied(() => resolve(value)),
      (error: unknown) => onceApplied(() => reject(error)),
    );
  });
  // Only the proposer's node awaits it: on all others its failure has been told as the room's.
  settled.catch(() => {});
  return settled;
}

/**
 * A rejection that nobody handles, if it is room code's: Node tells of it while the room's microtasks are drained.
 * False: it is the node's own, and a reason to end the process.
 */
export function reportInWorld(error: unknown): boolean {
  sandbox.current?.report(error, "unhandled rejection");
  return sandbox.current !== null;
}

/** Leaves the room's world for a moment: for what the node itself must do in the middle of an apply (sockets, logs). */
export function outsideWorld<T>(act: () => T): T {
  return inWorld(null, act);
}

/** For a look that changes nothing and leaves nothing behind: nothing is drained. An apply is `runInWorld`. */
export function inWorld<T>(world: World | null, act: () => T): T {
  const outer = sandbox.current;
  sandbox.current = world;
  try {
    return act();
  } finally {
    sandbox.current = outer;
  }
}
