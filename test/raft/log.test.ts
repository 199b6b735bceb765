import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Base, Entry } from "../../server/raft/entry.ts";
import { RaftLog } from "../../server/raft/log.ts";
import { entry } from "./appends.ts";
import { of } from "./configurations.ts";

const baseAt = (index: number, term: number): Base => ({
  index,
  term,
  logTimeMs: index,
  wallTimeMs: index,
  configuration: of("a"),
});

/** What may happen to a log; numbers are taken modulo what there is. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 3 }) }),
  },
  /** As a follower whose new leader has another entry there, or the very same again. */
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("replace" as const), back: fc.nat(5), same: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "handOut" as const }) },
  { weight: 3, arbitrary: fc.constant({ do: "land" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("compact" as const), to: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.constant({ do: "reset" as const }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** One save on its way: saving it drops everything at and after its first entry. */
type Write = readonly Entry[];

/** The same log as plain arrays, and the disk that its saves go to, in order. */
class Naive {
  log: Entry[] = [];
  base = baseAt(0, 0);
  disk: readonly Entry[] = [];
  readonly writes: Write[] = [];
  term = 1;

  static after(disk: readonly Entry[], write: Write): readonly Entry[] {
    const first = write[0]?.index ?? Number.POSITIVE_INFINITY;
    return [...disk.filter(({ index }) => index < first), ...write];
  }

  get lastIndex(): number {
    return this.base.index + this.log.length;
  }
}

function run(real: RaftLog, naive: Naive, one: Step): void {
  switch (one.do) {
    case "append":
      for (let count = 0; count < one.count; count++) {
        const next = entry(naive.lastIndex + 1, naive.term);
        real.append([next]);
        naive.log.push(next);
      }
      return;
    case "replace": {
      // Nothing that is applied, and so may be in a base, is ever replaced.
      const index = naive.lastIndex - (one.back % Math.max(1, naive.log.length));
      if (naive.log.length === 0) return;
      const old = naive.log.filter((each) => each.index >= index);
      real.truncateFrom(index);
      naive.log = naive.log.filter((each) => each.index < index);
      if (!one.same) naive.term += 1;
      const fresh = one.same ? old : [entry(index, naive.term, "other")];
      real.append(fresh);
      naive.log.push(...fresh);
      return;
    }
    case "handOut": {
      const entries = real.takeUnsaved();
      if (entries.length > 0) naive.writes.push(entries);
      return;
    }
    case "land": {
      const write = naive.writes.shift();
      if (write === undefined) return;
      naive.disk = Naive.after(naive.disk, write);
      const last = write.at(-1) as Entry;
      real.saved({ term: last.term, index: last.index });
      return;
    }
    case "compact": {
      // Only what is applied, which is durable, and which nobody replaces any more.
      const index = Math.min(one.to, real.durableIndex);
      if (index <= naive.base.index) return;
      const at = naive.log[index - naive.base.index - 1] as Entry;
      const base = baseAt(index, at.term);
      real.compact(base);
      naive.log = naive.log.filter((each) => each.index > index);
      naive.base = base;
      return;
    }
    case "reset": {
      // Never while saves are under way.
      if (naive.writes.length > 0 || real.hasUnsaved) return;
      const base = baseAt(naive.lastIndex + 3, naive.term);
      real.reset(base);
      naive.log = [];
      naive.disk = [];
      naive.base = base;
      return;
    }
  }
}

function compare(real: RaftLog, naive: Naive): void {
  const { base, log } = naive;
  assert.is(real.base.index, base.index);
  assert.is(real.lastIndex, naive.lastIndex);
  assert.is(real.lastTerm, log.at(-1)?.term ?? base.term);
  assert.is(
    real.bytes,
    log.reduce((sum, { data }) => sum + data.length, 0),
  );
  assert.equal(real.range(base.index + 1, naive.lastIndex), log);
  for (let index = base.index - 1; index <= naive.lastIndex + 1; index++) {
    const term = index === base.index ? base.term : (log.find((each) => each.index === index)?.term ?? null);
    assert.is(real.termAt(index), term, `the term at ${index}`);
  }
  // What counts as durable is on the disk, and whatever is still on its way there leaves it there.
  assert.ok(real.durableIndex <= naive.lastIndex && real.durableIndex >= base.index);
  let disk = naive.disk;
  for (const write of [[], ...naive.writes]) {
    disk = Naive.after(disk, write);
    for (const each of log.filter(({ index }) => index <= real.durableIndex)) {
      const there = disk.find(({ index }) => index === each.index);
      assert.ok(there?.term === each.term, `entry ${each.index} counts as durable and is not`);
    }
  }
}

test("[R130] whatever is appended, replaced, saved and forgotten, the log is a plain one, and what counts as durable is", () => {
  const seen = { replaced: 0, compacted: 0, durable: 0 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const real = new RaftLog(baseAt(0, 0), []);
      const naive = new Naive();
      for (const one of steps) {
        const { lastIndex } = naive;
        run(real, naive, one);
        compare(real, naive);
        if (one.do === "replace" && lastIndex > 0) seen.replaced++;
        if (one.do === "compact") seen.compacted++;
        if (real.durableIndex > real.base.index) seen.durable++;
      }
      // In the end everything lands, and everything is durable.
      for (let round = 0; round < 200 && real.durableIndex < naive.lastIndex; round++) {
        run(real, naive, { do: "handOut" });
        run(real, naive, { do: "land" });
        compare(real, naive);
      }
      assert.is(real.durableIndex, naive.lastIndex);
    }),
    { numRuns: 2_000 },
  );
  for (const [what, times] of Object.entries(seen)) assert.ok(times > 100, `${what} ${times} times`);
});

test("[R130] an entry that was truncated, came again and is durable may be forgotten before it is saved once more", () => {
  const real = new RaftLog(baseAt(0, 0), []);
  const naive = new Naive();
  const steps: readonly Step[] = [
    { do: "append", count: 1 },
    { do: "handOut" },
    { do: "replace", back: 0, same: true },
    { do: "handOut" },
    { do: "land" },
    { do: "append", count: 1 },
    { do: "land" },
    { do: "compact", to: 1 },
    { do: "handOut" },
  ];
  for (const one of steps) {
    run(real, naive, one);
    compare(real, naive);
  }
  assert.equal(naive.writes.at(-1), [entry(2, 1)]);
});

test("[R130] a log gives what it is asked for within the limits, but at least one entry", () => {
  const sizes = fc.array(fc.nat(20), { minLength: 1, maxLength: 12 });
  const limits = fc.record({
    from: fc.integer({ min: 1, max: 13 }),
    entriesMax: fc.nat(13),
    bytesMax: fc.nat(60),
  });
  fc.assert(
    fc.property(sizes, limits, (bytes, { from, entriesMax, bytesMax }) => {
      const entries = bytes.map((size, at) => entry(at + 1, 1, "x".repeat(size)));
      const log = new RaftLog(baseAt(0, 0), entries);
      const taken = log.take({ from, entriesMax, bytesMax });
      const sum = (some: readonly Entry[]) => some.reduce((total, { data }) => total + data.length, 0);
      assert.equal(taken, entries.slice(from - 1, from - 1 + taken.length));
      assert.ok(taken.length <= entriesMax);
      if (taken.length > 1) assert.ok(sum(taken) <= bytesMax);
      const rest = entries.slice(from - 1);
      if (entriesMax > 0 && rest.length > 0) assert.ok(taken.length > 0);
      const more = rest.slice(0, taken.length + 1);
      const isFull = taken.length === Math.min(rest.length, entriesMax) || sum(more) > bytesMax;
      assert.ok(isFull, "as much as fits");
    }),
    { numRuns: 2_000 },
  );
});

test("[R130] the last index of a term that is not above a given one", () => {
  const terms = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 10 }).map((some) => some.toSorted());
  fc.assert(
    fc.property(terms, fc.integer({ min: 0, max: 6 }), fc.nat(12), (sorted, term, index) => {
      const log = new RaftLog(
        baseAt(0, 0),
        sorted.map((each, at) => entry(at + 1, each)),
      );
      const expected = sorted.slice(0, index).findLastIndex((each) => each <= term) + 1;
      assert.is(log.lastIndexWithTermAtMost(term, index), expected);
    }),
  );
});

test("[R130] what could only be a mistake ends the process", () => {
  const log = new RaftLog(baseAt(2, 1), [entry(3, 1), entry(4, 2), entry(5, 2)]);
  const wrong: [act: () => unknown, words: RegExp][] = [
    [() => log.truncateFrom(2), /nothing to truncate at 2/],
    [() => log.truncateFrom(6), /nothing to truncate at 6/],
    [() => log.range(2, 4), /no entries 2 to 4/],
    [() => log.range(3, 6), /no entries 3 to 6/],
    [() => log.append([entry(7, 2)]), /entry 7 does not follow 5/],
    [() => log.append([entry(6, 1)]), /entry 6 has term 1 after term 2/],
    [() => log.compact(baseAt(4, 1)), /base \(1, 4\) is not the log's/],
  ];
  for (const [act, words] of wrong) assert.throws(act, words);
  assert.equal(log.range(3, 5), [entry(3, 1), entry(4, 2), entry(5, 2)]);
  log.append([entry(6, 2)]);
  assert.throws(() => log.compact(baseAt(6, 2)), /base 6 is beyond what is durable, 5/);
});

test("[R130] there is something to save as long as not all was handed out", () => {
  const log = new RaftLog(baseAt(0, 0), []);
  assert.is(log.hasUnsaved, false);
  assert.equal(log.takeUnsaved(), []);
  log.append([entry(1, 1)]);
  assert.is(log.hasUnsaved, true);
  log.takeUnsaved();
  assert.is(log.hasUnsaved, false);
  log.saved({ term: 1, index: 7 });
  log.saved({ term: 2, index: 1 });
  assert.is(log.durableIndex, 0, "nobody knows these saves");
  log.saved({ term: 1, index: 1 });
  assert.is(log.durableIndex, 1);
});

test("[R130] a base does not go back, and stands for the configuration as of it", () => {
  const log = new RaftLog(baseAt(0, 0), [entry(1, 1), entry(2, 1), entry(3, 1)]);
  const base = { ...baseAt(2, 1), configuration: of("a", "b") };
  log.compact(base);
  assert.is(log.base, base);
  assert.equal(log.membership.at(2), base.configuration);
  assert.throws(() => log.membership.at(1), /the configuration as of 1 is forgotten/);
  for (const older of [baseAt(1, 1), baseAt(2, 1)]) {
    log.compact(older);
    assert.is(log.base, base);
  }
  assert.equal([log.termAt(1), log.termAt(2), log.termAt(3)], [null, 1, 1]);
});

test.run();
