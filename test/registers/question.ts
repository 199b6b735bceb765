import type { RegisterInput, Value } from "../linearizability/register-model.ts";
import type { Performed } from "./registers.ts";

/** What a client asks a real node. Only `log` writes. */
export interface Question {
  readonly group: number;
  readonly key: string;
  readonly input: RegisterInput;
  readonly way: "log" | "linearizable" | "lease" | "local";
  readonly timeoutMs: number;
}

export type Answer = Performed | Local;

/** As of `index`, on the node that was asked. */
export interface Local {
  readonly type: "local";
  readonly index: number;
  readonly ageMs: number;
  readonly value: Value;
}

/** One question, written down when it is answered or given up. Times are the clients' monotonic clock. */
export interface Asked extends Omit<Question, "timeoutMs"> {
  readonly client: string;
  readonly node: number;
  readonly beginMs: number;
  readonly endMs: number;
  readonly answer: Answer;
}
