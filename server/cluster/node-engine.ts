import { GroupEngine } from "../group/engine.ts";
import type { EngineConstruction } from "../group/engine-construction.ts";
import { type EngineOptions, engineDefaults } from "../group/engine-options.ts";
import type { Identity } from "../storage/storage.ts";
import { fractionSource } from "./fraction.ts";
import type { NodeParts } from "./node-parts.ts";

/** A leader that heard from no majority for so many T steps down. */
const quorumTimeoutBases = 4;
/** What counts as a stalled disk, and as a late turn, in T: never less than by default. */
const diskStallBases = 4;
const pipeLagBases = 4;

interface NodeEngineSetup
  extends Pick<
    EngineConstruction,
    "bootId" | "founding" | "persisted" | "network" | "machineFor" | "leadPriority" | "log" | "fail"
  > {
  readonly identity: Identity;
  readonly parts: NodeParts;
  /** T of design 4.3. */
  readonly electionBaseMs: number;
  readonly fastFailover: boolean;
  readonly roomLogBytesMax: number;
  readonly logHistoryBytes: number;
}

/** The groups of a node, in its rhythm. */
export function nodeEngine({
  identity,
  parts,
  electionBaseMs,
  fastFailover,
  roomLogBytesMax,
  logHistoryBytes,
  ...setup
}: NodeEngineSetup): GroupEngine {
  const { nodeId, storeId, bootCount } = identity;
  const { clock, storage, engine, randomBytes, levels } = parts;
  return new GroupEngine({
    ...setup,
    self: { nodeId, storeId },
    bootCount,
    storage,
    ...(levels === undefined ? {} : { levels }),
    clock,
    random: fractionSource((count) => randomBytes(count)),
    options: {
      heartbeatIntervalMs: electionBaseMs,
      diskStallMsMax: Math.max(engineDefaults.diskStallMsMax, diskStallBases * electionBaseMs),
      pipeLagMsMax: Math.max(engineDefaults.pipeLagMsMax, pipeLagBases * electionBaseMs),
      roomLogBytesMax,
      ...historyOptions(logHistoryBytes),
      ...engine,
      raft: {
        electionBaseMs,
        fastFailover,
        quorumTimeoutMs: quorumTimeoutBases * electionBaseMs,
        ...engine?.raft,
      },
    },
  });
}

/** What an entry of the history counts at least: ticks are small, and are remembered one by one. */
const historyEntryBytesMin = 256;

/** The log's tail, which followers that lag a little need anyway, is as long as the history that is asked for. */
function historyOptions(bytes: number): Partial<EngineOptions> {
  const entries = Math.floor(bytes / historyEntryBytesMin);
  const { logTailBytesMax, logTailEntries } = engineDefaults;
  return {
    logTailBytesMax: logTailBytesMax + bytes,
    logTailEntries: logTailEntries + entries,
    // What else has a limit in the log keeps as much of it as without.
    groupLogBytesMax: engineDefaults.groupLogBytesMax + bytes,
    snapshotLogBytesMax: engineDefaults.snapshotLogBytesMax + bytes,
    snapshotLogEntriesMax: engineDefaults.snapshotLogEntriesMax + entries,
  };
}
