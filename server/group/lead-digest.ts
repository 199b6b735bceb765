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

/** 64 well mixed bits of one pair, in two halves. */
function halves({ group, term }: Lead): readonly [high: number, low: number] {
  let high = 0x243f6a88;
  let low = 0x13198a2e;
  for (const value of [group, term % uint32Size, Math.floor(term / uint32Size), 0x9e3779b9]) {
    high = mix(high, value);
    low = mix(low, value ^ high);
  }
  return [high, low];
}

/**
 * Stands for a set of (group, term) pairs, in any order: they are added and taken away one by one, so a set that does
 * not change costs nothing.
 */
export class LeadSum {
  #high = 0;
  #low = 0;
  #count = 0;

  static of(leads: Iterable<Lead>): LeadSum {
    const sum = new LeadSum();
    for (const lead of leads) sum.add(lead);
    return sum;
  }

  get count(): number {
    return this.#count;
  }

  add(lead: Lead): this {
    const [high, low] = halves(lead);
    this.#high = (this.#high + high) >>> 0;
    this.#low = (this.#low + low) >>> 0;
    this.#count += 1;
    return this;
  }

  remove(lead: Lead): void {
    const [high, low] = halves(lead);
    this.#high = (this.#high - high) >>> 0;
    this.#low = (this.#low - low) >>> 0;
    this.#count -= 1;
  }

  copy(): LeadSum {
    const sum = new LeadSum();
    sum.#high = this.#high;
    sum.#low = this.#low;
    sum.#count = this.#count;
    return sum;
  }

  /** 53 bits; 0 for no pair, and never 0 for some. */
  get digest(): number {
    if (this.#count === 0) return 0;
    const digest = (this.#high >>> 11) * uint32Size + this.#low;
    return digest === 0 ? 1 : digest;
  }
}

export function leadDigest(leads: Iterable<Lead>): number {
  return LeadSum.of(leads).digest;
}
