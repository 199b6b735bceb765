import type { Operation } from "./history.ts";
import { type Model, stateAfter } from "./model.ts";

/**
 * The definition, word by word: is there any order of the operations, with or without each one of unknown outcome, in
 * which nobody comes after what began only when it had ended, and everybody gets the answer that it got? For at most
 * seven operations of one key.
 */
export function isLinearizableByDefinition<State, Input, Output>(
  operations: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
): boolean {
  const unknown = operations.filter(({ outcome }) => outcome.type === "unknown");
  for (let left = 0; left < 2 ** unknown.length; left++) {
    const without = new Set(unknown.filter((_, at) => (left & (1 << at)) !== 0));
    const some = operations.filter((operation) => !without.has(operation));
    for (const order of permutations(some)) if (explains(order, model)) return true;
  }
  return false;
}

function explains<State, Input, Output>(
  order: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
): boolean {
  for (const [at, one] of order.entries()) {
    if (order.slice(at + 1).some((later) => later.end < one.begin)) return false;
  }
  let state = model.initial;
  for (const operation of order) {
    const after = stateAfter(model, state, operation);
    if (after === null) return false;
    state = after.state;
  }
  return true;
}

function* permutations<T>(of: readonly T[]): Iterable<readonly T[]> {
  if (of.length === 0) yield [];
  for (const [at, first] of of.entries()) {
    for (const rest of permutations([...of.slice(0, at), ...of.slice(at + 1)])) yield [first, ...rest];
  }
}
