import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Configuration, Member } from "../../server/raft/configuration.ts";
import { decodeConfiguration, encodeConfiguration } from "../../server/raft/configuration-codec.ts";

const plain = { noNullPrototype: true };
const ascii = fc.string({ unit: "grapheme-ascii", maxLength: 40 });
const members: fc.Arbitrary<Member[]> = fc.array(fc.record({ nodeId: ascii, storeId: ascii }, plain), {
  maxLength: 32,
});
const configurations: fc.Arbitrary<Configuration> = fc.record(
  {
    voters: members,
    votersOutgoing: members,
    learners: members,
    nextVoters: members,
    addresses: fc.array(fc.record({ nodeId: ascii, url: ascii }, plain)),
    level: fc.nat(),
  },
  plain,
);

const bytesOf = (text: string) => new TextEncoder().encode(text);

test("[R62] a configuration is read from an entry as it was written", () => {
  fc.assert(
    fc.property(configurations, (configuration) => {
      assert.equal(decodeConfiguration(encodeConfiguration(configuration)), configuration);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("[R62] what is no configuration, or cannot be written as one, ends the process", () => {
  const lists = { voters: [], votersOutgoing: [], learners: [], nextVoters: [], addresses: [], level: 1 };
  const bad = [
    "",
    "{",
    "null",
    "7",
    "[]",
    JSON.stringify({ ...lists, learners: undefined }),
    JSON.stringify({ ...lists, voters: [["a"]] }),
    JSON.stringify({ ...lists, level: undefined }),
    JSON.stringify({ ...lists, level: 1.5 }),
    JSON.stringify({ ...lists, voters: [["a", 1]] }),
    JSON.stringify({ ...lists, addresses: [["a", "b", "c"]] }),
    JSON.stringify({ ...lists, nextVoters: Array.from({ length: 257 }, () => ["a", "b"]) }),
  ];
  assert.equal(decodeConfiguration(bytesOf(JSON.stringify(lists))), lists);
  for (const text of bad)
    assert.throws(
      () => decodeConfiguration(bytesOf(text)),
      ({ name }: Error) => name === "RaftBroken",
      text,
    );
  const foreign = { ...lists, voters: [{ nodeId: "nö", storeId: "s" }] };
  assert.throws(() => encodeConfiguration(foreign), /are ASCII/);
});

test.run();
