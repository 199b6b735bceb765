import { findViolation } from "../linearizability/checker.ts";
import type { Operation, Outcome } from "../linearizability/history.ts";
import { type RegisterInput, type RegisterOutput, registerModel } from "../linearizability/register-model.ts";
import { violationPicture } from "../linearizability/violation-picture.ts";
import { violationText } from "../linearizability/violation-text.ts";
import type { Asked } from "./question.ts";

export interface Verdict {
  /** Empty: everything held. */
  readonly problems: readonly string[];
  /** An SVG of what no order explains; null: some order explains everything. */
  readonly picture: string | null;
  readonly ok: number;
  readonly unknown: number;
  readonly failed: number;
  readonly local: number;
  readonly registers: number;
}

/** An end and a begin that the clock cannot tell apart count as overlapping. */
const clockStepMs = 0.001;

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

/** Of everything that clients of real nodes asked and were told. */
export function judge(asked: readonly Asked[]): Verdict {
  const operations = asked.flatMap((one) => operationOf(one) ?? []);
  const violation = findViolation(operations, registerModel);
  const count = (type: string) => asked.filter(({ answer }) => answer.type === type).length;
  return {
    problems: [
      ...(violation === null ? [] : [violationText(violation, registerModel)]),
      ...localProblems(asked),
      ...lastProblems(asked),
    ],
    picture: violation === null ? null : violationPicture(violation, registerModel),
    ok: count("ok") + count("applied"),
    unknown: count("unknown"),
    failed: count("failed"),
    local: count("local"),
    registers: new Set(operations.map(({ key }) => key)).size,
  };
}

function operationOf({ client, group, key, input, answer, beginMs, endMs }: Asked): RegisterOperation | null {
  if (answer.type === "failed" || answer.type === "local") return null;
  const outcome: Outcome<RegisterOutput> = answer.type === "unknown" ? { type: "unknown" } : answer;
  const isOpen = outcome.type === "unknown";
  return {
    process: client,
    key: `${group}/${key}`,
    input,
    outcome,
    begin: beginMs,
    end: isOpen ? Number.POSITIVE_INFINITY : endMs + clockStepMs,
    beginMs,
    endMs: isOpen ? null : endMs,
  };
}

/** As of one index a register holds one value, whichever replica says so. */
function localProblems(asked: readonly Asked[]): string[] {
  const known = new Map<string, { readonly node: number; readonly value: string | null }>();
  const problems: string[] = [];
  for (const { group, key, node, answer } of asked) {
    if (answer.type !== "local") continue;
    const place = `${group}/${key} as of ${answer.index}`;
    const before = known.get(place);
    if (before === undefined) known.set(place, { node, value: answer.value });
    else if (before.value !== answer.value)
      problems.push(
        `${place} is ${before.value} on node ${before.node}, and ${answer.value} on node ${node}`,
      );
  }
  return problems;
}

function lastProblems(asked: readonly Asked[]): string[] {
  return asked.flatMap(({ client, group, key, node, way, answer }) =>
    client === "last" && answer.type !== "ok" && answer.type !== "applied"
      ? `in the end register ${group}/${key} does not answer on node ${node} (${way}): ${JSON.stringify(answer)}`
      : [],
  );
}
