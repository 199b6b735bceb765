import { findViolation } from "../linearizability/checker.ts";
import type { Operation } from "../linearizability/history.ts";
import { type RegisterInput, type RegisterOutput, registerModel } from "../linearizability/register-model.ts";
import { violationText } from "../linearizability/violation-text.ts";
import type { Line, Request } from "./history.ts";

/** What a witness found at the end, on each node: adds by seat. */
export type FinalCounts = ReadonlyMap<string, Readonly<Record<string, number>>>;

export interface Verdict {
  readonly players: number;
  readonly ok: number;
  readonly unknown: number;
  readonly registers: number;
  /** Empty: everything held. */
  readonly problems: readonly string[];
}

/** Everything that was acknowledged is there, nothing twice, and one order explains every answer. */
export function judge(lines: readonly Line[], finals: FinalCounts): Verdict {
  const requests = lines.filter((line): line is Request => line.type === "request");
  const byPlayer = Map.groupBy(requests, ({ player }) => player);
  const problems: string[] = [];
  for (const line of lines) {
    if (line.type === "left") problems.push(`${line.player} lost its seat: ${line.code} ${line.reason}`);
    if (line.type !== "joined") continue;
    const counts = new Map([...finals].map(([node, seats]) => [node, seats[line.sessionId]]));
    problems.push(...judgeAdds(line, byPlayer.get(line.player) ?? [], counts));
  }
  const operations = requests.flatMap(operationOf).sort((a, b) => a.begin - b.begin);
  const violation = findViolation(operations, registerModel);
  if (violation !== null) problems.push(violationText(violation, registerModel));
  return {
    players: byPlayer.size,
    ok: requests.filter(({ outcome }) => outcome === "ok").length,
    unknown: requests.filter(({ outcome }) => outcome === "unknown").length,
    registers: new Set(operations.map(({ key }) => key)).size,
    problems,
  };
}

/** A wrapper's adds are applied once each, in order; a stock client's lie between ok and ok + unknown. */
function judgeAdds(
  { player, kind }: Extract<Line, { type: "joined" }>,
  requests: readonly Request[],
  counts: ReadonlyMap<string, number | undefined>,
): string[] {
  const adds = requests.filter(({ what }) => what === "add").sort((a, b) => a.n - b.n);
  const replies = adds.flatMap(({ outcome, output }) => (outcome === "ok" ? [output as number] : []));
  const unknown = adds.length - replies.length;
  const problems: string[] = [];
  if (new Set(replies).size < replies.length) problems.push(`${player} was told one number twice`);
  if (kind === "wrapper") {
    const at = replies.findIndex((reply, position) => reply !== position + 1);
    if (unknown > 0) problems.push(`${player} (wrapper) has ${unknown} adds without an answer`);
    else if (at >= 0)
      problems.push(`${player} (wrapper): answer ${at + 1} is ${replies[at]}, of ${replies.length}`);
  }
  for (const [node, count] of counts) {
    const told = `${player} (${kind}) has ${count} adds on ${node}: ${replies.length} ok, ${unknown} unknown`;
    if (count === undefined || count < replies.length || count > adds.length) problems.push(told);
  }
  return problems;
}

function operationOf(request: Request): Operation<RegisterInput, RegisterOutput>[] {
  const { what, player, n, key, input, output, invokedMs, endedMs, outcome } = request;
  if (what === "add" || key === null) return [];
  const common = { process: `${player} #${n}`, key, begin: invokedMs, beginMs: invokedMs };
  const asked = (what === "get" ? { type: what } : { ...(input as object), type: what }) as RegisterInput;
  return [
    outcome === "ok"
      ? {
          ...common,
          input: asked,
          outcome: { type: "ok", output: output as RegisterOutput },
          end: endedMs,
          endMs: endedMs,
        }
      : { ...common, input: asked, outcome: { type: "unknown" }, end: Number.POSITIVE_INFINITY, endMs: null },
  ];
}
