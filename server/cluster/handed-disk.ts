import assert from "node:assert/strict";
import { type MemoryDisk, MemoryStorage } from "../storage/memory-storage.ts";
import type { Checkpoint, GroupContents, Identity } from "../storage/storage.ts";

/** All that a node in memory has, as one process hands it to the next: plain data and bytes. */
export interface HandedDisk {
  readonly identity: Identity;
  readonly groups: ReadonlyMap<number, HandedGroup>;
}

export interface HandedGroup extends Pick<GroupContents, "hardState" | "base" | "entries"> {
  readonly checkpoints: ReadonlyMap<string, Checkpoint>;
}

/** Of a disk whose process uses it no more. */
export async function readDisk(disk: MemoryDisk, nodeId: string): Promise<HandedDisk> {
  const storage = new MemoryStorage({ disk, nodeId, random: () => assert.fail("the disk has a store") });
  const { identity, groups: stored } = await storage.open();
  const groups = new Map<number, HandedGroup>();
  for (const [group, { hardState, base, entries, checkpoints: marks }] of stored) {
    const read = await storage.readCheckpoints(group, {
      keys: [...marks.keys()],
      bytesMax: Number.MAX_SAFE_INTEGER,
    });
    const checkpoints = new Map([...read].flatMap(([key, each]) => (each === null ? [] : [[key, each]])));
    groups.set(group, { hardState, base, entries, checkpoints });
  }
  await storage.close();
  return { identity, groups };
}

/** The same store on a disk of this process. */
export async function writeDisk({ identity, groups }: HandedDisk, disk: MemoryDisk): Promise<void> {
  const { nodeId, storeId, bootCount, founding } = identity;
  assert(founding !== null, "a node that served was founded");
  const random = () => Buffer.from(storeId, "hex");
  const storage = new MemoryStorage({ disk, nodeId, random, firstBootCount: bootCount });
  await storage.open();
  const saves = [...groups].map(([group, save]) => [group, { ...save, reset: true as const }] as const);
  await storage.save({ founding, groups: new Map(saves) });
  await storage.close();
}
