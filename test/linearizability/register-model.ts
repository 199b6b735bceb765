import type { Model } from "./model.ts";

/** A register's value; null: there is none. */
export type Value = string | null;

export type RegisterInput =
  | { readonly type: "get" }
  | { readonly type: "put"; readonly value: string }
  | { readonly type: "delete" }
  /** Sets `value` if `expected` is what is there. */
  | { readonly type: "cas"; readonly expected: Value; readonly value: string };

/** What was there before; of a `cas` also whether it was what had been expected. */
export interface RegisterOutput {
  readonly value: Value;
  readonly swapped?: boolean;
}

const show = (value: Value) => (value === null ? "nothing" : `"${value}"`);

/** One register of the compare-and-set menu. */
export const registerModel: Model<Value, RegisterInput, RegisterOutput> = {
  initial: null,

  apply(state, input) {
    switch (input.type) {
      case "get":
        return { state, output: { value: state } };
      case "put":
        return { state: input.value, output: { value: state } };
      case "delete":
        return { state: null, output: { value: state } };
      case "cas": {
        const swapped = state === input.expected;
        return { state: swapped ? input.value : state, output: { value: state, swapped } };
      }
    }
  },

  keyOf: (state) => (state === null ? "" : `=${state}`),

  isSame: (one, other) => one.value === other.value && one.swapped === other.swapped,

  isRead: (input, outcome) =>
    input.type === "get" ||
    (input.type === "cas" && outcome.type === "ok" && outcome.output.swapped === false),

  describe(input, outcome) {
    const what = describeInput(input);
    if (outcome.type === "unknown") return `${what}, outcome unknown`;
    if (outcome.type === "applied") return `${what}, applied, answer forgotten`;
    const { value, swapped } = outcome.output;
    if (input.type === "get") return `get gives ${show(value)}`;
    if (input.type === "cas")
      return swapped ? `${what}, swapped` : `${what}, refused: there is ${show(value)}`;
    return `${what}, was ${show(value)}`;
  },

  describeState: show,
};

function describeInput(input: RegisterInput): string {
  switch (input.type) {
    case "get":
      return "get";
    case "put":
      return `put ${show(input.value)}`;
    case "delete":
      return "delete";
    case "cas":
      return `cas ${show(input.expected)} to ${show(input.value)}`;
  }
}
