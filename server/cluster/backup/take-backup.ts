import type { Base, Entry } from "../../raft/entry.ts";
import type { Checkpoint, CheckpointMark, CheckpointRead } from "../../storage/storage.ts";
import { NodeError } from "../node-error.ts";
import type { BackupRecord } from "./backup-record.ts";

/** One node's replicas of all groups: of a node that runs, or of a data folder. */
export interface BackupSource {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly groups: number;
  readonly takenAtMs: number;
  /** See BackupRecord. */
  readonly foundingLevel: number;
  readonly level: number;
  /** Everything that was acknowledged anywhere before the call is here when it resolves. */
  caughtUp(group: number): Promise<void>;
  base(group: number): Base;
  listCheckpoints(group: number): Promise<ReadonlyMap<string, CheckpointMark>>;
  readCheckpoints(group: number, read: CheckpointRead): Promise<ReadonlyMap<string, Checkpoint | null>>;
  /** Up to the last one that counts; null: the log no longer reaches back to there. */
  entriesSince(group: number, after: number): readonly Entry[] | null;
}

/** What is read from the disk at once. */
const readBytesMax = 1 << 20;
const entriesBytesMax = 1 << 20;
const entriesMax = 4_096;
/** The log is cut behind newer checkpoints at times; so often in a row it is not. */
const triesMax = 10;

/**
 * A whole cluster's state, from one of its nodes. Each group's checkpoints first, each as it is when it is read, then
 * the log behind the base that stood when the reading began: it goes past every one of them, so that replaying it brings
 * all parts to one index (design 5.2, as in a snapshot).
 * @throws BACKUP_OUTRUN if a group's log is cut again and again while it is read
 */
export async function* takeBackup(source: BackupSource): AsyncGenerator<BackupRecord> {
  const { clusterId, nodeId, groups, takenAtMs, foundingLevel, level } = source;
  yield { type: "backup", clusterId, nodeId, groups, takenAtMs, foundingLevel, level };
  for (let group = 0; group < groups; group++) {
    await source.caughtUp(group);
    yield* takeGroup(source, group);
  }
  yield { type: "end" };
}

async function* takeGroup(source: BackupSource, group: number): AsyncGenerator<BackupRecord> {
  for (let tries = 0; tries < triesMax; tries++) {
    const base = source.base(group);
    yield { type: "group", group, base };
    yield* takeParts(source, group);
    const entries = source.entriesSince(group, base.index);
    if (entries === null) continue;
    for (const bundle of bundles(entries)) yield { type: "entries", group, entries: bundle };
    return;
  }
  throw new NodeError("BACKUP_OUTRUN", `group ${group}'s log is cut faster than it is read: try again`);
}

async function* takeParts(source: BackupSource, group: number): AsyncGenerator<BackupRecord> {
  let keys = [...(await source.listCheckpoints(group)).keys()];
  while (keys.length > 0) {
    const read = await source.readCheckpoints(group, { keys, bytesMax: readBytesMax });
    for (const [key, checkpoint] of read) {
      // A part that is gone meanwhile: the log says so, too.
      if (checkpoint !== null) yield { type: "part", group, key, ...checkpoint };
    }
    keys = keys.slice(read.size);
  }
}

function* bundles(entries: readonly Entry[]): Generator<readonly Entry[]> {
  let bundle: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (bundle.length >= entriesMax || (bundle.length > 0 && bytes + entry.data.length > entriesBytesMax)) {
      yield bundle;
      bundle = [];
      bytes = 0;
    }
    bundle.push(entry);
    bytes += entry.data.length;
  }
  if (bundle.length > 0) yield bundle;
}
