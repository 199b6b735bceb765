/** What a run has seen happen, counted: so that a simulator that does nothing is noticed. */
export const covered = [
  "elections",
  "transfers",
  "transfersDone",
  "transfersRefused",
  "crashes",
  "crashesMidSave",
  "fullStops",
  "cleanStops",
  "diskErrors",
  "pauses",
  "busySpells",
  "huntedLeaders",
  "partitions",
  "oneSidedPartitions",
  "linkDrops",
  "messagesLost",
  "messagesDoubled",
  "wallJumps",
  "slowDisks",
  "checkpoints",
  "restores",
  "compactions",
  "installs",
  "truncations",
  "roomsCreated",
  "roomsDisposed",
  "hashesCompared",
  "joins",
  "reattachments",
  "seatsExpired",
  "leaves",
  "drops",
  "firesAnswered",
  "firesUnknown",
  "depositsAnswered",
  "commandsResent",
  "repliesRemembered",
  "throwsInRooms",
  "rejectionsInRooms",
  "broadcasts",
] as const;

export type Covered = (typeof covered)[number];

export class Coverage {
  readonly counts: Record<Covered, number>;

  constructor() {
    this.counts = Object.fromEntries(covered.map((name) => [name, 0])) as Record<Covered, number>;
  }

  hit(name: Covered, times = 1): void {
    this.counts[name] += times;
  }

  add(other: Coverage): void {
    for (const name of covered) this.counts[name] += other.counts[name];
  }
}
