import type { Operation, Outcome } from "./history.ts";
import type { RegisterInput, RegisterOutput, Value } from "./register-model.ts";

/**
 * A history as papers draw it, one line a process: `c1: [put a]   [get a]`. Brackets say when an operation was under way,
 * by column; `[put a?` never ended. An operation on another key than "x": `[y: put a]`.
 *
 * `put a` (its answer is not looked at), `put a was b` (or `was -`, nothing), `delete`, `delete was a`, `get a`, `get -`,
 * `cas a b yes`, `cas a b no c` (there was c).
 */
export function drawn(diagram: string): readonly Operation<RegisterInput, RegisterOutput>[] {
  const lines = diagram.split("\n").filter((line) => line.trim() !== "");
  const operations = lines.flatMap((line) => {
    const process = /^\s*(\w+):/.exec(line)?.[1];
    if (process === undefined) throw new Error(`a line of a diagram begins with its process: ${line}`);
    return [...line.matchAll(/\[([^\][?]+)(\]|\?)/g)].map((match) =>
      operationOf(process, match[1] as string, {
        begin: match.index,
        end: match[2] === "?" ? Number.POSITIVE_INFINITY : match.index + match[0].length - 1,
      }),
    );
  });
  return operations.sort((one, other) => one.begin - other.begin);
}

function operationOf(
  process: string,
  text: string,
  { begin, end }: { begin: number; end: number },
): Operation<RegisterInput, RegisterOutput> {
  const [, key = "x", rest = ""] = /^(?:(\w+):)?\s*(.*?)\s*$/.exec(text) ?? [];
  const isUnknown = end === Number.POSITIVE_INFINITY;
  const { input, outcome } = parse(rest.split(/\s+/), isUnknown);
  const [beginMs, endMs] = [begin, isUnknown ? null : end];
  return { process, key, input, outcome, begin, end, beginMs, endMs };
}

const named = (word: string | undefined): Value => (word === undefined || word === "-" ? null : word);

function parse(
  words: readonly string[],
  isUnknown: boolean,
): { input: RegisterInput; outcome: Outcome<RegisterOutput> } {
  const [type, ...rest] = words;
  const ok = (output: RegisterOutput | null): Outcome<RegisterOutput> => {
    if (isUnknown) return { type: "unknown" };
    return output === null ? { type: "applied" } : { type: "ok", output };
  };
  const was = rest.at(-2) === "was" ? { value: named(rest.at(-1)) } : null;
  switch (type) {
    case "get":
      return { input: { type }, outcome: ok({ value: named(rest[0]) }) };
    case "put":
      return { input: { type, value: rest[0] as string }, outcome: ok(was) };
    case "delete":
      return { input: { type }, outcome: ok(was) };
    case "cas": {
      const [expected, value = "", verdict, found] = rest;
      const swapped = verdict === "yes";
      const output = { value: named(swapped ? expected : found), swapped };
      return { input: { type, expected: named(expected), value }, outcome: ok(output) };
    }
    default:
      throw new Error(`no operation of a register is called ${type}`);
  }
}
