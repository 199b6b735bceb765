import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { derivedSeed, RoomRandom } from "../../server/session/random.ts";
import { SecretRandom } from "../../server/session/secret-random.ts";

const seed = Uint8Array.of(0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 250, 251, 252, 253);

function drawn(random: SecretRandom, ...sizes: readonly number[]): string {
  const parts = sizes.map((size) => {
    const into = new Uint8Array(size);
    random.fill(into);
    return into;
  });
  return Buffer.concat(parts).toString("hex");
}

test("[Y146] what crypto draws is SHA-256 over a key and a counter; however it is cut it is one stream", () => {
  const sha256 = (...parts: readonly (string | Uint8Array)[]) =>
    parts.reduce((sum, part) => sum.update(part), createHash("sha256")).digest();
  const key = sha256("testudo secrets\0", seed);
  const number = (at: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(at);
    return bytes;
  };
  const expected = Buffer.concat([0, 1, 2].map((at) => sha256(key, number(at)))).toString("hex");
  assert.is(drawn(new SecretRandom(seed), 96), expected);
  assert.is(drawn(new SecretRandom(seed), 0, 1, 31, 33, 1, 30), expected);
});

test("[Y146] it goes on exactly where a checkpoint left it", () => {
  const random = new SecretRandom(seed);
  drawn(random, 45);
  const later = new SecretRandom(seed);
  later.restore(random.drawn);
  assert.is(random.drawn, 45);
  assert.is(drawn(later, 100), drawn(random, 100));
});

test("[Y146] another seed gives another stream", () => {
  const first = drawn(new SecretRandom(seed), 16);
  for (let bit = 0; bit < 96; bit++) {
    const other = Uint8Array.from(seed);
    other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.is.not(drawn(new SecretRandom(other), 16), first, `bit ${bit}`);
  }
});

/** The state before the last draw of sfc32: every step of it can be undone. */
function before([a, b, c, counter]: readonly [number, number, number, number]): [
  number,
  number,
  number,
  number,
] {
  const ninth = 954_437_177; // 9 * 954437177 = 1 modulo 2 ** 32
  const earlierC = Math.imul(b, ninth);
  const sum = (c - ((earlierC << 21) | (earlierC >>> 11))) | 0;
  let earlierB = a;
  for (let shift = 9; shift < 32; shift += 9) earlierB = a ^ (earlierB >>> 9);
  const earlierCounter = (counter - 1) | 0;
  return [(sum - earlierB - earlierCounter) | 0, earlierB, earlierC, earlierCounter];
}

test("[Y146] whoever works Math.random's state out runs it back to its beginning, and has neither the room's seed nor what crypto draws", () => {
  const random = RoomRandom.seeded(seed);
  for (let draw = 0; draw < 100; draw++) random.uint32();
  let state = random.state;
  for (let draw = 0; draw < 100 + 12; draw++) state = before(state);
  const begun = Buffer.alloc(12);
  for (const at of [0, 1, 2] as const) begun.writeInt32BE(state[at], at * 4);
  assert.is(begun.toString("hex"), Buffer.from(derivedSeed(seed, "chance").subarray(0, 12)).toString("hex"));
  assert.is.not(begun.toString("hex"), Buffer.from(seed).toString("hex"));
  const secrets = drawn(new SecretRandom(seed), 32);
  for (const guess of [begun, derivedSeed(seed, "chance")])
    assert.is.not(drawn(new SecretRandom(guess), 32), secrets);
});

test.run();
