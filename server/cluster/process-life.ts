import { reportInWorld } from "../session/sandbox.ts";
import type { Fail, Log } from "./log.ts";
import { exitCodes } from "./node-error.ts";

export interface StoppableProcess {
  /** Comes first, by default nothing does: resolves when nobody is here any more, or it was waited for long enough. */
  readonly drain?: (timeoutMs?: number) => Promise<void>;
  /** Ends the drain now. */
  readonly hurry?: () => void;
  /** Closes everything; may take `stopTimeoutMs`. */
  readonly stop: () => Promise<void>;
  readonly stopTimeoutMs: number;
  readonly log: Log;
  readonly fail: Fail;
}

/** A terminal's Ctrl-C reaches a node directly and through its starter: only a later signal is another one. */
const signalAgainMs = 500;

/**
 * Ties a node to its process: SIGTERM, SIGINT and the end of whoever started it (its IPC channel closes, even when it is
 * killed with -9) drain the node, stop it cleanly and exit with 0; a second signal does not wait for the drain, a third one
 * for nothing; what nobody caught ends the process at once. Returns the same for other reasons to end.
 */
export function stopWithProcess(ending: StoppableProcess): (reason: string, timeoutMs?: number) => void {
  const { drain = async () => {}, hurry = () => {}, stop, stopTimeoutMs, log, fail } = ending;
  let state: "running" | "draining" | "hurried" | "stopping" = "running";
  let signalledMs = Number.NEGATIVE_INFINITY;
  const begin = (reason: string, timeoutMs?: number) => {
    if (state !== "running") return;
    state = "draining";
    log.info({ event: "stopping", reason }, `stopping: ${reason}`);
    drain(timeoutMs)
      .then(() => {
        state = "stopping";
        // A stop that hangs must not keep the process: everything that counts is on disk already.
        setTimeout(() => {
          log.warn(
            { event: "stop-timeout", stopTimeoutMs },
            `the stop took longer than ${stopTimeoutMs} ms: ends now`,
          );
          process.exit(exitCodes.stopped);
        }, stopTimeoutMs).unref();
        return stop();
      })
      .then(() => process.exit(exitCodes.stopped), fail);
  };
  const signalled = (signal: string) => {
    const isAgain = performance.now() - signalledMs >= signalAgainMs;
    const isFirst = signalledMs === Number.NEGATIVE_INFINITY;
    if (isAgain) signalledMs = performance.now();
    if (isFirst) return begin(signal);
    if (!isAgain) return;
    if (state === "draining") {
      state = "hurried";
      hurry();
      return;
    }
    log.warn({ event: "stop-cut-short", signal }, `${signal} again, in the middle of the stop: ends now`);
    process.exit(exitCodes.stopped);
  };
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => signalled(signal));
  if (process.channel !== undefined && process.channel !== null)
    process.on("disconnect", () => begin("the starter has ended"));
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", (error) => {
    // Room code's own are results (design 5.4); anything else is doubt.
    if (!reportInWorld(error)) fail(error);
  });
  return begin;
}
