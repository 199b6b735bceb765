// test-run: computes
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { findViolation } from "./checker.ts";
import type { Operation, Outcome } from "./history.ts";
import type { Model } from "./model.ts";
import { isLinearizableByDefinition } from "./permutations.ts";
import { type RegisterInput, type RegisterOutput, registerModel, type Value } from "./register-model.ts";

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

const values = ["a", "b", "c"];
const value = fc.constantFrom(...values);
const input: fc.Arbitrary<RegisterInput> = fc.oneof(
  fc.constant({ type: "get" } as const),
  fc.record({ type: fc.constant("put" as const), value }),
  fc.constant({ type: "delete" } as const),
  fc.record({ type: fc.constant("cas" as const), expected: fc.option(value), value }),
);

/** One operation as it really ran: the moment at which it took effect lies between begin and end. */
const run = fc.record({
  input,
  process: fc.constantFrom("c1", "c2", "c3"),
  key: fc.constantFrom("x", "y"),
  at: fc.nat(1_000),
  before: fc.nat(400),
  after: fc.nat(400),
  told: fc.constantFrom("ok", "ok", "ok", "applied", "unknown", "never"),
});
type Run = typeof run extends fc.Arbitrary<infer R> ? R : never;

/** What clients would have seen of operations that took effect one at a time, each at its moment. */
function historyOf(runs: readonly Run[]): RegisterOperation[] {
  const states = new Map<string, Value>();
  const order = [...runs].sort((one, other) => one.at - other.at);
  return order.map(({ input, process, key, at, before, after, told }, number) => {
    const state = states.get(key) ?? null;
    const applied = registerModel.apply(state, input);
    // Of unknown outcome, and without any effect.
    if (told !== "never") states.set(key, applied.state);
    const isOpen = told === "unknown" || told === "never";
    // Places are unique, or the order of two operations would depend on the sort.
    const [begin, end] = [at - before + number / 1_000, at + after + number / 1_000];
    let outcome: Outcome<RegisterOutput> = { type: "ok", output: applied.output };
    if (told === "applied") outcome = { type: told };
    else if (isOpen) outcome = { type: "unknown" };
    return {
      process,
      key,
      input,
      outcome,
      begin,
      end: isOpen ? Number.POSITIVE_INFINITY : end,
      beginMs: begin,
      endMs: isOpen ? null : end,
    };
  });
}

const oneKey = (runs: readonly Run[]) => runs.map((one) => ({ ...one, key: "x" as const }));
const isGood = (history: readonly RegisterOperation[]) => findViolation(history, registerModel) === null;

test("[L1] whatever really ran is accepted", () => {
  fc.assert(
    fc.property(fc.array(run, { maxLength: 60 }), (runs) => {
      assert.ok(isGood(historyOf(runs)));
    }),
    { seed: 1, numRuns: 1_000 },
  );
});

/** Another answer in one place; often that is no longer possible. */
const spoiled = fc.record({
  runs: fc.array(run, { minLength: 1, maxLength: 6 }),
  place: fc.nat(5),
  found: fc.option(fc.constantFrom(...values, "z")),
});

test("[L1] a history is refused exactly if no order of its operations explains it", () => {
  const seen = { good: 0, bad: 0 };
  fc.assert(
    fc.property(spoiled, ({ runs, place, found }) => {
      const history = historyOf(oneKey(runs)).map((operation, at) => {
        const { outcome } = operation;
        if (at !== place || outcome.type !== "ok") return operation;
        return { ...operation, outcome: { ...outcome, output: { ...outcome.output, value: found } } };
      });
      const expected = isLinearizableByDefinition(history, registerModel);
      seen[expected ? "good" : "bad"] += 1;
      assert.is(isGood(history), expected);
    }),
    { seed: 1, numRuns: 4_000 },
  );
  assert.ok(seen.good > 400 && seen.bad > 400, `good ${seen.good}, bad ${seen.bad}`);
});

test("[L1] also when every answer is made up", () => {
  const seen = { good: 0, bad: 0 };
  const answer = fc.record({ value: fc.option(fc.constantFrom("a", "b")), swapped: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fc.tuple(run, answer), { minLength: 1, maxLength: 5 }), (pairs) => {
      const history = historyOf(oneKey(pairs.map(([one]) => one))).map((operation, at) => {
        if (operation.outcome.type !== "ok") return operation;
        const { value, swapped } = pairs[at]?.[1] ?? { value: null, swapped: false };
        const output = operation.input.type === "cas" ? { value, swapped } : { value };
        return { ...operation, outcome: { type: "ok" as const, output } };
      });
      const expected = isLinearizableByDefinition(history, registerModel);
      seen[expected ? "good" : "bad"] += 1;
      assert.is(isGood(history), expected);
    }),
    { seed: 1, numRuns: 3_000 },
  );
  assert.ok(seen.good > 200 && seen.bad > 200, `good ${seen.good}, bad ${seen.bad}`);
});

/** Both registers as one object: linearizability of the whole must be that of each. */
const both: Model<{ readonly [key: string]: Value }, { key: string; input: RegisterInput }, RegisterOutput> =
  {
    ...registerModel,
    initial: {},
    apply(state, { key, input }) {
      const applied = registerModel.apply(state[key] ?? null, input);
      return { state: { ...state, [key]: applied.state }, output: applied.output };
    },
    keyOf: (state) => `${state["x"] ?? "-"} ${state["y"] ?? "-"}`,
    isRead: ({ input }, outcome) => registerModel.isRead(input, outcome),
    describe: ({ key, input }, outcome) => `${key}: ${registerModel.describe(input, outcome)}`,
    describeState: (state) => both.keyOf(state),
  };

test("[L4] key by key gives the verdict of the whole", () => {
  const seen = { good: 0, bad: 0 };
  fc.assert(
    fc.property(spoiled, ({ runs, place, found }) => {
      const history = historyOf(runs).map((operation, at) => {
        if (at !== place || operation.outcome.type !== "ok") return operation;
        return {
          ...operation,
          outcome: { type: "ok" as const, output: { ...operation.outcome.output, value: found } },
        };
      });
      const whole = history.map((one) => ({ ...one, key: "", input: { key: one.key, input: one.input } }));
      const expected = isLinearizableByDefinition(whole, both);
      seen[expected ? "good" : "bad"] += 1;
      assert.is(isGood(history), expected);
      assert.is(findViolation(whole, both) === null, expected);
    }),
    { seed: 1, numRuns: 1_500 },
  );
  assert.ok(seen.good > 150 && seen.bad > 150, `good ${seen.good}, bad ${seen.bad}`);
});

test("[L5] what is told of a violation is itself one, and part of the history", () => {
  let shorter = 0;
  fc.assert(
    fc.property(fc.array(run, { minLength: 8, maxLength: 40 }), fc.nat(39), (runs, place) => {
      const history = historyOf(oneKey(runs)).map((operation, at) => {
        if (at !== place || operation.outcome.type !== "ok") return operation;
        return { ...operation, outcome: { type: "ok" as const, output: { value: "never written" } } };
      });
      const violation = findViolation(history, registerModel);
      if (violation === null) return;
      const { operations, states, culprit } = violation;
      assert.ok(operations.every((operation) => history.includes(operation)));
      assert.ok(operations.includes(culprit));
      for (const initial of states)
        assert.is.not(findViolation(operations, { ...registerModel, initial }), null);
      if (operations.length < history.length / 2) shorter++;
    }),
    { seed: 1, numRuns: 500 },
  );
  assert.ok(shorter > 30, `only ${shorter} were shortened by half`);
});

test.run();
