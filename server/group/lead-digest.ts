/** A group and the term in which somebody leads it. */
export interface Lead {
  readonly group: number;
  readonly term: number;
}

const uint32Size = 2 ** 32;

function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ value, 0x9e3779b1);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x85ebca77);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

/** 53 bits of the (group, term) pairs, in any order; 0 for none, and never 0 for some. */
export function leadDigest(leads: readonly Lead[]): number {
  if (leads.length === 0) return 0;
  let high = 0x243f6a88;
  let low = 0x13198a2e;
  for (const { group, term } of [...leads].sort((a, b) => a.group - b.group)) {
    for (const value of [group, term % uint32Size, Math.floor(term / uint32Size)]) {
      high = mix(high, value);
      low = mix(low, value ^ high);
    }
  }
  const digest = (high >>> 11) * uint32Size + (low >>> 0);
  return digest === 0 ? 1 : digest;
}
