import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { type RegisterInput, registerModel, type Value } from "../linearizability/register-model.ts";
import { RegisterMachine, shelfOf } from "./register-machine.ts";
import { registerMenu } from "./register-menu.ts";

interface Said {
  readonly key: string;
  readonly input: RegisterInput;
  readonly sequence: number;
  readonly nodeId?: string;
  readonly bootCount?: number;
}

const commandAt = (
  index: number,
  { key, input, sequence, nodeId = "n1", bootCount = 1 }: Said,
): AppliedCommand => ({
  index,
  term: 1,
  logTimeMs: index,
  wallTimeMs: index,
  level: 1,
  id: { nodeId, bootCount, sequence: index },
  command: registerMenu.encode(input.type, { ...input, key, sequence } as never),
});

const keys = ["a", "b", "c", "d", "e"];
const value = fc.constantFrom("1", "2");
const input: fc.Arbitrary<RegisterInput> = fc.oneof(
  fc.constant({ type: "get" } as const),
  fc.record({ type: fc.constant("put" as const), value }),
  fc.constant({ type: "delete" } as const),
  fc.record({ type: fc.constant("cas" as const), expected: fc.option(value), value }),
);
const command = fc.record({
  key: fc.constantFrom(...keys),
  input,
  nodeId: fc.constantFrom("n1", "n2"),
  /** How often it arrives. */
  times: fc.constantFrom(1, 1, 1, 2, 3),
});

/** As the log would have them: numbered by node and shelf, some again. */
function logOf(
  commands: readonly (typeof command extends fc.Arbitrary<infer C> ? C : never)[],
): AppliedCommand[] {
  const numbers = new Map<string, number>();
  const said = commands.flatMap(({ times, ...one }) => {
    const stream = `${one.nodeId} ${shelfOf(one.key)}`;
    const sequence = (numbers.get(stream) ?? 0) + 1;
    numbers.set(stream, sequence);
    return Array.from({ length: times }, () => ({ ...one, sequence }));
  });
  return said.map((one, at) => commandAt(at + 1, one));
}

test("[K1] every register does what the model says, once for each number", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
      const machine = new RegisterMachine();
      const states = new Map<string, Value>();
      let index = 0;
      for (const applied of logOf(commands.map((one) => ({ ...one, times: 1 })))) {
        const { key, input } = commands[index++] as (typeof commands)[number];
        const { state, output } = registerModel.apply(states.get(key) ?? null, input);
        states.set(key, state);
        assert.equal(machine.apply(applied), { type: "done", value: output });
        assert.is(machine.value(key), state);
      }
    }),
  );
});

test("[K2] a number is taken once and in order; a later start ends the earlier one", () => {
  const machine = new RegisterMachine();
  const put = (sequence: number, bootCount = 1) => ({
    key: "a",
    input: { type: "put" as const, value: `${bootCount}.${sequence}` },
    sequence,
    bootCount,
  });
  const results: ApplyResult[] = [put(1), put(1), put(3), put(2), put(3), put(2, 2), put(1, 2), put(4)].map(
    (said, at) => machine.apply(commandAt(at + 1, said)),
  );
  const done = (value: unknown) => ({ type: "done", value });
  assert.equal(results, [
    done({ value: null }),
    done("forgotten"),
    { type: "gap" },
    done({ value: "1.1" }),
    done({ value: "1.2" }),
    { type: "gap" },
    done({ value: "1.3" }),
    done("expired"),
  ]);
  assert.is(machine.value("a"), "2.1");
});

test("[K3] restored from checkpoints of any moments, and given the log behind them again, it is the same", () => {
  fc.assert(
    fc.property(
      fc.array(command, { minLength: 1, maxLength: 40 }),
      fc.array(fc.nat(60), { minLength: 4, maxLength: 4 }),
      (commands, moments) => {
        const log = logOf(commands);
        const original = new RegisterMachine();
        const saves = moments.map((moment) => Math.min(moment, log.length));
        const checkpoints = new Map<string, Checkpoint>();
        const results = log.map((applied) => {
          const result = original.apply(applied);
          for (const [at, moment] of saves.entries())
            if (moment === applied.index) checkpoints.set(`shelf ${at}`, original.save(`shelf ${at}`));
          return result;
        });
        const restored = new RegisterMachine();
        restored.beginRestore();
        for (const [key, checkpoint] of checkpoints) restored.restorePart(key, checkpoint);
        restored.endRestore();
        for (const [at, applied] of log.entries()) {
          const result = restored.apply(applied);
          // Above all checkpoints also what it answers is the same.
          if (applied.index > Math.max(...saves)) assert.equal(result, results[at]);
        }
        assert.is(restored.fingerprint, original.fingerprint);
      },
    ),
  );
});

test("[K3] a shelf is dirty from its first command that no durable checkpoint has", () => {
  const machine = new RegisterMachine();
  const put = (key: string, index: number) =>
    machine.apply(commandAt(index, { key, input: { type: "put", value: "x" }, sequence: index }));
  assert.equal([...machine.dirty()], []);
  put("a", 1);
  const shelf = `shelf ${shelfOf("a")}`;
  assert.equal([...machine.dirty()], [{ key: shelf, firstIndex: 1 }]);
  const { index } = machine.save(shelf);
  put("a", 2);
  machine.saved(shelf, index);
  assert.equal([...machine.dirty()], [{ key: shelf, firstIndex: 2 }]);
  machine.saved(shelf, machine.save(shelf).index);
  assert.equal([...machine.dirty()], []);
});

test.run();
