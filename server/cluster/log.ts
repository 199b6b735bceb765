import { writeSync } from "node:fs";
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";
import { codeOf, describeError, exitCodeOf } from "./node-error.ts";
import type { LogLevel } from "./options.ts";

/** One JSON line an event, on stdout: `{ level, time, node, event, …, msg }`. */
export type Log = Logger;

/**
 * Lines that tell an operator about the life of a node carry `event`, a word that does not change when the wording of
 * `msg` does; the starter shows those, warnings and worse.
 */
export function makeLog({
  node,
  level,
  stream,
}: {
  node: string;
  level: LogLevel;
  stream?: DestinationStream;
}): Log {
  // Synchronous: a process that is about to fail hard must not take its last lines with it.
  const sink = stream ?? destination({ fd: 1, sync: true });
  return pino({ level, base: { node }, timestamp: stdTimeFunctions.isoTime }, sink);
}

export type Fail = (error: unknown) => never;

/** Ends the process at once, with one last line on stderr (design 4.4): nothing half-done is served. */
export function failHard({ node, log }: { node: string; log: Log }): Fail {
  return (error) => {
    const code = codeOf(error);
    const message = describeError(error);
    log.fatal({ event: "failed", code, err: error }, message);
    writeLastLine(`testudo: node ${node} ends: ${code}: ${message}`);
    process.exit(exitCodeOf(error));
  };
}

/** Straight to the descriptor: process.exit does not wait for streams. */
export function writeLastLine(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads stderr any more; the exit code still speaks.
  }
}
