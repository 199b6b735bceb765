import { currentWorld } from "../../session/sandbox.ts";

type Callback = (...args: never[]) => unknown;

/**
 * A throw in a callback that room code has put off goes to the room's own failures. It must not leave the drain of an
 * entry: Node's books of its callbacks would no longer add up, and the process would be aborted, on every replica.
 */
function contained(callback: Callback, where: string): Callback {
  const world = currentWorld();
  if (world === null || typeof callback !== "function") return callback;
  return (...args) => {
    try {
      return callback(...args);
    } catch (error) {
      world.report(error, where);
      return undefined;
    }
  };
}

/** `process.nextTick` and `queueMicrotask`, as room code sees them: they run within its entry, and fail within it too. */
export function replaceMicrotasks(): void {
  const nextTick = process.nextTick as unknown as (callback: Callback, ...args: unknown[]) => void;
  const queue = globalThis.queueMicrotask;
  process.nextTick = ((callback: Callback, ...args: unknown[]) =>
    nextTick.call(process, contained(callback, "nextTick"), ...args)) as typeof process.nextTick;
  globalThis.queueMicrotask = (callback) => queue(contained(callback, "microtask") as () => void);
}
