import { reportInWorld } from "../session/sandbox.ts";
import type { Fail, Log } from "./log.ts";
import { exitCodes } from "./node-error.ts";

export interface StoppableProcess {
  /** Closes everything; may take `stopTimeoutMs`. */
  readonly stop: () => Promise<void>;
  readonly stopTimeoutMs: number;
  readonly log: Log;
  readonly fail: Fail;
}

/**
 * Ties a node to its process: SIGTERM, SIGINT and the end of whoever started it (its IPC channel closes, even when it is
 * killed with -9) stop the node cleanly and exit with 0; what nobody caught ends it at once. Returns the stop itself.
 */
export function stopWithProcess({
  stop,
  stopTimeoutMs,
  log,
  fail,
}: StoppableProcess): (reason: string) => void {
  let stopping = false;
  const begin = (reason: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ event: "stopping", reason }, `stopping: ${reason}`);
    // A stop that hangs must not keep the process: everything that counts is on disk already.
    setTimeout(() => {
      log.warn(
        { event: "stop-timeout", stopTimeoutMs },
        `the stop took longer than ${stopTimeoutMs} ms: ends now`,
      );
      process.exit(exitCodes.stopped);
    }, stopTimeoutMs).unref();
    stop().then(() => process.exit(exitCodes.stopped), fail);
  };
  process.on("SIGTERM", () => begin("SIGTERM"));
  process.on("SIGINT", () => begin("SIGINT"));
  if (process.channel !== undefined && process.channel !== null)
    process.on("disconnect", () => begin("the starter has ended"));
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", (error) => {
    // Room code's own are results (design 5.4); anything else is doubt.
    if (!reportInWorld(error)) fail(error);
  });
  return begin;
}
