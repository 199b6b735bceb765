import { checkFunction } from "../../menu/given-arguments.ts";
import { KeeperError } from "../../menu/keeper-error.ts";
import { keeperLimits } from "../../menu/keeper-limits.ts";
import { checkKey } from "../../menu/value-codec.ts";

/** @throws KeeperError ARGUMENT */
export function checkSubscription(topic: unknown, callback: unknown): asserts topic is string {
  checkKey(topic, "channel");
  checkFunction(callback, `what is to be called in channel "${topic}"`);
}

/** As it travels. @throws KeeperError ARGUMENT */
export function publishedText(topic: unknown, data: unknown): string {
  checkKey(topic, "channel");
  let text: string | undefined;
  let why = "it is nothing in JSON";
  try {
    text = JSON.stringify(data === undefined ? false : data);
  } catch (error) {
    why = String(error).split("\n")[0] ?? "";
  }
  if (text !== undefined) return text;
  throw new KeeperError(
    "ARGUMENT",
    `what is published in channel "${topic}" cannot be told: ${why}; publish what JSON can say`,
  );
}

export function millisecondsOf(
  seconds: unknown,
  { min = Number.NEGATIVE_INFINITY }: { min?: number } = {},
): number {
  const ms = typeof seconds === "number" ? Math.ceil(seconds * 1_000) : Number.NaN;
  if (ms >= min && ms <= keeperLimits.expiryMsMax) return ms;
  const max = keeperLimits.expiryMsMax / 1_000;
  throw new KeeperError(
    "ARGUMENT",
    `${String(seconds)} is no number of seconds: up to ${max} are allowed, and no less than ${Math.max(0, min) / 1_000}`,
  );
}

export function wholeNumber(value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number;
  throw new KeeperError("ARGUMENT", `${String(value)} cannot be added: a whole number is expected`);
}

export function atLeastOne(method: string, values: unknown[]): unknown[] {
  if (values.length > 0) return values;
  throw new KeeperError("ARGUMENT", `${method} takes at least one key or value behind its own key`);
}
