import type { Now } from "../raft/ready.ts";

/** Time as it is handed into every part of a node, so that a simulator can hand in its own. */
export interface Clock {
  now(): Now;
  /** Calls `fn` once, `ms` from now, unless the returned function is called before. */
  setTimer(fn: () => void, ms: number): () => void;
  /** Calls `fn` in a macrotask of its own, behind what the event loop has already polled. */
  defer(fn: () => void): void;
}

export const realClock: Clock = Object.freeze({
  now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
  setTimer: (fn: () => void, ms: number) => {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
  defer: (fn: () => void) => {
    setImmediate(fn);
  },
});
