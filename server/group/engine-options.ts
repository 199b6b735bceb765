import { completeRaftOptions, type RaftOptions } from "../raft/raft-options.ts";

/** The limits and rhythms of a node's groups. Durations in whole milliseconds, sizes in bytes. */
export interface EngineOptions {
  /** How often timers are looked at: elections, deadlines, re-sending. */
  readonly tickMs: number;
  /** T of design 4.3: one heartbeat per node pair and interval. */
  readonly heartbeatIntervalMs: number;
  /** Events handled before a drain is carried out, however many wait. */
  readonly drainEventsMax: number;
  /** A node's own unanswered proposals, per group. */
  readonly proposalsInFlightMax: number;
  readonly proposalsInFlightBytesMax: number;
  /** Others' proposals that wait for one drain, or for the end of a transfer, per group. */
  readonly forwardedWaitingMax: number;
  readonly forwardedWaitingBytesMax: number;
  readonly commandBytesMax: number;
  /** Reads that wait, per group. */
  readonly readsWaitingMax: number;
  /** A `local` read that finds the replica older has a quorum asked, so that the next one finds it younger. */
  readonly localReadAgeMs: number;
  readonly proposeTimeoutMs: number;
  /** A result that later entries decide is waited for so long after the command was applied, and by so many per group. */
  readonly resultTimeoutMs: number;
  readonly lateResultsMax: number;
  /** What a refused caller is told. */
  readonly retryAfterMs: number;
  /** Least time between two rounds of sending unanswered proposals again. */
  readonly resendMs: number;
  /** Proposals that were sent and stay unanswered this long are sent again. */
  readonly resendStalledMs: number;
  /** Proposals in one append or one forwarding message. */
  readonly proposeBatchMax: number;
  readonly proposeBatchBytesMax: number;
  /** Time for applying per turn of the event loop. */
  readonly applyBudgetMs: number;
  /** Of the disk's checkpoints at once, when a machine's parts are brought back. */
  readonly restoreReadBytes: number;
  /** A replica whose parts are not back yet does not campaign for so long: others can apply what they lead. */
  readonly restoreYieldMs: number;
  /** Committed but not applied: past either, appends wait, reads stop, and the lead is handed over. */
  readonly applyBacklogMax: number;
  readonly applyBacklogBytesMax: number;
  /** Append messages that may wait for the backlog, per group; past it they are dropped. */
  readonly parkedAppendsMax: number;
  readonly parkedAppendsBytesMax: number;
  readonly checkpointIntervalMs: number;
  /** A round of checkpoints begins early when the log has grown by this much. */
  readonly checkpointLogBytes: number;
  readonly checkpointPartsPerTurn: number;
  /** Time for writing rooms per turn of the event loop; one is written in any case. */
  readonly checkpointBudgetMs: number;
  readonly checkpointBytesPerTurn: number;
  /** The log is cut when at least this many entries, or bytes, can go. */
  readonly compactEntriesMin: number;
  readonly compactBytesMin: number;
  /** Entries kept behind the floor, so that a follower that lags a little needs no snapshot. */
  readonly logTailEntries: number;
  readonly logTailBytesMax: number;
  readonly groupLogBytesMax: number;
  /**
   * What one part that is never at rest may hold back of it, each entry with 64 bytes beside its data. Past it the log is
   * cut all the same, and no restart brings the part back by itself (design 5.5).
   */
  readonly roomLogBytesMax: number;
  readonly snapshotBytesMax: number;
  readonly snapshotChunkBytes: number;
  readonly snapshotsSendingMax: number;
  /**
   * The log that is kept for snapshots on their way. Past either the oldest of them is begun anew, as of a later base: what
   * its receiver holds already is not sent again.
   */
  readonly snapshotLogEntriesMax: number;
  readonly snapshotLogBytesMax: number;
  /** Bulk (chunks, forwarded proposals) waits while more than this is buffered towards a peer (design 4.1). */
  readonly bulkBufferedBytesMax: number;
  readonly spreadLeaders: boolean;
  /** How long a leader, and its link to the preferred node, must have been stable before the lead is moved. */
  readonly spreadStableMs: number;
  readonly spreadBackoffMsMax: number;
  /** A save that takes longer makes this node hand over what it leads. About 10 T, so that a slow moment is not enough. */
  readonly diskStallMsMax: number;
  /** So does a tick that the pipe comes to so late: 5 T, when followers lose patience with its heartbeats. */
  readonly pipeLagMsMax: number;
  /** For so long after either no lead is given to this node. */
  readonly strainedMs: number;
  /** A group that has had nothing to do for so long sleeps. */
  readonly sleepAfterMs: number;
  /** Handed to every group's core. */
  readonly raft: Partial<RaftOptions>;
}

const kib = 1024;
const mib = 1024 * kib;

export const engineDefaults: EngineOptions = Object.freeze({
  tickMs: 10,
  heartbeatIntervalMs: 50,
  drainEventsMax: 4096,
  proposalsInFlightMax: 4096,
  proposalsInFlightBytesMax: 16 * mib,
  forwardedWaitingMax: 16_384,
  forwardedWaitingBytesMax: 16 * mib,
  commandBytesMax: 256 * kib,
  readsWaitingMax: 4096,
  localReadAgeMs: 50,
  proposeTimeoutMs: 10_000,
  resultTimeoutMs: 60_000,
  lateResultsMax: 4096,
  retryAfterMs: 100,
  resendMs: 50,
  resendStalledMs: 2000,
  proposeBatchMax: 1024,
  proposeBatchBytesMax: 512 * kib,
  applyBudgetMs: 8,
  restoreReadBytes: 1 * mib,
  restoreYieldMs: 2000,
  applyBacklogMax: 65_536,
  applyBacklogBytesMax: 32 * mib,
  parkedAppendsMax: 1024,
  parkedAppendsBytesMax: 16 * mib,
  checkpointIntervalMs: 1000,
  checkpointLogBytes: 8 * mib,
  checkpointPartsPerTurn: 4,
  checkpointBudgetMs: 4,
  checkpointBytesPerTurn: 1 * mib,
  compactEntriesMin: 4096,
  compactBytesMin: 8 * mib,
  logTailEntries: 4096,
  logTailBytesMax: 8 * mib,
  groupLogBytesMax: 256 * mib,
  roomLogBytesMax: 64 * mib,
  snapshotBytesMax: 256 * mib,
  snapshotChunkBytes: 64 * kib,
  snapshotsSendingMax: 4,
  snapshotLogEntriesMax: 262_144,
  snapshotLogBytesMax: 64 * mib,
  bulkBufferedBytesMax: 128 * kib,
  spreadLeaders: true,
  spreadStableMs: 3000,
  spreadBackoffMsMax: 60_000,
  diskStallMsMax: 500,
  pipeLagMsMax: 250,
  strainedMs: 2000,
  sleepAfterMs: 500,
  raft: Object.freeze({}),
});

/** Of the options that are not at least 1. */
const leastOf: ReadonlyMap<string, number> = new Map([
  ["logTailEntries", 0],
  ["logTailBytesMax", 0],
  // The end of a snapshot must fit into a chunk.
  ["snapshotChunkBytes", 32],
]);

/** @throws {RangeError} that names the option, its value and what is allowed. */
export function engineOptions(given: Partial<EngineOptions>): EngineOptions {
  const options: EngineOptions = { ...engineDefaults, ...given };
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(engineDefaults, name)) throw new RangeError(`groups: there is no option "${name}"`);
    if (name === "raft") continue;
    if (name === "spreadLeaders") {
      if (typeof value !== "boolean")
        throw new RangeError(`groups: option "${name}" is ${value}; it must be true or false`);
      continue;
    }
    const least = leastOf.get(name) ?? 1;
    if (!Number.isSafeInteger(value) || (value as number) < least) {
      throw new RangeError(
        `groups: option "${name}" is ${String(value)}; it must be a whole number of at least ${least}`,
      );
    }
  }
  if (options.tickMs > options.heartbeatIntervalMs) {
    throw new RangeError(
      `groups: option "tickMs" is ${options.tickMs}; it must be at most heartbeatIntervalMs (${options.heartbeatIntervalMs})`,
    );
  }
  checkBatchFits(options);
  checkSnapshotLog(options);
  checkRoomLog(options);
  return Object.freeze(options);
}

/** A snapshot that is begun anew because its log was too long must find a shorter one. */
function checkSnapshotLog(options: EngineOptions): void {
  const { logTailEntries, compactEntriesMin, logTailBytesMax, compactBytesMin } = options;
  for (const [name, least] of [
    ["snapshotLogEntriesMax", logTailEntries + compactEntriesMin],
    ["snapshotLogBytesMax", logTailBytesMax + compactBytesMin],
  ] as const) {
    if (options[name] >= least) continue;
    throw new RangeError(
      `groups: option "${name}" is ${options[name]}; it must be at least ${least}, the log's tail and what is cut at once`,
    );
  }
}

/** Else proposals would be refused before any part lets go. */
function checkRoomLog({ roomLogBytesMax, groupLogBytesMax }: EngineOptions): void {
  const most = Math.floor(groupLogBytesMax / 2);
  if (roomLogBytesMax <= most) return;
  throw new RangeError(
    `groups: option "roomLogBytesMax" is ${roomLogBytesMax}; it must be at most ${most}, a half of groupLogBytesMax`,
  );
}

/** What comes together from several nodes in one drain must fit into what the core takes, or it would be refused for ever. */
const batchesMax = 4;

function checkBatchFits({
  raft,
  proposeBatchMax,
  proposeBatchBytesMax,
  commandBytesMax,
}: EngineOptions): void {
  const { uncommittedEntriesMax, uncommittedBytesMax } = completeRaftOptions(raft);
  if (proposeBatchMax * batchesMax > uncommittedEntriesMax) {
    const most = Math.floor(uncommittedEntriesMax / batchesMax);
    throw new RangeError(
      `groups: option "proposeBatchMax" is ${proposeBatchMax}; it must be at most ${most}, a quarter of raft.uncommittedEntriesMax`,
    );
  }
  const most = Math.floor(uncommittedBytesMax / batchesMax);
  for (const [name, value] of Object.entries({ proposeBatchBytesMax, commandBytesMax })) {
    if (value <= most) continue;
    throw new RangeError(
      `groups: option "${name}" is ${value}; it must be at most ${most}, a quarter of raft.uncommittedBytesMax`,
    );
  }
}
