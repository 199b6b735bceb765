import type { Chance } from "./chance.ts";

const share = 0.4;

/** Of a run: null, if its rooms come to rest as they should. Chance of its own, so that all other runs stay as they are. */
export interface Restless {
  readonly chance: Chance;
  /** Small enough that rooms which are not at rest for a second or a few lose their log. */
  readonly roomLogBytesMax: number;
}

export function restlessOf(chance: Chance): Restless | null {
  if (!chance.hits(share)) return null;
  return { chance, roomLogBytesMax: chance.pick([1_500, 4_000, 10_000]) };
}
