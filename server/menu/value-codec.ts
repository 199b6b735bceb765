import { pack, unpack } from "msgpackr";
import { KeeperError } from "./keeper-error.ts";
import { keeperLimits } from "./keeper-limits.ts";
import { plainDataFault } from "./plain-data.ts";

/**
 * Equal values have equal bytes; objects are equal if their keys are, in the same order.
 * @throws KeeperError ARGUMENT, VALUE_TOO_BIG
 */
export function encodeValue(value: unknown): Uint8Array {
  const { valueBytesMax } = keeperLimits;
  if (value === undefined)
    throw new KeeperError("ARGUMENT", "the value is undefined: delete the key, or put null");
  const fault = plainDataFault(value, "value");
  if (fault !== null) throw new KeeperError("ARGUMENT", fault);
  const bytes = packed(value);
  if (bytes.length > valueBytesMax)
    throw new KeeperError(
      "VALUE_TOO_BIG",
      `the value takes ${bytes.length} bytes, ${valueBytesMax} are allowed: split it over several keys`,
    );
  return bytes;
}

function packed(value: unknown): Uint8Array {
  try {
    // A copy: the packer's own buffer is much larger, and would live as long as the value.
    return new Uint8Array(pack(value));
  } catch (cause) {
    throw new KeeperError("ARGUMENT", `the value cannot be encoded: ${String(cause)}`);
  }
}

/** Of a copy: bytes within the value would else be views of what is kept, for anybody to change. */
export function decodeValue(bytes: Uint8Array): unknown {
  return unpack(new Uint8Array(bytes)) as unknown;
}

/** @throws KeeperError ARGUMENT */
export function checkKey(key: unknown, what = "key"): asserts key is string {
  const { keyBytesMax } = keeperLimits;
  if (typeof key !== "string")
    throw new KeeperError(
      "ARGUMENT",
      `the ${what} is a ${key === null ? "null" : typeof key}: a string is expected`,
    );
  const bytes = Buffer.byteLength(key);
  if (bytes === 0 || bytes > keyBytesMax)
    throw new KeeperError(
      "ARGUMENT",
      `the ${what} takes ${bytes} bytes in UTF-8: 1 to ${keyBytesMax} are allowed`,
    );
  if (!key.isWellFormed())
    throw new KeeperError(
      "ARGUMENT",
      `the ${what} is no well-formed text: half of a surrogate pair stands alone`,
    );
}

/** @throws KeeperError ARGUMENT */
export function checkExpiry(ms: unknown, what = "expiresInMs"): asserts ms is number {
  const { expiryMsMax } = keeperLimits;
  if (typeof ms !== "number" || !Number.isInteger(ms) || ms < 1 || ms > expiryMsMax)
    throw new KeeperError(
      "ARGUMENT",
      `${what} is ${String(ms)}: whole milliseconds from 1 to ${expiryMsMax} are allowed`,
    );
}

/** @throws KeeperError ARGUMENT */
export function checkMs(name: string, ms: unknown, min: number, max: number): void {
  if (typeof ms === "number" && Number.isInteger(ms) && ms >= min && ms <= max) return;
  throw new KeeperError(
    "ARGUMENT",
    `${name} is ${String(ms)}: whole milliseconds from ${min} to ${max} are allowed`,
  );
}
