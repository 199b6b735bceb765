import * as assert from "uvu/assert";
import type { Base, Entry, HardState } from "../../server/raft/entry.ts";
import type {
  Checkpoint,
  GroupContents,
  GroupSave,
  SaveBatch,
  Storage,
} from "../../server/storage/storage.ts";

export function entry(index: number, term = 1, text = `entry ${index} of term ${term}`): Entry {
  const data = new TextEncoder().encode(text);
  return { index, term, type: "command", logTimeMs: index * 10, wallTimeMs: 1_700_000_000_000 + index, data };
}

export function entries(first: number, last: number, term = 1): Entry[] {
  const made: Entry[] = [];
  for (let index = first; index <= last; index++) made.push(entry(index, term));
  return made;
}

export function hardState(term: number, commitIndex = 0): HardState {
  return { term, votedFor: { nodeId: "a", storeId: "00000000000000aa" }, commitIndex };
}

export function base(index: number, term = 1): Base {
  const member = { nodeId: "a", storeId: "00000000000000aa" };
  const configuration = {
    voters: [member],
    votersOutgoing: [],
    learners: [{ nodeId: "b", storeId: "00000000000000bb" }],
    nextVoters: [{ nodeId: "b", storeId: "00000000000000bb" }],
    addresses: [{ nodeId: "b", url: "ws://10.0.0.2:2667" }],
    level: 1,
  };
  return { index, term, logTimeMs: index * 10, wallTimeMs: 1_700_000_000_000 + index, configuration };
}

export function checkpoint(index: number, ...bytes: number[]): Checkpoint {
  return { index, bytes: Uint8Array.from(bytes) };
}

export function one(save: GroupSave, group = 0): SaveBatch {
  return { groups: new Map([[group, save]]) };
}

/** Every checkpoint of a group, by one read. */
export async function readAll(storage: Storage, group = 0): Promise<ReadonlyMap<string, Checkpoint | null>> {
  const keys = [...(await storage.listCheckpoints(group)).keys()];
  return storage.readCheckpoints(group, { keys, bytesMax: Number.POSITIVE_INFINITY });
}

/** What an open gives of a group, with its checkpoints read. */
export interface ReadContents extends Omit<GroupContents, "checkpoints"> {
  readonly checkpoints: ReadonlyMap<string, Checkpoint>;
}

/** What the open gave, and what can be read, agree. */
export async function readContents(
  storage: Storage,
  groups: ReadonlyMap<number, GroupContents>,
): Promise<Map<number, ReadContents>> {
  const all = new Map<number, ReadContents>();
  for (const [group, contents] of groups) {
    assert.equal(await storage.listCheckpoints(group), contents.checkpoints);
    const checkpoints = new Map<string, Checkpoint>();
    for (const [key, checkpoint] of await readAll(storage, group)) {
      assert.ok(checkpoint !== null);
      const { index, bytes } = checkpoint;
      assert.equal(contents.checkpoints.get(key), { index, sizeBytes: bytes.length });
      checkpoints.set(key, checkpoint);
    }
    all.set(group, { ...contents, checkpoints });
  }
  return all;
}

/** The first save of a group: three entries. */
export const started: GroupSave = { hardState: hardState(1), base: base(0, 0), entries: entries(1, 3) };
