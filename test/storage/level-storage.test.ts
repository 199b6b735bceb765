import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Level } from "level";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodePack, PackEncoder } from "../../server/storage/entry-pack.ts";
import {
  baseKey,
  checkpointKey,
  hardStateKey,
  identityKey,
  packKey,
  stateKey,
} from "../../server/storage/key.ts";
import { readersWaitingMax } from "../../server/storage/level-storage.ts";
import { digestOf } from "../../server/storage/live-keys.ts";
import {
  decodeIdentity,
  encodeHardState,
  encodeIdentity,
  encodeState,
  type IdentityRecord,
  storageFormatVersion,
} from "../../server/storage/record.ts";
import { SaveMark } from "../../server/storage/save-mark.ts";
import type { GroupContents } from "../../server/storage/storage.ts";
import { storageLimits } from "../../server/storage/storage-limits.ts";
import { storageContract } from "./contract.ts";
import { levelDisk, levelStorage, temporaryFolder } from "./level-disk.ts";
import { base, checkpoint, entries, entry, hardState, one } from "./saves.ts";

storageContract("LevelStorage", levelDisk);

const test = suite("LevelStorage");
type Database = Level<Uint8Array, Uint8Array>;
const savingProcess = fileURLToPath(new URL("saving-process.ts", import.meta.url));

function inFolder(title: string, body: (location: string) => Promise<void>): void {
  test(title, async () => {
    const folder = await temporaryFolder();
    try {
      await body(join(folder, "data"));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

/** Changes a closed store behind its back, by the database's own means: every checksum of LevelDB's is right. */
async function meddle(location: string, change: (database: Database) => Promise<unknown>): Promise<void> {
  const database: Database = new Level(location, {
    keyEncoding: "view",
    valueEncoding: "view",
    compression: false,
  });
  await database.open();
  await change(database);
  await database.close();
}

async function refusal(location: string): Promise<{ code: string; message: string }> {
  const storage = levelStorage(location);
  try {
    await storage.open();
  } catch (error) {
    return error as Error & { code: string };
  }
  await storage.close();
  return { code: "none", message: "it was opened" };
}

/** Group 0 with packs [1..3], [4..6], [7..9], a base at 0 and two checkpoints. */
async function filled(location: string): Promise<void> {
  const storage = levelStorage(location);
  await storage.open();
  const checkpoints = new Map([
    ["r1", checkpoint(3, 1)],
    ["r2", checkpoint(3, 2)],
  ]);
  await storage.save(one({ hardState: hardState(1), base: base(0, 0), entries: entries(1, 3), checkpoints }));
  await storage.save(one({ entries: entries(4, 6) }));
  await storage.save(one({ hardState: hardState(1, 5), entries: entries(7, 9) }));
  await storage.close();
}

async function assertMeddlingIsSeen(
  location: string,
  change: (database: Database) => Promise<unknown>,
  message: RegExp,
): Promise<void> {
  await filled(location);
  await meddle(location, change);
  const error = await refusal(location);
  assert.is(error.code, "STORAGE_CORRUPT", error.message);
  assert.match(error.message, message);
}

const meddlings: readonly (readonly [string, (database: Database) => Promise<unknown>, RegExp])[] = [
  ["a pack missing in the middle", (db) => db.del(packKey(0, 4)), /group 0, index 4: missing, up to 6/],
  ["the first pack missing", (db) => db.del(packKey(0, 1)), /group 0, index 1: missing, up to 3/],
  ["the last pack missing", (db) => db.del(packKey(0, 7)), /\d+ values with digest/],
  [
    "packs missing below the commit index",
    (db) => db.batch().del(packKey(0, 4)).del(packKey(0, 7)).write(),
    /committed up to 5/,
  ],
  [
    "two packs that overlap",
    async (db) => db.put(packKey(0, 6), packOf(6, 6)),
    /group 0, index 6: two packs overlap/,
  ],
  [
    "a pack under another index",
    async (db) => db.put(packKey(0, 10), packOf(7, 9)),
    /group 0, index 10: the entry of index 7/,
  ],
  [
    "a pack of another group",
    async (db) => db.put(packKey(1, 1), packOf(1, 1)),
    /group 1, index 1: the entry's checksum/,
  ],
  [
    "an older hard state",
    (db) => db.put(hardStateKey(0), encodeHardState(hardState(1))),
    /values with digest/,
  ],
  [
    "a hard state missing",
    (db) => db.del(hardStateKey(0)),
    /index 9: term 1, but the hard state is of term 0/,
  ],
  ["a base missing", (db) => db.del(baseKey(0)), /values with digest/],
  ["a checkpoint missing", (db) => db.del(checkpointKey(0, { slot: 0, key: "r1" })), /values with digest/],
  ["a key of no kind", (db) => db.put(Uint8Array.of(9, 9), Uint8Array.of(1)), /the key 0909 is none/],
  ["the identity missing", (db) => db.del(identityKey), /identity record is missing/],
  ["the state record missing", (db) => db.del(stateKey), /state record is missing/],
  ["everything gone", (db) => db.clear(), /saves were acknowledged in .*, but only 0 are there/],
];
for (const [what, change, message] of meddlings) {
  inFolder(`[S13] ${what}: the open refuses, and says where`, (location) =>
    assertMeddlingIsSeen(location, change, message),
  );
}

function packOf(first: number, last: number): Uint8Array {
  return new PackEncoder().encode({ group: 0, entries: entries(first, last), from: 0 }).value;
}

test("[S14] any byte of a pack changed is noticed, and at the right entry", () => {
  const value = Uint8Array.from(packOf(4, 6));
  const whole = decodePack({ group: 0, firstIndex: 4, value });
  assert.equal(whole, { type: "good", entries: entries(4, 6) });
  const entryBytes = (value.length - 4) / 3;
  for (let at = 0; at < value.length; at++) {
    for (const by of [1, 0x80, 0xff]) {
      value[at] = (value[at] as number) ^ by;
      const found = decodePack({ group: 0, firstIndex: 4, value });
      assert.is(found.type, "bad", `byte ${at}`);
      if (found.type === "bad" && at >= 4)
        assert.is(found.index, 4 + Math.floor((at - 4) / entryBytes), `byte ${at}`);
      value[at] = (value[at] as number) ^ by;
    }
  }
  for (let length = 0; length < value.length; length++) {
    assert.is(decodePack({ group: 0, firstIndex: 4, value: value.subarray(0, length) }).type, "bad");
  }
});

for (const [what, key] of [
  ["hard state", hardStateKey(0)],
  ["base", baseKey(0)],
  ["checkpoint", checkpointKey(0, { slot: 0, key: "r1" })],
  ["identity", identityKey],
  ["state", stateKey],
] as const) {
  inFolder(`[S14] a byte of the ${what} record changed is noticed`, async (location) => {
    const change = async (database: Database) => {
      const value = Uint8Array.from((await database.get(key)) as Uint8Array);
      value[9] = (value[9] as number) ^ 4;
      await database.put(key, value);
    };
    await assertMeddlingIsSeen(location, change, /checksum is wrong/);
  });
}

inFolder(
  "[S7] a cut and a base delete packs: what is stored is what counts, and no more",
  async (location) => {
    await filled(location);
    const storage = levelStorage(location);
    await storage.open();
    await storage.save(one({ base: base(4) }));
    await storage.save(one({ hardState: hardState(2, 5), entries: [entry(8, 2)] }));
    await storage.close();
    const firstIndexes: number[] = [];
    await meddle(location, async (database) => {
      for await (const key of database.keys({ gte: packKey(0, 1), lt: packKey(0, 1000) }))
        firstIndexes.push(key.at(-1) as number);
    });
    assert.equal(firstIndexes, [4, 7, 8]);
  },
);

inFolder("[S6] a pack is closed at its limit", async (location) => {
  const storage = levelStorage(location);
  await storage.open();
  const data = new Uint8Array(storageLimits.packBytesMax / 2).fill(1);
  const large = new Uint8Array(storageLimits.packBytesMax * 2).fill(2);
  const made = entries(1, 4).map((each) => ({ ...each, data: each.index === 3 ? large : data }));
  await storage.save(one({ hardState: hardState(1), entries: made }));
  await storage.close();
  let packs = 0;
  await meddle(location, async (database) => {
    for await (const _ of database.keys({ gte: packKey(0, 1), lt: packKey(0, 1000) })) packs++;
  });
  assert.is(packs, 4);
  const { groups } = await storage.open();
  assert.is(groups.get(0)?.entries[2]?.data.length, large.length);
  await storage.close();
});

inFolder("[S2] a folder of another format is refused, with both versions", async (location) => {
  await filled(location);
  await meddle(location, async (database) => {
    const own = decodeIdentity((await database.get(identityKey)) as Uint8Array) as IdentityRecord;
    const identity = encodeIdentity({ ...own, formatVersion: storageFormatVersion + 1 });
    await database.put(identityKey, identity);
    let [keys, digest] = [0, 0];
    for await (const [key, value] of database.iterator()) {
      if (key[0] === 0 && key[1] === 2) continue;
      keys++;
      digest = (digest ^ digestOf(key, value)) >>> 0;
    }
    await database.put(stateKey, encodeState({ saveSequence: 100, keys, digest }));
  });
  const error = await refusal(location);
  assert.is(error.code, "STORAGE_VERSION");
  assert.match(
    error.message,
    `has format ${storageFormatVersion + 1}, this release reads format ${storageFormatVersion}`,
  );
});

inFolder("[S2] a database that is not Testudo's is refused and left alone", async (location) => {
  await mkdir(location, { recursive: true });
  await meddle(location, (database) => database.put(Uint8Array.of(1), Uint8Array.of(2)));
  const error = await refusal(location);
  assert.is(error.code, "STORAGE_CORRUPT");
  assert.match(error.message, /was not made by Testudo/);
  await meddle(location, async (database) =>
    assert.equal([...((await database.get(Uint8Array.of(1))) as Uint8Array)], [2]),
  );
});

inFolder("[S1] a first open that a crash cut short is begun again", async (location) => {
  await mkdir(location, { recursive: true });
  await SaveMark.create(join(location, "ACKNOWLEDGED"));
  const storage = levelStorage(location);
  assert.is((await storage.open()).identity.bootCount, 1);
  await storage.close();
  await rm(location, { recursive: true });
  await mkdir(location);
  await SaveMark.create(join(location, "ACKNOWLEDGED"));
  await meddle(location, async () => undefined);
  assert.is((await storage.open()).identity.bootCount, 1);
  await storage.close();
});

test("[S1] options are checked: a node's id has 1 to 128 bytes, a location is not empty", () => {
  assert.throws(() => levelStorage(""), /location/);
  assert.throws(() => levelStorage("x", ""), /nodeId.*1 to 128/);
  assert.throws(() => levelStorage("x", "n".repeat(129)), /nodeId.*1 to 128/);
});

inFolder("[S10] no more readers wait for a save than are allowed", async (location) => {
  const storage = levelStorage(location);
  await storage.open();
  const saving = storage.save(one({ checkpoints: new Map([["r", checkpoint(1, 1)]]) }));
  const reads = Array.from({ length: readersWaitingMax }, () => storage.listCheckpoints(0));
  assert.throws(() => storage.listCheckpoints(0), /more than 1024 readers/);
  await saving;
  for (const read of await Promise.all(reads)) assert.is(read.size, 1);
  await storage.close();
});

/** Starts the process that saves without end; `lines` grows. */
function startSaving(
  location: string,
  { entriesEach, fileKiBMax }: { entriesEach: number; fileKiBMax?: number },
): { child: ChildProcess; lines: string[]; ended: Promise<unknown> } {
  const limit = fileKiBMax === undefined ? "" : `ulimit -f ${fileKiBMax}; `;
  const args = [
    "-c",
    `${limit}exec "$0" "$@"`,
    process.execPath,
    savingProcess,
    location,
    String(entriesEach),
  ];
  const child = spawn("bash", args, { stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() as string;
    lines.push(...parts);
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  return { child, lines, ended };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function contentsAfter(location: string): Promise<{ saved: number; group: GroupContents }> {
  const storage = levelStorage(location);
  const group = (await storage.open()).groups.get(0) as GroupContents;
  await storage.close();
  return { saved: group.checkpoints.get("room")?.index ?? 0, group };
}

inFolder(
  "[S3] a folder that another process has open is refused as locked; kill -9 lets it go, and nothing acknowledged is lost",
  async (location) => {
    for (let kill = 1; kill <= 3; kill++) {
      const { child, lines, ended } = startSaving(location, { entriesEach: 3 });
      await until(() => lines.length >= 20 * kill);
      const error = await refusal(location);
      assert.is(error.code, "STORAGE_LOCKED", error.message);
      child.kill("SIGKILL");
      await ended;
      const acknowledged = Number((lines.at(-1) as string).split(" ")[1]);
      const { saved, group } = await contentsAfter(location);
      assert.ok(
        saved === acknowledged || saved === acknowledged + 1,
        `${acknowledged} acknowledged, ${saved} there`,
      );
      assert.equal(group.entries, entries(group.base.index + 1, saved * 3));
    }
  },
);

inFolder(
  "[S15] a disk that is full: the save is refused, so is every later one, and what was acknowledged is there",
  async (location) => {
    const { lines, ended } = startSaving(location, { entriesEach: 20, fileKiBMax: 200 });
    await ended;
    assert.is(lines.at(-1), "failed STORAGE_FAILED STORAGE_FAILED");
    const acknowledged = Number((lines.at(-2) as string).split(" ")[1]);
    assert.ok(acknowledged > 10);
    const { saved, group } = await contentsAfter(location);
    assert.is(saved, acknowledged);
    assert.equal(group.entries, entries(group.base.index + 1, saved * 20));
  },
);

test.run();
