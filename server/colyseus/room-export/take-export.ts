import type { GroupEngine } from "../../group/engine.ts";
import type { AppliedCommand } from "../../group/machine.ts";
import type { Entry } from "../../raft/entry.ts";
import { GraphError } from "../../session/graph/graph-error.ts";
import type { RoomReplica } from "../../session/room-replica.ts";
import { standingRefusal } from "../../session/room-standing.ts";
import { unpackStub } from "../../session/room-stub.ts";
import { hashOfPicture, unpackRoom } from "../../session/saved-room.ts";
import type { Sessions } from "../../session/sessions.ts";
import type { Checkpoint, Storage } from "../../storage/storage.ts";
import { ExportError } from "./export-error.ts";
import type { ExportHeader, ExportRecord } from "./export-record.ts";
import { entriesOfRoom, type RoomEntries } from "./room-entries.ts";

export interface ExportSource {
  readonly sessions: Sessions;
  readonly engine: Pick<GroupEngine, "barrier" | "log" | "appliedIndex">;
  readonly storage: Pick<Storage, "readCheckpoints">;
  /** Of the header: what the node knows. */
  readonly about: Pick<ExportHeader, "clusterId" | "nodeId" | "takenAtMs" | "engine" | "testudo">;
}

/** The log is cut behind newer checkpoints at times; so often in a row it is not. */
const triesMax = 10;
const checkpointBytesMax = 8 << 20;
const bundleBytesMax = 1 << 20;
const bundleEntriesMax = 4_096;

/** Everything of one moment. */
interface Moment {
  readonly log: readonly Entry[];
  /** Where that begins. */
  readonly levelBefore: number;
  readonly lastIndex: number;
  readonly replica: RoomReplica | undefined;
  readonly checkpoint: Checkpoint | null;
  readonly hash: string | null;
}

/**
 * One room's history, while it lives and goes on: from its creation, if the log still reaches back to it, else from its
 * last checkpoint; up to what is applied here once everything that was acknowledged before the call is.
 * @throws {ExportError}
 */
export async function takeExport(
  source: ExportSource,
  roomId: string,
): Promise<AsyncGenerator<ExportRecord>> {
  const { sessions, engine, about } = source;
  const group = sessions.groupOf(roomId);
  if (group === null) throw unknownRoom(roomId);
  await engine.barrier(group);
  const { moment, found } = await lookedUp(source, { group, roomId });
  const { replica, checkpoint } = moment;
  if (replica === undefined && !found.isNamed) throw unknownRoom(roomId);
  if (replica === undefined && found.creation === null) throw historyGone(roomId);
  if (replica === undefined && found.isSwitched) throw switched(roomId, "it has ended");
  const from = checkpoint?.index ?? (replica?.birth.index ?? found.creation?.index ?? 0) - 1;
  const entries = found.entries.filter(({ index }) => index > from);
  const header: ExportHeader = {
    type: "room",
    roomId,
    roomName: replica?.birth.roomName ?? found.creation?.roomName ?? "",
    ...about,
    code: replica?.birth.code ?? found.creation?.code ?? "",
    group,
    completeFrom: checkpoint === null ? "creation" : "checkpoint",
    firstIndex: from + 1,
    lastIndex: found.endedAt ?? moment.lastIndex,
    entries: entries.length,
    ended: replica === undefined,
    hash: moment.hash,
  };
  return records(header, checkpoint, entries);
}

/** A replay has one code: of a room that has gone on under other code it begins with the checkpoint under that. */
async function lookedUp(
  source: ExportSource,
  room: { readonly group: number; readonly roomId: string },
): Promise<{ readonly moment: Moment; readonly found: RoomEntries }> {
  const moment = await momentOf(source, { ...room, mayBeWhole: true });
  const found = await entriesOfRoom(moment.log, room.roomId, moment.levelBefore);
  const code = moment.replica?.birth.code;
  if (code === undefined || moment.checkpoint !== null || found.creation?.code === code)
    return { moment, found };
  const since = await momentOf(source, { ...room, mayBeWhole: false });
  return { moment: since, found: await entriesOfRoom(since.log, room.roomId, since.levelBefore) };
}

async function* records(
  header: ExportHeader,
  checkpoint: Checkpoint | null,
  entries: readonly AppliedCommand[],
): AsyncGenerator<ExportRecord> {
  yield header;
  if (checkpoint !== null) yield { type: "checkpoint", ...checkpoint };
  for (const bundle of bundles(entries)) yield { type: "entries", entries: bundle };
  yield { type: "end" };
}

function* bundles(entries: readonly AppliedCommand[]): Generator<readonly AppliedCommand[]> {
  let bundle: AppliedCommand[] = [];
  let bytes = 0;
  for (const entry of entries) {
    bundle.push(entry);
    bytes += entry.command.length;
    if (bundle.length < bundleEntriesMax && bytes < bundleBytesMax) continue;
    yield bundle;
    bundle = [];
    bytes = 0;
  }
  if (bundle.length > 0) yield bundle;
}

async function momentOf(
  source: ExportSource,
  {
    group,
    roomId,
    mayBeWhole,
  }: { readonly group: number; readonly roomId: string; readonly mayBeWhole: boolean },
): Promise<Moment> {
  const { sessions, engine, storage } = source;
  const machine = sessions.machines[group];
  let checkpoint: Checkpoint | null = null;
  for (let tries = 0; tries < triesMax; tries++) {
    // From here to the return nothing is applied meanwhile.
    const standing = machine?.standing(roomId);
    if (standing !== undefined)
      throw new ExportError(
        "ROOM_STANDS_STILL",
        `${standingRefusal(roomId, standing).message}; ask another node: --url`,
      );
    const { base } = engine.log(group);
    const replica = machine?.rooms.get(roomId);
    const isWhole = replica === undefined || (mayBeWhole && replica.birth.index > base.index);
    const after = isWhole ? base.index : (checkpoint?.index ?? -1);
    const log = engine.log(group).committedSince(after);
    if (log !== null) {
      const lastIndex = engine.appliedIndex(group);
      const applied = log.filter(({ index }) => index <= lastIndex);
      return {
        log: applied,
        levelBefore: engine.log(group).configurationAt(after).level,
        lastIndex,
        replica,
        checkpoint: isWhole ? null : checkpoint,
        hash: replica === undefined ? null : hashNow(replica),
      };
    }
    const read = await storage.readCheckpoints(group, { keys: [roomId], bytesMax: checkpointBytesMax });
    checkpoint = read.get(roomId) ?? null;
    if (checkpoint !== null && unpackStub(checkpoint.bytes) !== null) throw historyGone(roomId);
    const savedUnder = checkpoint === null ? null : unpackRoom(checkpoint.bytes).birth.code;
    if (savedUnder === null ? !mayBeWhole : savedUnder !== replica?.birth.code)
      throw switched(roomId, "it has not been saved under that yet");
  }
  throw new ExportError(
    "EXPORT_OUTRUN",
    `the log of room ${roomId} is cut faster than it is read: try again`,
  );
}

/** Null: it holds what cannot be saved. */
function hashNow(replica: RoomReplica): string | null {
  try {
    return hashOfPicture(replica.picture());
  } catch (error) {
    if (error instanceof GraphError) return null;
    throw error;
  }
}

function unknownRoom(roomId: string): ExportError {
  const gone = "or it has ended, and the log no longer reaches back to it (--log-history-bytes keeps more)";
  return new ExportError("ROOM_NOT_FOUND", `there is no room ${roomId}, ${gone}`);
}

function switched(roomId: string, what: string): ExportError {
  const why = "a replay has one code, and the room has gone on under other code";
  return new ExportError("HISTORY_GONE", `room ${roomId}: ${why}; ${what}`);
}

function historyGone(roomId: string): ExportError {
  const what = "the log no longer reaches back to its creation, and there is no checkpoint of it";
  return new ExportError("HISTORY_GONE", `room ${roomId}: ${what} (--log-history-bytes keeps more)`);
}
