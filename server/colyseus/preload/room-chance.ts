import type nodeCrypto from "node:crypto";
import type { webcrypto } from "node:crypto";
import { failurePlace } from "../../session/failure.ts";
import { currentWorld, type World } from "../../session/sandbox.ts";

function fill<T extends ArrayBufferView>(world: World, view: T, call: string): T {
  world.secretBytes(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  world.tellOnce("secret-in-room", () => {
    const at = failurePlace(new Error());
    if (at === null) return null;
    return `crypto.${call} at ${at}, inside a room: good for ids, but what it gives can be worked out from every node's log: make tokens and secrets in onAuth, or in an effect`;
  });
  return view;
}

const intBytes = 6;
const intsMax = 2 ** (8 * intBytes);

/** Each whole number from `low` to `high` - 1 as often as any other. */
function uniformInt(world: World, low: number, high: number): number {
  const range = high - low;
  const isRange = Number.isSafeInteger(low) && Number.isSafeInteger(high) && range > 0 && range < intsMax;
  if (!isRange)
    throw new RangeError(
      `crypto.randomInt(${low}, ${high}): two safe whole numbers are allowed, the first one less, by less than 2 ** 48`,
    );
  const limit = intsMax - (intsMax % range);
  const bytes = Buffer.alloc(intBytes);
  for (;;) {
    world.secretBytes(bytes);
    const drawn = bytes.readUIntBE(0, intBytes);
    if (drawn < limit) return low + (drawn % range);
  }
}

function uuid(world: World): string {
  const bytes = fill(world, new Uint8Array(16), "randomUUID");
  // RFC 9562 §5.4: version 4, variant 10.
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * `Math.random`, `crypto.randomUUID`, `getRandomValues`, `randomBytes` and `randomInt` inside a room draw from the room's
 * seed, those of `crypto` so that no draw reveals another; outside they are what they were. The asynchronous forms come back
 * from a thread and are refused.
 */
export function replaceChance(crypto: typeof nodeCrypto): void {
  const realRandom = Math.random;
  Math.random = () => currentWorld()?.random() ?? realRandom();

  const web = Object.getPrototypeOf(globalThis.crypto) as webcrypto.Crypto;
  const realValues = web.getRandomValues;
  const realWebUuid = web.randomUUID;
  web.getRandomValues = function getRandomValues<
    T extends Parameters<webcrypto.Crypto["getRandomValues"]>[0],
  >(this: webcrypto.Crypto, view: T): T {
    const world = currentWorld();
    return world === null
      ? (realValues.call(this, view) as T)
      : (fill(world, view as ArrayBufferView, "getRandomValues") as unknown as T);
  } as webcrypto.Crypto["getRandomValues"];
  web.randomUUID = function randomUUID(this: webcrypto.Crypto) {
    const world = currentWorld();
    return world === null
      ? realWebUuid.call(this)
      : (uuid(world) as ReturnType<webcrypto.Crypto["randomUUID"]>);
  };

  const real = {
    randomUUID: crypto.randomUUID,
    randomBytes: crypto.randomBytes,
    randomInt: crypto.randomInt,
    randomFillSync: crypto.randomFillSync,
    randomFill: crypto.randomFill,
  };
  const replaced = {
    randomUUID(...args: unknown[]) {
      const world = currentWorld();
      return world === null ? (real.randomUUID as (...all: unknown[]) => string)(...args) : uuid(world);
    },
    randomBytes(size: number, callback?: unknown) {
      const world = currentWorld();
      if (world === null) return (real.randomBytes as (...all: unknown[]) => unknown)(size, callback);
      if (callback !== undefined)
        throw new Error(`crypto.randomBytes with a callback in ${world.label}: call it without one`);
      return fill(world, Buffer.alloc(size), "randomBytes");
    },
    randomInt(...args: unknown[]) {
      const world = currentWorld();
      if (world === null) return (real.randomInt as (...all: unknown[]) => unknown)(...args);
      if (typeof args.at(-1) === "function")
        throw new Error(`crypto.randomInt with a callback in ${world.label}: call it without one`);
      const [low, high] = args.length === 1 ? [0, args[0] as number] : (args as [number, number]);
      return uniformInt(world, low, high);
    },
    randomFillSync(view: ArrayBufferView | ArrayBuffer, offset = 0, size?: number) {
      const world = currentWorld();
      if (world === null) {
        const rest = size === undefined ? [offset] : [offset, size];
        return (real.randomFillSync as (...all: unknown[]) => unknown)(view, ...rest);
      }
      // In elements of the view, as Node counts them.
      const unit = (view as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
      const bytes = ArrayBuffer.isView(view)
        ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
        : new Uint8Array(view);
      const end = size === undefined ? undefined : (offset + size) * unit;
      fill(world, bytes.subarray(offset * unit, end), "randomFillSync");
      return view;
    },
    randomFill(...args: unknown[]) {
      const world = currentWorld();
      if (world !== null) throw new Error(`crypto.randomFill in ${world.label}: use crypto.randomFillSync`);
      return (real.randomFill as (...all: unknown[]) => unknown)(...args);
    },
  };
  Object.assign(crypto, replaced);
}
