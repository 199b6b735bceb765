import type { Model } from "./model.ts";

/**
 * A register that is only written on behalf of a lock's holder. When a lease ends nobody sees: `refused`, filled in once the
 * answer is there, says that it had ended by then, and a token that is over never comes back.
 */
export type LockInput =
  | { readonly type: "acquire"; readonly token: number }
  | { readonly type: "write" | "release"; readonly token: number; readonly value: number; refused: boolean }
  | { readonly type: "get" };

export interface LockOutput {
  /** Of an `acquire`: its token is larger than any before. Of the others: the lock was held with the token. */
  readonly done: boolean;
  readonly value: number | null;
}

export interface LockRegister {
  /** The last holder's; 0: there was none. */
  readonly token: number;
  readonly isOver: boolean;
  readonly value: number;
}

export const lockModel: Model<LockRegister, LockInput, LockOutput> = {
  initial: { token: 0, isOver: true, value: 0 },

  apply(state, input) {
    switch (input.type) {
      case "acquire": {
        const done = input.token > state.token;
        const next = done ? { ...state, token: input.token, isOver: false } : state;
        return { state: next, output: { done, value: null } };
      }
      case "write":
      case "release": {
        const isHeld = state.token === input.token && !state.isOver;
        const done = isHeld && !input.refused;
        const isOver = isHeld && (input.refused || input.type === "release");
        const value = done && input.type === "write" ? input.value : state.value;
        return { state: { ...state, value, isOver: state.isOver || isOver }, output: { done, value: null } };
      }
      case "get":
        return { state, output: { done: true, value: state.value } };
    }
  },

  keyOf: ({ token, isOver, value }) => `${token} ${isOver} ${value}`,
  isSame: (one, other) => one.done === other.done && one.value === other.value,
  isRead: (input) => input.type === "get",

  describe(input, outcome) {
    const told = outcome.type === "ok" ? (outcome.output.done ? "done" : "refused") : outcome.type;
    if (input.type === "get") return `get gives ${outcome.type === "ok" ? outcome.output.value : told}`;
    const what = input.type === "write" ? `write ${input.value}` : input.type;
    return `${what} with token ${input.token}: ${told}`;
  },

  describeState: ({ token, isOver, value }) => `${value}, token ${token}${isOver ? ", over" : ""}`,
};
