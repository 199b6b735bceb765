import { randomBytes } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeBackup, encodeBackup } from "../../../server/cluster/backup/backup-file.ts";
import type { BackupRecord } from "../../../server/cluster/backup/backup-record.ts";
import { folderSource } from "../../../server/cluster/backup/backup-sources.ts";
import { restoreBackup } from "../../../server/cluster/backup/restore-backup.ts";
import { type BackupSource, takeBackup } from "../../../server/cluster/backup/take-backup.ts";
import { emptyConfiguration } from "../../../server/raft/configuration.ts";
import { decodeConfiguration, encodeConfiguration } from "../../../server/raft/configuration-codec.ts";
import type { Entry } from "../../../server/raft/entry.ts";
import { MemoryDisk, MemoryStorage } from "../../../server/storage/memory-storage.ts";
import { base, checkpoint, entries, hardState } from "../../storage/saves.ts";

const test = suite("backups");

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = [];
  for await (const item of items) gathered.push(item);
  return gathered;
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function failure(promise: Promise<unknown>): Promise<{ code?: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    return error as { code?: string; message: string };
  }
  return assert.unreachable("it was to fail") as never;
}

const records: readonly BackupRecord[] = [
  {
    type: "backup",
    clusterId: "c1",
    nodeId: "n1",
    groups: 2,
    takenAtMs: 1_700_000_000_000,
    foundingLevel: 1,
    level: 1,
  },
  { type: "group", group: 0, base: base(2) },
  { type: "part", group: 0, key: "", ...checkpoint(2, 1, 2, 3) },
  { type: "part", group: 0, key: "room", ...checkpoint(4, 9) },
  { type: "entries", group: 0, entries: entries(3, 5) },
  { type: "group", group: 1, base: base(0, 0) },
  { type: "end" },
];

const storageOn = (disk: MemoryDisk) => new MemoryStorage({ disk, nodeId: "n1", random: randomBytes });
const restore = (disk: MemoryDisk, from: AsyncIterable<BackupRecord>) =>
  restoreBackup(from, { storage: storageOn(disk), newClusterId: () => "c2" });

test("[B1] a file gives back what was written, however its bytes come", async () => {
  const bytes = Buffer.concat(await all(encodeBackup(each(records))));
  for (const size of [1, 7, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    const read = await all(decodeBackup(each(chunks)));
    assert.is(JSON.stringify(read), JSON.stringify(await all(decodeBackup(each([bytes])))));
    assert.is(read.length, records.length);
  }
});

test("[B1] every byte that is changed, every cut, and anything behind the end is found", async () => {
  const bytes = Buffer.concat(await all(encodeBackup(each(records))));
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 0x40;
    assert.match(
      (await failure(all(decodeBackup(each([changed]))))).code ?? "",
      /BACKUP_(DAMAGED|FOREIGN)/,
      `byte ${at}`,
    );
    const cut = await failure(all(decodeBackup(each([bytes.subarray(0, at)]))));
    assert.match(cut.code ?? "", /BACKUP_(DAMAGED|FOREIGN)/, `cut at ${at}`);
  }
  const more = await failure(all(decodeBackup(each([bytes, Buffer.from("x")]))));
  assert.match(more.message, /behind its end/);
});

test("[B2] a restored folder is a new cluster of one node, with everything that the backup has", async () => {
  const disk = new MemoryDisk();
  const change: Entry = {
    ...(entries(6, 6)[0] as Entry),
    type: "configuration",
    data: encodeConfiguration({ ...emptyConfiguration, voters: [{ nodeId: "n9", storeId: "old" }] }),
  };
  const given = [
    ...records.slice(0, 5),
    { type: "entries", group: 0, entries: [change] } as const,
    ...records.slice(5),
  ];
  const restored = await restore(disk, each(given));
  assert.equal([restored.clusterId, restored.groups, restored.parts, restored.entries], ["c2", 2, 2, 4]);
  const storage = storageOn(disk);
  const { identity, groups } = await storage.open();
  const self = { nodeId: "n1", storeId: identity.storeId };
  assert.equal(identity.founding, { clusterId: "c2", members: [self], addresses: [], groups: 2, level: 1 });
  const first = groups.get(0);
  assert.equal(first?.base, { ...base(2), configuration: { ...emptyConfiguration, voters: [self] } });
  assert.equal(
    first?.entries.map(({ index, type }) => [index, type]),
    [
      [3, "command"],
      [4, "command"],
      [5, "command"],
      [6, "noop"],
    ],
  );
  assert.is(first?.hardState.commitIndex, 6);
  assert.equal([...(first?.checkpoints.keys() ?? [])].sort(), ["", "room"]);
  assert.equal(groups.get(1)?.base.configuration.voters, [self]);
});

test("[B2] what does not fit together is refused, and no cluster is made of it", async () => {
  const without = (at: number) => records.filter((_, position) => position !== at);
  for (const [given, told] of [
    [without(1), /group 0 was not begun/],
    [without(4), /the part "room" is at 4, past the log's end, 2/],
    [without(5), /1 of 2 groups are there/],
    [without(6), /groups are there/],
    [
      [...records.slice(0, 5), { ...records[4], entries: entries(7, 8) }, ...records.slice(5)],
      /entries after 5 are missing/,
    ],
  ] as const) {
    const disk = new MemoryDisk();
    const error = await failure(restore(disk, each(given as readonly BackupRecord[])));
    assert.is(error.code, "BACKUP_DAMAGED");
    assert.match(error.message, told);
    const storage = storageOn(disk);
    assert.is((await storage.open()).identity.founding, null);
  }
});

test("[V27] a restored group agrees on what the old one had, at the same entries; what was agreed on later than the base, too", async () => {
  const raised = (index: number, level: number): Entry => ({
    ...(entries(index, index)[0] as Entry),
    type: "configuration",
    data: encodeConfiguration({ ...emptyConfiguration, voters: [{ nodeId: "n9", storeId: "old" }], level }),
  });
  const given: readonly BackupRecord[] = [
    { ...(records[0] as Extract<BackupRecord, { type: "backup" }>), groups: 1 },
    ...records.slice(1, 5),
    { type: "entries", group: 0, entries: [raised(6, 2), raised(7, 2), ...entries(8, 8)] },
    { type: "end" },
  ];
  const disk = new MemoryDisk();
  const levels = { min: 1, max: 2 };
  await restoreBackup(each(given), {
    storage: new MemoryStorage({ disk, nodeId: "n1", random: randomBytes, levels }),
    newClusterId: () => "c2",
    levels,
  });
  const storage = new MemoryStorage({ disk, nodeId: "n1", random: randomBytes, levels });
  const { identity, groups } = await storage.open();
  assert.equal([identity.level, identity.founding?.level], [2, 1]);
  const restored = groups.get(0);
  assert.is(restored?.base.configuration.level, 1);
  const [first, second] = restored?.entries.filter(({ index }) => index === 6 || index === 7) ?? [];
  assert.is(second?.type, "noop", "only what changes the level");
  const self = { nodeId: "n1", storeId: identity.storeId };
  assert.equal(decodeConfiguration(first?.data as Uint8Array), {
    ...emptyConfiguration,
    voters: [self],
    level: 2,
  });
  // An older version refuses it, wherever it finds that.
  const [head, ...rest] = given;
  for (const from of [given, [{ ...head, level: 2 }, ...rest] as readonly BackupRecord[]]) {
    const blank = new MemoryDisk();
    const error = await failure(restore(blank, each(from)));
    assert.is(error.code, "LEVEL_UNKNOWN");
    assert.match(
      error.message,
      /backup.* needs level 2, this version of Testudo knows 1 to 1: start a newer version/,
    );
    assert.is((await storageOn(blank).open()).identity.founding, null);
  }
});

test("[B3] a group whose log is cut while it is read is begun anew; again and again, it is told", async () => {
  let cuts = 2;
  const source: BackupSource = {
    clusterId: "c1",
    nodeId: "n1",
    groups: 1,
    takenAtMs: 0,
    foundingLevel: 1,
    level: 1,
    caughtUp: async () => {},
    base: () => base(2),
    listCheckpoints: async () => new Map([["room", { index: 4, sizeBytes: 1 }]]),
    readCheckpoints: async () => new Map([["room", checkpoint(4, 9)]]),
    entriesSince: () => (cuts-- > 0 ? null : entries(3, 5)),
  };
  const disk = new MemoryDisk();
  const restored = await restore(disk, takeBackup(source));
  assert.equal([restored.parts, restored.entries], [1, 3]);
  cuts = Number.POSITIVE_INFINITY;
  assert.is((await failure(all(takeBackup(source)))).code, "BACKUP_OUTRUN");
});

test("[B4] a survivor's folder becomes a new cluster with its whole log; one that was never in a cluster has nothing", async () => {
  const disk = new MemoryDisk();
  const storage = storageOn(disk);
  const blank = await storage.open();
  assert.throws(() => folderSource(storage, blank, 0), /never part of a cluster/);
  const founding = {
    clusterId: "c1",
    members: [{ nodeId: "n1", storeId: "s1" }],
    addresses: [],
    groups: 2,
    level: 1,
  };
  const save = { base: base(0, 0), hardState: hardState(1, 1), entries: entries(1, 3) };
  await storage.save({
    founding,
    groups: new Map([[0, { ...save, checkpoints: new Map([["", checkpoint(1, 7)]]) }]]),
  });
  await storage.close();
  const opened = await storage.open();
  const made = new MemoryDisk();
  const restored = await restore(made, takeBackup(folderSource(storage, opened, 0)));
  assert.equal([restored.groups, restored.parts, restored.entries], [2, 1, 3]);
});

test.run();
