/** How one replica behaves. All times in milliseconds, all sizes in bytes of entry data. */
export interface RaftOptions {
  /**
   * When the link to the leader's node closes, its followers replace it at once. False: they wait their timeouts out,
   * and the leader answers `lease` reads without asking anybody. To be the same on all replicas of a group; where it or
   * `electionBaseMs` is changed, a restart must take longer than the old election timeout.
   */
  readonly fastFailover: boolean;
  /** A clock runs faster or slower than true time by at most so much, in percent: leases rest on it. 0 to 50. */
  readonly clockDriftPercentMax: number;
  /** T: election timeouts are drawn from 2T to 4T. About ten round trips between the voters. 5 to 60,000. */
  readonly electionBaseMs: number;
  /** An election timer that expires is put off once by this, so that heartbeats already waiting count. 0 to 1,000. */
  readonly electionGraceMs: number;
  /** A leader that has not heard from a quorum for this long steps down. 10 to 600,000. */
  readonly quorumTimeoutMs: number;
  /** A probe, a read or a round of confirmations that got no answer for this long is sent again. 1 to 600,000. */
  readonly probeTimeoutMs: number;
  /** Entries in flight without any answer for this long: back to probing. 1 to 600,000. */
  readonly answerTimeoutMs: number;
  /** A follower that was sent nothing for this long, and has not said that it knows of the last commit, is told again. 10 to 600,000. */
  readonly idleAppendMs: number;
  /** At most so many entries, 1 to 65,536, … */
  readonly appendEntriesMax: number;
  /** … and so many bytes (but always one entry) in one appendEntries. 1 to 16 MiB. */
  readonly appendBytesMax: number;
  /** At most so many entries, 1 to 1,048,576, … */
  readonly inFlightEntriesMax: number;
  /** … and so many bytes (but always one append) on their way to one follower, which has not told that it has them. 1 to 1 GiB. */
  readonly inFlightBytesMax: number;
  /** On their way to all followers together at most so many entries, 1 to 16,777,216, … */
  readonly totalInFlightEntriesMax: number;
  /** … and so many bytes (but always one append each). 1 to 16 GiB. */
  readonly totalInFlightBytesMax: number;
  /** Sent to one follower and not on its disk at most so many entries, 1 to 1,048,576, … */
  readonly unsavedEntriesMax: number;
  /** … and so many bytes (but always one append). 1 to 1 GiB. */
  readonly unsavedBytesMax: number;
  /** A follower tells what it has received before it is saved if that is at least so many entries, 1 to 1,048,576, … */
  readonly receiptEntriesMin: number;
  /** … or bytes. 1 to 1 GiB. */
  readonly receiptBytesMin: number;
  /** A leader with so many entries that are uncommitted, or not on its own disk yet, 1 to 1,048,576, … */
  readonly uncommittedEntriesMax: number;
  /** … or bytes of them refuses proposals as OVERLOADED. 1 to 1 GiB. */
  readonly uncommittedBytesMax: number;
  /** A snapshot's chunk that the group has not handed over for this long: begin again. 1 to 600,000. */
  readonly snapshotReadTimeoutMs: number;
  /** A snapshot's chunk that got no answer for this long is sent again, … 1 to 600,000. */
  readonly snapshotAnswerTimeoutMs: number;
  /** … so many times in all; then the snapshot is given up. 1 to 1,000. */
  readonly snapshotChunkTriesMax: number;
  /** How long to wait before beginning again after a snapshot failed. 1 to 600,000. */
  readonly snapshotPauseMs: number;
  /** A learner that is to vote is promoted once no more entries than this separate it from its leader. 0 to 1,048,576. */
  readonly learnerLagEntriesMax: number;
  /** A leader keeps compacted entries for live followers that lack them while its log is no larger than this. 0 to 1 GiB. */
  readonly catchUpBytesMax: number;
}

export const raftDefaults: RaftOptions = Object.freeze({
  fastFailover: true,
  clockDriftPercentMax: 5,
  electionBaseMs: 50,
  electionGraceMs: 1,
  quorumTimeoutMs: 200,
  probeTimeoutMs: 100,
  answerTimeoutMs: 500,
  idleAppendMs: 1_000,
  appendEntriesMax: 1_024,
  appendBytesMax: 65_536,
  inFlightEntriesMax: 8_192,
  inFlightBytesMax: 262_144,
  totalInFlightEntriesMax: 32_768,
  totalInFlightBytesMax: 1_048_576,
  unsavedEntriesMax: 32_768,
  unsavedBytesMax: 8_388_608,
  receiptEntriesMin: 2_048,
  receiptBytesMin: 65_536,
  uncommittedEntriesMax: 8_192,
  uncommittedBytesMax: 8_388_608,
  snapshotReadTimeoutMs: 10_000,
  snapshotAnswerTimeoutMs: 1_000,
  snapshotChunkTriesMax: 5,
  snapshotPauseMs: 200,
  learnerLagEntriesMax: 256,
  catchUpBytesMax: 16_777_216,
});

const gib = 1_073_741_824;
const msMax = 600_000;

type NumberName = Exclude<keyof RaftOptions, "fastFailover">;

const allowed: { readonly [K in NumberName]: readonly [min: number, max: number] } = {
  clockDriftPercentMax: [0, 50],
  electionBaseMs: [5, 60_000],
  electionGraceMs: [0, 1_000],
  quorumTimeoutMs: [10, msMax],
  probeTimeoutMs: [1, msMax],
  answerTimeoutMs: [1, msMax],
  idleAppendMs: [10, msMax],
  appendEntriesMax: [1, 65_536],
  appendBytesMax: [1, 16_777_216],
  inFlightEntriesMax: [1, 1_048_576],
  inFlightBytesMax: [1, gib],
  totalInFlightEntriesMax: [1, 16_777_216],
  totalInFlightBytesMax: [1, 16 * gib],
  unsavedEntriesMax: [1, 1_048_576],
  unsavedBytesMax: [1, gib],
  receiptEntriesMin: [1, 1_048_576],
  receiptBytesMin: [1, gib],
  uncommittedEntriesMax: [1, 1_048_576],
  uncommittedBytesMax: [1, gib],
  snapshotReadTimeoutMs: [1, msMax],
  snapshotAnswerTimeoutMs: [1, msMax],
  snapshotChunkTriesMax: [1, 1_000],
  snapshotPauseMs: [1, msMax],
  learnerLagEntriesMax: [0, 1_048_576],
  catchUpBytesMax: [0, gib],
};

/** Stretched along with `electionBaseMs` unless they are given. */
const scaled: ReadonlySet<NumberName> = new Set(["quorumTimeoutMs", "probeTimeoutMs", "answerTimeoutMs"]);

/** The defaults, overlaid. @throws a RangeError that names the option, its value and what is allowed. */
export function completeRaftOptions(options: Partial<RaftOptions>): RaftOptions {
  const factor = (options.electionBaseMs ?? raftDefaults.electionBaseMs) / raftDefaults.electionBaseMs;
  const complete = Object.fromEntries(
    (Object.keys(allowed) as NumberName[]).map((name) => {
      const fallback = scaled.has(name) ? Math.ceil(raftDefaults[name] * factor) : raftDefaults[name];
      return [name, options[name] ?? fallback];
    }),
  ) as { readonly [K in NumberName]: number };
  const { fastFailover = raftDefaults.fastFailover } = options;
  if (typeof fastFailover !== "boolean")
    throw new RangeError(`raft option fastFailover is ${fastFailover}: true or false is allowed`);
  for (const name of Object.keys(allowed) as NumberName[]) {
    const value = complete[name];
    const [min, max] = allowed[name];
    // The base comes first, so what is derived from it is never blamed.
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new RangeError(
        `raft option ${name} is ${value}: a whole number from ${min} to ${max} is allowed`,
      );
    }
  }
  return Object.freeze({ ...complete, fastFailover });
}
