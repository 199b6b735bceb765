import { test } from "uvu";
import * as assert from "uvu/assert";
import { RoomRandom } from "../../server/session/random.ts";

const seed = Uint8Array.of(0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 250, 251, 252, 253);

test("[D5] one seed gives one sequence, another seed another", () => {
  const draw = (bytes: Uint8Array) => Array.from({ length: 20 }, () => RoomRandom.seeded(bytes).uint32());
  assert.equal(draw(seed), draw(Uint8Array.from(seed)));
  for (let bit = 0; bit < 96; bit++) {
    const other = Uint8Array.from(seed);
    other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.is.not(RoomRandom.seeded(other).uint32(), RoomRandom.seeded(seed).uint32(), `bit ${bit}`);
  }
});

test("[D5] a seed may lie anywhere in its buffer", () => {
  const buffer = new Uint8Array(40);
  buffer.set(seed, 17);
  assert.is(RoomRandom.seeded(buffer.subarray(17, 29)).next(), RoomRandom.seeded(seed).next());
});

test("[D5] a saved state goes on exactly where it was", () => {
  const random = RoomRandom.seeded(seed);
  for (let draw = 0; draw < 1_000; draw++) random.next();
  const later = RoomRandom.seeded(new Uint8Array(12));
  later.restore(JSON.parse(JSON.stringify(random.state)));
  for (let draw = 0; draw < 1_000; draw++) assert.is(later.next(), random.next());
});

test("[D5] numbers lie in [0, 1), evenly in every sixteenth, and every bit is set half of the time", () => {
  const random = RoomRandom.seeded(seed);
  const draws = 64_000;
  const buckets = new Array<number>(16).fill(0);
  const bits = new Array<number>(32).fill(0);
  for (let draw = 0; draw < draws; draw++) {
    const value = random.next();
    assert.ok(value >= 0 && value < 1);
    buckets[Math.floor(value * 16)] = (buckets[Math.floor(value * 16)] ?? 0) + 1;
    const word = random.uint32();
    for (let bit = 0; bit < 32; bit++) bits[bit] = (bits[bit] ?? 0) + ((word >>> bit) & 1);
  }
  // Six standard deviations; the sequence is fixed, so this holds for good or never.
  for (const count of buckets)
    assert.ok(Math.abs(count - draws / 16) < 6 * Math.sqrt(draws / 16), `${buckets}`);
  for (const count of bits) assert.ok(Math.abs(count - draws / 2) < 6 * Math.sqrt(draws / 4), `${bits}`);
});

test.run();
