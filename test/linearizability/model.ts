import type { Outcome } from "./history.ts";

/** What one key of an object does when only one client uses it at a time. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /** Pure. */
  apply(state: State, input: Input): { readonly state: State; readonly output: Output };
  /** Equal for equal states, and only for those. */
  keyOf(state: State): string;
  isSame(one: Output, other: Output): boolean;
  /** Whatever the state: it was left as it was. Such an operation may be left out of a history without breaking it. */
  isRead(input: Input, outcome: Outcome<Output>): boolean;
  /** For people: `cas "a" → "b": swapped`. */
  describe(input: Input, outcome: Outcome<Output>): string;
  describeState(state: State): string;
}

/** The state after `input`, or null if it could not have this outcome in `state`. */
export function stateAfter<State, Input, Output>(
  model: Model<State, Input, Output>,
  state: State,
  { input, outcome }: { readonly input: Input; readonly outcome: Outcome<Output> },
): { readonly state: State } | null {
  const applied = model.apply(state, input);
  if (outcome.type === "ok" && !model.isSame(applied.output, outcome.output)) return null;
  return applied;
}
