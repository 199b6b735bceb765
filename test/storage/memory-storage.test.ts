import { randomBytes } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MemoryDisk, MemoryStorage } from "../../server/storage/memory-storage.ts";
import { storageContract } from "./contract.ts";
import { base, entries, hardState, one } from "./saves.ts";

storageContract("MemoryStorage", async () => {
  const disk = new MemoryDisk();
  const complete = (done: () => void) => setImmediate(done);
  return {
    storage: (nodeId = "a", options = { firstBootCount: 1 }) =>
      new MemoryStorage({ disk, nodeId, random: randomBytes, complete, ...options }),
    destroy: async () => undefined,
  };
});

const test = suite("MemoryStorage");
const started = one({ hardState: hardState(1), base: base(0, 0), entries: entries(1, 3) });

/** A storage whose saves finish when `finish` is called. */
function held(disk: MemoryDisk): { storage: MemoryStorage; finish: () => void } {
  const waiting: (() => void)[] = [];
  const storage = new MemoryStorage({
    disk,
    nodeId: "a",
    random: randomBytes,
    complete: (done) => waiting.push(done),
  });
  return { storage, finish: () => waiting.shift()?.() };
}

async function entriesOn(disk: MemoryDisk): Promise<number> {
  const { storage } = held(disk);
  const { groups } = await storage.open();
  await storage.close();
  return groups.get(0)?.entries.length ?? 0;
}

test("[S11] a save is durable, and acknowledged, when its scheduler says so", async () => {
  const disk = new MemoryDisk();
  const { storage, finish } = held(disk);
  await storage.open();
  let isSaved = false;
  const saving = storage.save(started).then(() => {
    isSaved = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(isSaved, false);
  assert.is(disk.isSaving, true);
  assert.is((await storage.listCheckpoints(0)).size, 0);
  finish();
  await saving;
  assert.is(disk.isSaving, false);
});

for (const keepUnfinished of [true, false]) {
  test(`[S16] a crash with a save in flight leaves it ${keepUnfinished ? "whole" : "out"}, and its promise for ever`, async () => {
    const disk = new MemoryDisk();
    const { storage, finish } = held(disk);
    await storage.open();
    let hasSettled = false;
    const settle = () => {
      hasSettled = true;
    };
    storage.save(started).then(settle, settle);
    disk.crash({ keepUnfinished });
    assert.is(await entriesOn(disk), keepUnfinished ? 3 : 0);
    finish();
    await new Promise((resolve) => setImmediate(resolve));
    assert.is(hasSettled, false);
    assert.is(await entriesOn(disk), keepUnfinished ? 3 : 0);
  });

  test(`[S15] a failed save is ${keepUnfinished ? "whole" : "not"} on the disk, and refuses every later one`, async () => {
    const disk = new MemoryDisk();
    const { storage, finish } = held(disk);
    await storage.open();
    disk.failSave({ error: new Error("no space left"), keepUnfinished });
    const errors: { code: string; message: string }[] = [];
    const saving = storage.save(started).catch((error) => errors.push(error));
    finish();
    await saving;
    await storage.save(one({ hardState: hardState(2) })).catch((error) => errors.push(error));
    await storage.listCheckpoints(0).catch((error) => errors.push(error));
    assert.equal(
      errors.map(({ code }) => code),
      ["STORAGE_FAILED", "STORAGE_FAILED", "STORAGE_FAILED"],
    );
    assert.match(errors[0]?.message ?? "", /no space left/);
    await storage.close();
    assert.is(await entriesOn(disk), keepUnfinished ? 3 : 0);
  });
}

test("[S16] a storage whose process crashed cannot touch the disk of the next one", async () => {
  const disk = new MemoryDisk();
  const dead = held(disk).storage;
  await dead.open();
  disk.crash({ keepUnfinished: false });
  const alive = held(disk);
  assert.is((await alive.storage.open()).identity.bootCount, 2);
  let message = "";
  await dead.save(started).catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, /the disk is another's/);
  await dead.close();
  const saving = alive.storage.save(started);
  alive.finish();
  await saving;
  await alive.storage.close();
  assert.is(await entriesOn(disk), 3);
});

test.run();
