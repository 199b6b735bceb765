import { randomFillSync } from "node:crypto";
import { currentWorld } from "../../session/sandbox.ts";

/**
 * Stands in for the package `nanoid` (the preload redirects it here): the same ids in form and entropy, but without its
 * pool of bytes drawn ahead, which would hand room code other ids on every replica. Inside a room ids come from the
 * room's chance, outside from the system's.
 */
export const urlAlphabet = "useandom-26T198340PX75pxJACKVERYMINDBUSHWOLF_GQZbfghjklqvwyzrict";

function randomByte(scratch: Uint8Array): number {
  const world = currentWorld();
  if (world === null) randomFillSync(scratch);
  else world.secretBytes(scratch);
  return scratch[0] ?? 0;
}

/** An id of `alphabet`'s characters; alphabets have 1 to 256 characters. */
export function customAlphabet(alphabet: string, defaultSize = 21): (size?: number) => string {
  const scratch = new Uint8Array(1);
  const mask = (2 << (31 - Math.clz32((alphabet.length - 1) | 1))) - 1;
  return (size = defaultSize) => {
    let id = "";
    while (id.length < size) id += alphabet.charAt(randomByte(scratch) & mask);
    return id;
  };
}

export const nanoid: (size?: number) => string = customAlphabet(urlAlphabet);
