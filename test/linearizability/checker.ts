import { type Operation, type Outcome, partitionByKey } from "./history.ts";
import type { Model } from "./model.ts";
import { type DeadEnd, search, Undecided } from "./search.ts";

/** A part of a history that no order of its operations explains. */
export interface Violation<State, Input, Output> {
  readonly key: string;
  /** What the key may have held before the first of them: every state that the history before them allows. */
  readonly states: readonly State[];
  /** As few as were found, in the order of their begins. Not linearizable from any of `states`. */
  readonly operations: readonly Operation<Input, Output>[];
  /** The first one of the history, by its end, that cannot have had its outcome. */
  readonly culprit: Operation<Input, Output>;
  /** What it may have found; empty: too much to try. */
  readonly found: readonly State[];
  /** Of unknown outcome and left out above: they were tried at every place and explain nothing. */
  readonly unknownLeftOut: number;
}

export interface CheckOptions {
  /** At one operation's end. @throws Undecided past it */
  readonly configurationsMax?: number;
}

const configurationsMaxDefault = 200_000;
/** For what is only told, not decided. */
const foundConfigurationsMax = 500;

/** Null: for each key there is an order of its operations, each within its time, that explains every answer. */
export function findViolation<State, Input, Output>(
  operations: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
  { configurationsMax = configurationsMaxDefault }: CheckOptions = {},
): Violation<State, Input, Output> | null {
  for (const [key, ofKey] of partitionByKey(operations)) {
    const check = new Check(ofKey, model, configurationsMax);
    const end = check.run(ofKey, [model.initial]);
    if (end !== null) return { key, ...check.narrow(end) };
  }
  return null;
}

type Narrowed<State, Input, Output> = Omit<Violation<State, Input, Output>, "key">;

class Check<State, Input, Output> {
  readonly #operations: readonly Operation<Input, Output>[];
  readonly #model: Model<State, Input, Output>;
  readonly #configurationsMax: number;

  constructor(
    operations: readonly Operation<Input, Output>[],
    model: Model<State, Input, Output>,
    configurationsMax: number,
  ) {
    this.#operations = operations;
    this.#model = model;
    this.#configurationsMax = configurationsMax;
  }

  run(operations: readonly Operation<Input, Output>[], states: readonly State[]) {
    return search(operations, this.#model, { states, configurationsMax: this.#configurationsMax });
  }

  /** Leaves out what does not matter, as long as what is left comes to the same end. */
  narrow({ operation: culprit, rest }: DeadEnd<State, Input, Output>): Narrowed<State, Input, Output> {
    const prefix = this.#operations.filter(({ begin }) => begin < culprit.end);
    let operations = prefix.filter(({ end }) => end > rest.place);
    let { states } = rest;
    // The states at rest do not say which unknown operations were spent on the way: with all of them again it might do.
    if (this.run(operations, states)?.operation !== culprit) {
      operations = prefix;
      states = [this.#model.initial];
    }
    const found = this.#found(operations, states, culprit);
    let unknownLeftOut = 0;
    for (const operation of operations) {
      const { input, outcome } = operation;
      // Without a read there are no other ways, and without an unknown operation only fewer.
      const mayGo = outcome.type === "unknown" || this.#model.isRead(input, outcome);
      if (operation === culprit || !mayGo) continue;
      const fewer = operations.filter((one) => one !== operation);
      if (this.run(fewer, states)?.operation !== culprit) continue;
      operations = fewer;
      if (outcome.type === "unknown") unknownLeftOut++;
    }
    return { states, operations, culprit, found, unknownLeftOut };
  }

  /**
   * The states in which the operation may have found the key: with the answer that each gives there would be a way.
   * Empty if there is too much to try for that.
   */
  #found(
    operations: readonly Operation<Input, Output>[],
    states: readonly State[],
    culprit: Operation<Input, Output>,
  ): readonly State[] {
    const model = this.#model;
    const configurationsMax = Math.min(foundConfigurationsMax, this.#configurationsMax);
    const run = (outcome: Outcome<Output>, met: (state: State) => void) => {
      const changed = operations.map((one) => (one === culprit ? { ...culprit, outcome } : one));
      return search(changed, model, { states, configurationsMax, met });
    };
    const candidates = new Map<string, State>();
    try {
      run({ type: "applied" }, (state) => candidates.set(model.keyOf(state), state));
      return [...candidates.values()].filter((state) => {
        const end = run({ type: "ok", output: model.apply(state, culprit.input).output }, () => {});
        return end === null || end.operation.end > culprit.end;
      });
    } catch (error) {
      if (error instanceof Undecided) return [];
      throw error;
    }
  }
}
