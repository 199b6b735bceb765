import { test } from "uvu";
import * as assert from "uvu/assert";
import { StoreWitness } from "../../server/cluster/store-witness.ts";
import type { StoreSighting } from "../../server/network/peer-message.ts";
import { storageLimits } from "../../server/storage/storage-limits.ts";

const store = (given: Partial<StoreSighting> = {}): StoreSighting => ({
  nodeId: "n2",
  storeId: "00000000000000bb",
  bootId: "0000000000000b07",
  bootCount: 3,
  saves: 100,
  ...given,
});

test("[I1] a store that counts on is fine; a start that was not seen before is news", () => {
  const witness = new StoreWitness([]);
  assert.equal(witness.meet(store()), { type: "fine", isNews: true });
  assert.equal(witness.meet(store({ saves: 200 })), { type: "fine", isNews: false });
  assert.equal(witness.meet(store({ bootId: "later", bootCount: 4, saves: 201 })), {
    type: "fine",
    isNews: true,
  });
  assert.equal(witness.seen, [store({ bootId: "later", bootCount: 4, saves: 201 })]);
  const knowsLess = new StoreWitness([store({ bootId: null })]);
  assert.equal(knowsLess.meet(store()), { type: "fine", isNews: true }, "so is whose start it was");
});

for (const { what, given } of [
  { what: "an earlier start", given: { bootId: "again", bootCount: 2, saves: 300 } },
  { what: "a later start of a disk that lost saves", given: { bootId: "again", bootCount: 4, saves: 99 } },
  { what: "the same count of starts with fewer saves", given: { saves: 99 } },
]) {
  test(`[I1] ${what} is an old image, and what is known stays`, () => {
    const witness = new StoreWitness([]);
    witness.meet(store());
    const met = witness.meet(store(given));
    assert.is(met.type, "refused");
    if (met.type !== "refused") return;
    assert.is(met.error.code, "STORE_OLD");
    assert.match(
      met.error.message,
      /n2 .*others have seen start 3 with 100 saves.*Give the node its newest folder/,
    );
    assert.equal(witness.sightings, [store()]);
  });
}

test("[I2] one start under two bootIds is a copy, also after a restart of the witness", () => {
  const witness = new StoreWitness([]);
  witness.meet(store());
  const met = witness.meet(store({ bootId: "the copy", saves: 150 }));
  assert.is(met.type === "refused" && met.error.code, "STORE_TWICE");
  const later = new StoreWitness(witness.seen);
  const again = later.meet(store({ bootId: "the copy", saves: 150 }));
  assert.is(again.type === "refused" && again.error.code, "STORE_TWICE");
  assert.is(later.meet(store({ bootId: "old", bootCount: 2 })).type, "refused");
});

test("[I2] what others have seen of a store is held against what it says", () => {
  const own = store();
  assert.is(StoreWitness.judgeOwn(own, []), null);
  assert.is(StoreWitness.judgeOwn(own, [store({ bootCount: 2, saves: 50 })]), null);
  assert.is(StoreWitness.judgeOwn(own, [store({ saves: 101 })])?.code, "STORE_OLD");
  assert.is(StoreWitness.judgeOwn(own, [store({ bootId: "other" })])?.code, "STORE_TWICE");
  assert.is(StoreWitness.judgeOwn(own, [store({ storeId: "another store", saves: 101 })]), null);
  // Of a third node the news may just be newer than what it said here.
  assert.is(StoreWitness.findTwice([own], [store({ saves: 101 }), store({ bootCount: 4 })]), null);
  assert.is(StoreWitness.findTwice([own], [store({ bootId: "other" })])?.code, "STORE_TWICE");
});

test("[I3] an emptied disk counts on from the one before it; one that does not was made by a wrong clock", () => {
  const witness = new StoreWitness([]);
  witness.meet(store({ bootCount: 1_700_000_000 }));
  assert.is(witness.meet(store({ storeId: "new", bootCount: 1_800_000_000 })).type, "fine");
  const met = witness.meet(store({ storeId: "newer", bootCount: 1_750_000_000 }));
  assert.is(met.type === "refused" && met.error.code, "STORE_OLD");
  assert.match(
    met.type === "refused" ? met.error.message : "",
    /the clock was behind.*empty the folder again/,
  );
  assert.is(witness.meet(store({ nodeId: "n3", storeId: "n3's", bootCount: 1 })).type, "fine");
});

test("[I3] an emptied disk is another store; so many are remembered, the oldest goes", () => {
  const witness = new StoreWitness([]);
  for (let n = 0; n < storageLimits.storesSeenMax + 5; n++)
    assert.equal(witness.meet(store({ nodeId: `n${n}`, storeId: `store ${n}` })), {
      type: "fine",
      isNews: true,
    });
  assert.is(witness.seen.length, storageLimits.storesSeenMax);
  assert.is(witness.seen[0]?.storeId, "store 5");
  witness.meet(store({ nodeId: "n5", storeId: "store 5" }));
  assert.is(witness.seen.at(-1)?.storeId, "store 5");
});

test.run();
