import fs from "node:fs";
import { currentWorld, outsideWorld } from "../../session/sandbox.ts";
import { seamIn } from "../seam.ts";

/** Standard output and standard error. */
const terminals: readonly unknown[] = [1, 2];

/** A room is applied here whose leader is elsewhere, or that was applied before: what it prints was printed there and then. */
function isHeardElsewhere(): boolean {
  const world = currentWorld();
  if (world?.isEcho !== undefined) return world.isEcho;
  const seam = seamIn(world);
  return seam !== undefined && !seam.environment.isPrimary();
}

type Write = (...args: unknown[]) => unknown;

/** @param muted what a call gives, given its arguments, that writes nothing */
function mute<T extends object>(owner: T, name: string, muted: (args: unknown[]) => unknown): void {
  const table = owner as Record<string, unknown>;
  table[name] = new Proxy(table[name] as Write, {
    apply(target, self, args: unknown[]) {
      const result = isHeardElsewhere() ? muted(args) : undefined;
      return result === undefined ? (Reflect.apply(target, self, args) as unknown) : result;
    },
  });
}

/** Its callback comes as it would have: later, outside of the room. */
function answerLater(args: unknown[], ...answer: unknown[]): void {
  const callback = args.at(-1);
  if (typeof callback === "function") outsideWorld(() => setImmediate(() => callback(...answer)));
}

/**
 * Lines that room code prints, by `console` or by a logger, are printed once: on the leader's node. (Loggers that gather
 * lines and write them later, or in a worker, are not seen through: those print on every replica.)
 */
export function printOnce(): void {
  for (const stream of [process.stdout, process.stderr]) {
    mute(stream, "write", (args) => {
      answerLater(args, null);
      return true;
    });
  }
  const bytesOf = (data: unknown): number => Buffer.byteLength(data as string | Uint8Array);
  const toTerminal = (args: unknown[]): boolean => terminals.includes(args[0]);
  mute(fs, "writeSync", (args) => (toTerminal(args) ? bytesOf(args[1]) : undefined));
}
