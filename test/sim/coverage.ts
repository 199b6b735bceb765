/** What a run has seen happen, counted: so that a simulator that does nothing is noticed. */
const inBoth = [
  "elections",
  "transfers",
  "transfersDone",
  "transfersRefused",
  "crashes",
  "powerCuts",
  "crashesMidSave",
  "fullStops",
  "cleanStops",
  "diskErrors",
  "disksFull",
  "bitsFlipped",
  "flipsFound",
  "oldImages",
  "oldImagesRefused",
  "pauses",
  "busySpells",
  "huntedLeaders",
  "partitions",
  "oneSidedPartitions",
  "bridges",
  "leadersIsolated",
  "leadersDeafened",
  "splits",
  "flappings",
  "linkDrops",
  "linksRefused",
  "upgrades",
  "downgrades",
  "levelsRaised",
  "outdatedEnds",
  "lags",
  "strandings",
  "stallsOfAll",
  "messagesLost",
  "messagesDoubled",
  "wallJumps",
  "slowDisks",
  "diskStalls",
  "votersAdded",
  "votersRemoved",
  "votersReplaced",
  "pairsReplaced",
  "grownByTwo",
  "shrunkByTwo",
  "learnersAdded",
  "learnersPromoted",
  "votersDemoted",
  "disksRejoined",
  "learnersAwaited",
  "jointConfigurations",
  "leadersKilledInChange",
  "memberChangesRefused",
  "removalsTold",
  "leadsRelieved",
  "leadsBroughtHome",
  "groupsSlept",
  "groupsWoken",
  "checkpoints",
  "restores",
  "compactions",
  "installs",
  "installsHit",
  "installsResumed",
  "partsResumed",
  "truncations",
  "receipts",
  "hashesCompared",
  "linearizableReads",
  "leaseReads",
  "localReads",
] as const;

const inRooms = [
  "roomsCreated",
  "roomsDisposed",
  "joins",
  "reattachments",
  "seatsExpired",
  "leaves",
  "drops",
  "firesAnswered",
  "firesUnknown",
  "effectsRun",
  "effectsRunAgain",
  "depositsAnswered",
  "depositsSeen",
  "commandsResent",
  "repliesRemembered",
  "throwsInRooms",
  "rejectionsInRooms",
  "broadcasts",
  "seatsMissing",
  "seatsFound",
  "messagesOwed",
  "poisons",
  "marks",
  "suddenDeathsMarked",
  "standingsStill",
  "quarantines",
  "strangersRefused",
  "strangeFrames",
  "corruptions",
  "divergences",
  "healed",
  "freezes",
  "thaws",
  "operatorThaws",
  "keysAnswered",
  "keysUnanswered",
  "keyChangesTold",
  "pinnings",
  "absences",
  "returns",
  "roomsLost",
  "presenceCalls",
  "presenceCallsAgain",
  "newsHeard",
  "emotesHeard",
  "othersEmotesHeard",
  "ledRuns",
  "ledRunsAgain",
  "ledSteps",
  "ledStepsPast",
  "ledRestores",
  "ledStatesSeen",
] as const;

const inRegisters = [
  "operationsAnswered",
  "operationsUnknown",
  "operationsFailed",
  "answersForgotten",
  "swaps",
  "refusedSwaps",
  "readsWithoutEntry",
  "readsHere",
] as const;

const inKeeper = [
  "locksHeld",
  "locksWaitedFor",
  "locksLost",
  "fencedWrites",
  "oldTokensRefused",
  "leadershipsHeld",
  "keysExpired",
  "keysEvicted",
  "putsRefusedAsFull",
] as const;

export type Covered = (typeof inBoth | typeof inRooms | typeof inRegisters | typeof inKeeper)[number];

/** What a simulation of rooms, of registers, or of locks and keys is for. */
export const covered = {
  rooms: [...inBoth, ...inRooms],
  registers: [...inBoth, ...inRegisters],
  keeper: [...inBoth, ...inKeeper],
} as const satisfies Record<string, readonly Covered[]>;

const all: readonly Covered[] = [...inBoth, ...inRooms, ...inRegisters, ...inKeeper];

/** What takes a while each time, and so happens a few times only in as many seeds as the tests run. */
export const seldom: ReadonlySet<Covered> = new Set([
  "installsResumed",
  "seatsFound",
  "votersAdded",
  "votersRemoved",
  "votersReplaced",
  "pairsReplaced",
  "grownByTwo",
  "shrunkByTwo",
  "learnersAdded",
  "learnersPromoted",
  "votersDemoted",
  "disksRejoined",
  "oldImages",
  "oldImagesRefused",
  "outdatedEnds",
]);

export class Coverage {
  readonly counts: Record<Covered, number>;

  constructor() {
    this.counts = Object.fromEntries(all.map((name) => [name, 0])) as Record<Covered, number>;
  }

  hit(name: Covered, times = 1): void {
    this.counts[name] += times;
  }

  add(other: Coverage): void {
    for (const name of all) this.counts[name] += other.counts[name];
  }
}
