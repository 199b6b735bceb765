import type { ClassLike } from "../session/graph/graph-options.ts";

/** Something that stands against replicating the class as it is. */
export interface CheckProblem {
  /** `declare`: it works once it is told to `replicated(Room, { … })`; `change`: the room's code has to change. */
  readonly verdict: "declare" | "change";
  readonly what: string;
  readonly remedy: string;
  /** `file:line` in the room's code, if that is known. */
  readonly at: string | null;
  /** In the room, for what cannot be saved. */
  readonly path?: string;
  readonly unlisted?: ClassLike;
}

/**
 * Which replica differed from the first one: `again`, given the same commands in the same process; `after others`, when rooms
 * of the class had run before; `variables` and `time zone`, elsewhere; `restored`, brought back from its checkpoints;
 * `another process`, which has loaded the modules anew.
 */
export type OtherReplica =
  | "again"
  | "after others"
  | "variables"
  | "time zone"
  | "restored"
  | "another process";

export interface FirstDifference {
  /** Of the script, from 0; -1: right after onCreate. */
  readonly step: number;
  /** `step 3 (ann says "hit")` */
  readonly after: string;
  readonly replica: OtherReplica;
  /** As one would write it in the room's code: `room.state.players.get("ann").x` */
  readonly path: string;
  /** The other replica's, against the first one's. */
  readonly values: string;
  readonly remedy: string;
}

export interface CheckReport {
  /** The replicas stayed equal to the end. */
  readonly equal: boolean;
  /** So many steps were carried out. */
  readonly steps: number;
  /** After so many of them the room was at rest, and was brought back to life from its checkpoint. */
  readonly checkpoints: number;
  readonly firstDifference: FirstDifference | null;
  /** Why the room could not be saved at the end, its own or the script's; null: it could. */
  readonly restless: string | null;
  readonly problems: readonly CheckProblem[];
  readonly warnings: readonly string[];
}

/** What `assertDeterminism` throws. */
export class NotDeterministic extends Error {
  readonly code = "NOT_DETERMINISTIC";
  readonly report: CheckReport;

  constructor(name: string, report: CheckReport) {
    super([`${name} is not fit to be replicated`, ...describeReport(report)].join("\n  "));
    this.name = "NotDeterministic";
    this.report = report;
  }
}

const remedies: Record<OtherReplica, string> = {
  again:
    "the same commands gave another room in the same process: keep what the room counts or remembers in its fields, not in a module global or a static; and load the preload first (--import testudo/register), for code that took hold of Math.random, Date or crypto before it reads the real ones",
  "after others":
    "a room of the same class had run before: keep what the room counts or remembers in its fields, not in a module global or a static",
  variables:
    "the environment's variables differ from node to node: give what they say to the room as an option, or bring it in with room.propose()",
  "time zone":
    'nodes may be in different time zones: use UTC (getUTCHours(), toISOString()), or name the zone: toLocaleString("en", { timeZone: "UTC" })',
  "another process":
    "another process, in another time zone, came to another room: what a module draws or reads once, when it is loaded (Math.random, Date, crypto, the time zone, the process's own id), is a node's own; draw it in onCreate, or give it as an option",
  restored:
    "the checkpoint does not bring it back: a local variable of onCreate or of a module that a handler or timer goes on with (a captured closure) begins anew; keep it in a field of the room. So does a field that is named in transient: onCreate has to make it as it was",
};

export function remedyFor(replica: OtherReplica, reads: readonly string[]): string {
  const read = replica === "variables" && reads.length > 0 ? `; it reads ${reads.join(", ")}` : "";
  return remedies[replica] + read;
}

/** For people, a line each. */
export function describeReport({ firstDifference, problems, restless, warnings }: CheckReport): string[] {
  const lines = problems.map(
    ({ what, remedy, at }) => `${at === null ? "" : `${at}: `}${what} (remedy: ${remedy})`,
  );
  if (firstDifference !== null) {
    const { after, path, values, remedy } = firstDifference;
    lines.push(`after ${after} ${path}: ${values} (remedy: ${remedy})`);
  }
  if (restless !== null) lines.push(`not at rest at the end: ${restless}`);
  return [...lines, ...warnings.map((warning) => `warning: ${warning}`)];
}
