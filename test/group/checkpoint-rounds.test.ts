import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type CheckpointStep, Checkpoints } from "../../server/group/checkpoints.ts";
import type { AppliedCommand } from "../../server/group/machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { RegisterMachine, shelfOf } from "../registers/register-machine.ts";
import { registerMenu } from "../registers/register-menu.ts";

const keys = ["a", "b", "c", "d", "e", "f"];

/** Puts of one node, numbered by shelf as its log would have them. */
function logOf(written: readonly string[]): AppliedCommand[] {
  const numbers = new Map<number, number>();
  return written.map((key, at) => {
    const sequence = (numbers.get(shelfOf(key)) ?? 0) + 1;
    numbers.set(shelfOf(key), sequence);
    const put = { type: "put", key, sequence, value: String(at) } as const;
    return {
      index: at + 1,
      term: 1,
      logTimeMs: at,
      wallTimeMs: at,
      level: 1,
      id: { nodeId: "n1", bootCount: 1, sequence: at + 1 },
      command: registerMenu.encode("put", put),
    };
  });
}

/** A machine as a node has it, and what of it is on its disk. */
class Node {
  machine = new RegisterMachine();
  checkpoints = this.#rounds();
  appliedIndex = 0;
  readonly log: readonly AppliedCommand[];
  readonly disk = new Map<string, Checkpoint>();
  baseIndex = 0;
  saves: CheckpointStep[] = [];

  constructor(log: readonly AppliedCommand[]) {
    this.log = log;
  }

  #rounds(): Checkpoints {
    return new Checkpoints(this.machine, {
      checkpointPartsPerTurn: 2,
      checkpointBytesPerTurn: 60,
      holdsTooMuch: () => false,
    });
  }

  apply(count: number): void {
    for (const command of this.log.slice(this.appliedIndex, this.appliedIndex + count)) {
      this.machine.apply(command);
      this.appliedIndex = command.index;
    }
  }

  save(): void {
    if (!this.checkpoints.isRoundActive) this.checkpoints.beginRound();
    const step = this.checkpoints.step(this.appliedIndex, () => false);
    if (step !== null) this.saves.push(step);
  }

  land(): void {
    const step = this.saves.shift();
    if (step === undefined) return;
    for (const [key, checkpoint] of step.checkpoints) if (checkpoint !== null) this.disk.set(key, checkpoint);
    for (const { key, index } of step.saved) this.machine.saved(key, index);
  }

  /** The log is cut where no part needs it any more. */
  cut(): void {
    this.baseIndex = Math.max(this.baseIndex, this.checkpoints.floor(this.appliedIndex).index);
  }

  crash(): void {
    this.saves = [];
    this.machine = new RegisterMachine();
    this.checkpoints = this.#rounds();
    this.machine.beginRestore();
    for (const [key, checkpoint] of this.disk) this.machine.restorePart(key, checkpoint);
    this.machine.endRestore();
    this.appliedIndex = this.baseIndex;
  }
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("apply" as const), count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 4, arbitrary: fc.constant({ do: "save" as const }) },
  { weight: 3, arbitrary: fc.constant({ do: "land" as const }) },
  { weight: 2, arbitrary: fc.constant({ do: "cut" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "crash" as const }) },
);

test("[G15] whatever is saved and cut, and wherever it ends: the durable checkpoints and the log behind the cut are the machine", () => {
  const seen = { crashes: 0, cuts: 0 };
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...keys), { minLength: 30, maxLength: 60 }),
      fc.array(step, { minLength: 40, maxLength: 120 }),
      (written, steps) => {
        const node = new Node(logOf(written));
        for (const one of steps) {
          const { baseIndex } = node;
          if (one.do === "apply") node.apply(one.count);
          else node[one.do]();
          if (one.do === "crash" && node.baseIndex > 0) seen.crashes++;
          if (node.baseIndex > baseIndex) seen.cuts++;
          assert.ok(
            node.baseIndex <= node.appliedIndex || one.do === "crash",
            "what is not applied is not cut",
          );
        }
        node.crash();
        node.apply(written.length);
        const whole = new RegisterMachine();
        for (const command of node.log) whole.apply(command);
        assert.is(node.machine.fingerprint, whole.fingerprint);
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(seen.crashes > 300 && seen.cuts > 1_000, JSON.stringify(seen));
});

test.run();
