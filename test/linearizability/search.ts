import { type Configuration, Configurations } from "./configurations.ts";
import type { Operation } from "./history.ts";
import { type Model, stateAfter } from "./model.ts";

/** Neither good nor bad: too many ways to try. */
export class Undecided extends Error {
  constructor(key: string, configurationsMax: number) {
    super(
      `the history of key "${key}" has more than ${configurationsMax} ways to try at one operation: use more keys, or fewer clients for each`,
    );
    this.name = "Undecided";
  }
}

/** Where every way came to an end. */
export interface DeadEnd<State, Input, Output> {
  /** It cannot have its outcome in any way. */
  readonly operation: Operation<Input, Output>;
  /** The last moment before it when nothing (of known outcome) was under way: its place, and what the state may have been. */
  readonly rest: { readonly place: number; readonly states: readonly State[] };
}

export interface SearchOptions<State> {
  /** What the state may be at the beginning. */
  readonly states: readonly State[];
  /** At one operation's end. @throws Undecided past it */
  readonly configurationsMax: number;
  /** Told every state that some way comes through. */
  readonly met?: (state: State) => void;
}

interface Pending<Input, Output> {
  readonly operation: Operation<Input, Output>;
  readonly bit: bigint;
}

/**
 * Lowe's just-in-time search (*Testing for linearizability*, 2016), over all ways at once: the history is walked event
 * by event, and at the end of each operation those ways are left in which it has taken effect, each extended by as few
 * others as that needs. Null: some way leads through the whole history. The operations are one key's.
 */
export function search<State, Input, Output>(
  operations: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
  options: SearchOptions<State>,
): DeadEnd<State, Input, Output> | null {
  return new Search(model, options).run(operations);
}

class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  readonly #configurationsMax: number;
  readonly #met: (state: State) => void;
  #configurations: Configurations<State>;
  /** Under way, of known outcome. */
  readonly #pending = new Map<Operation<Input, Output>, bigint>();
  readonly #unknown: Pending<Input, Output>[] = [];
  #rest: DeadEnd<State, Input, Output>["rest"];

  constructor(model: Model<State, Input, Output>, { states, configurationsMax, met }: SearchOptions<State>) {
    this.#model = model;
    this.#met = met ?? (() => {});
    this.#configurationsMax = configurationsMax;
    this.#configurations = this.#none();
    for (const state of states) this.#configurations.add({ state, ahead: 0n, spent: 0n });
    this.#rest = { place: -1, states };
  }

  #none(): Configurations<State> {
    return new Configurations(this.#model.keyOf);
  }

  run(operations: readonly Operation<Input, Output>[]): DeadEnd<State, Input, Output> | null {
    const events = operations.flatMap((operation) => {
      const begin = { place: operation.begin, operation, isEnd: false };
      if (operation.outcome.type === "unknown") return [begin];
      return [begin, { place: operation.end, operation, isEnd: true }];
    });
    events.sort((one, other) => one.place - other.place);
    for (const { operation, isEnd } of events) {
      if (!isEnd) this.#begin(operation);
      else if (!this.#end(operation)) return { operation, rest: this.#rest };
    }
    return null;
  }

  #begin(operation: Operation<Input, Output>): void {
    if (operation.outcome.type === "unknown") {
      this.#unknown.push({ operation, bit: 1n << BigInt(this.#unknown.length) });
      return;
    }
    const taken = new Set(this.#pending.values());
    let bit = 1n;
    while (taken.has(bit)) bit <<= 1n;
    this.#pending.set(operation, bit);
  }

  /** False: no way is left. */
  #end(operation: Operation<Input, Output>): boolean {
    const bit = this.#pending.get(operation) as bigint;
    const left = this.#none();
    this.#explore(operation, (configuration) => left.add(configuration));
    if (left.isEmpty) return false;
    this.#pending.delete(operation);
    const after = this.#none();
    for (const { state, ahead, spent } of left.all) after.add({ state, ahead: ahead & ~bit, spent });
    this.#configurations = after;
    if (this.#pending.size === 0) this.#rest = { place: operation.end, states: after.states };
    return true;
  }

  /** Every way up to the first moment at which `operation` has taken effect. */
  #explore(
    operation: Operation<Input, Output>,
    arrived: (configuration: Configuration<State>) => void,
  ): void {
    const bit = this.#pending.get(operation) as bigint;
    const seen = this.#none();
    const open = this.#configurations.all.filter((configuration) => seen.add(configuration));
    let tried = open.length;
    for (let from = open.pop(); from !== undefined; from = open.pop()) {
      this.#met(from.state);
      if ((from.ahead & bit) !== 0n) {
        arrived(from);
        continue;
      }
      for (const next of this.#nexts(from)) {
        if (!seen.add(next)) continue;
        if (++tried > this.#configurationsMax) throw new Undecided(operation.key, this.#configurationsMax);
        open.push(next);
      }
    }
  }

  /** What may take effect next. */
  *#nexts({ state, ahead, spent }: Configuration<State>): Iterable<Configuration<State>> {
    const model = this.#model;
    for (const [operation, bit] of this.#pending) {
      if ((ahead & bit) !== 0n) continue;
      const after = stateAfter(model, state, operation);
      if (after !== null) yield { state: after.state, ahead: ahead | bit, spent };
    }
    for (const { operation, bit } of this.#unknown) {
      if ((spent & bit) !== 0n) continue;
      const after = stateAfter(model, state, operation);
      // Without an effect it is no loss to keep it for later.
      if (after === null || model.keyOf(after.state) === model.keyOf(state)) continue;
      yield { state: after.state, ahead, spent: spent | bit };
    }
  }
}
