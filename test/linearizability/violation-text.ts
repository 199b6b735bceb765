import type { Violation } from "./checker.ts";
import type { Model } from "./model.ts";

/** For people: what cannot be explained, and everything that it touches, one operation a line. */
export function violationText<State, Input, Output>(
  violation: Violation<State, Input, Output>,
  model: Model<State, Input, Output>,
): string {
  const { key, states, operations, culprit, found, unknownLeftOut } = violation;
  const list = (some: readonly State[]) => some.map(model.describeState).join(" or ");
  const rows = operations.map((operation) => [
    operation.process,
    operation.beginMs.toFixed(2),
    operation.endMs === null ? "…" : operation.endMs.toFixed(2),
    `${model.describe(operation.input, operation.outcome)}${operation === culprit ? "   ← no order explains this" : ""}`,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return [
    `key "${key}" is not linearizable`,
    `  at first it holds ${list(states)}`,
    ...rows.map(([process = "", from = "", to = "", what = ""]) => {
      const [a = 0, b = 0, c = 0] = widths;
      return `  ${process.padEnd(a)}  ${from.padStart(b)} to ${to.padStart(c)} ms  ${what}`;
    }),
    ...(found.length > 0 ? [`  ${culprit.process} may have found ${list(found)}`] : []),
    ...(unknownLeftOut > 0
      ? [`  ${unknownLeftOut} more of unknown outcome were tried, too, and explain nothing`]
      : []),
  ].join("\n");
}
