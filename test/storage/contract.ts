import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeConfiguration } from "../../server/raft/configuration-codec.ts";
import type { Checkpoint, GroupSave, SaveBatch } from "../../server/storage/storage.ts";
import { storageLimits } from "../../server/storage/storage-limits.ts";
import { baseCases, type Disk, type GroupAfter, logCases, type OnDisk } from "./contract-log.ts";
import { readOf, snapshotCases } from "./contract-snapshot.ts";
import {
  base,
  checkpoint,
  entries,
  entry,
  hardState,
  one,
  type ReadContents,
  readAll,
  readContents,
  started,
} from "./saves.ts";

const founding = {
  clusterId: "00000000000000cc",
  level: 1,
  members: [{ nodeId: "a", storeId: "00000000000000aa" }],
  addresses: [{ nodeId: "a", url: "ws://10.0.0.1:2667" }],
  groups: 4,
};

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  let rejected: Error | null = null;
  await promise.catch((error: Error) => {
    rejected = error;
  });
  assert.ok(rejected !== null, "it was to be refused");
  return rejected;
}

/** What every storage must do: test/rules-storage.md. Ends with its own run. */
export function storageContract(name: string, makeDisk: () => Promise<Disk>): void {
  const test = suite(`storage contract: ${name}`);

  /** A case with a disk of its own. */
  function onDisk(title: string, body: (disk: Disk) => Promise<void>): void {
    test(title, async () => {
      const disk = await makeDisk();
      try {
        await body(disk);
      } finally {
        await disk.destroy();
      }
    });
  }

  /** Saves one batch after the other, closes, opens again. */
  async function saved(disk: Disk, ...batches: SaveBatch[]): Promise<ReadonlyMap<number, ReadContents>> {
    const storage = disk.storage();
    await storage.open();
    for (const batch of batches) await storage.save(batch);
    await storage.close();
    return reopened(disk);
  }

  async function reopened(disk: Disk): Promise<ReadonlyMap<number, ReadContents>> {
    const storage = disk.storage();
    const { groups } = await storage.open();
    const contents = await readContents(storage, groups);
    await storage.close();
    return contents;
  }

  async function groupAfter(disk: Disk, ...saves: GroupSave[]): Promise<ReadContents> {
    const groups = await saved(disk, ...saves.map((save) => one(save)));
    return groups.get(0) as ReadContents;
  }

  function indexes(contents: ReadContents): number[] {
    return contents.entries.map(({ index }) => index);
  }

  /** Opens, starts group 0, expects the save to be refused as a programmer's error, and what was there to stay. */
  async function refused(disk: Disk, save: GroupSave, message: RegExp): Promise<void> {
    const storage = disk.storage();
    await storage.open();
    await storage.save(one(started));
    const error = await rejection(storage.save(one(save)));
    assert.is((error as { code?: string }).code, "ERR_ASSERTION");
    assert.match(error.message, message);
    await rejection(storage.save(one({ hardState: hardState(9) })));
    await storage.close();
    const contents = (await reopened(disk)).get(0) as ReadContents;
    assert.equal(contents.entries, started.entries);
    assert.equal(contents.hardState, started.hardState);
  }

  identityCases(onDisk, reopened);
  logCases(onDisk, groupAfter, indexes);
  baseCases(onDisk, groupAfter, indexes);
  checkpointCases(onDisk, groupAfter);
  snapshotCases(onDisk, groupAfter);
  batchCases(onDisk, saved, reopened);
  refusalCases(onDisk, refused);
  test.run();
}

type Reopened = (disk: Disk) => Promise<ReadonlyMap<number, ReadContents>>;

function identityCases(onDisk: OnDisk, reopened: Reopened): void {
  onDisk("[S1] a new folder gets a storeId of 16 hex digits, boot count 1 and no founding", async (disk) => {
    const storage = disk.storage();
    const { identity, groups } = await storage.open();
    assert.match(identity.storeId, /^[0-9a-f]{16}$/);
    assert.is(identity.nodeId, "a");
    assert.is(identity.bootCount, 1);
    assert.is(identity.founding, null);
    assert.is(groups.size, 0);
    await storage.close();
  });

  onDisk("[S1] the storeId stays, and each open counts one boot more", async (disk) => {
    const seen: string[] = [];
    for (let boot = 1; boot <= 4; boot++) {
      const storage = disk.storage();
      const { identity } = await storage.open();
      assert.is(identity.bootCount, boot);
      seen.push(identity.storeId);
      await storage.close();
    }
    assert.is(new Set(seen).size, 1);
  });

  onDisk("[S42] a new folder's starts count from where they are told to, and on from there", async (disk) => {
    for (const boot of [1_700_000_000_000, 1_700_000_000_001]) {
      const storage = disk.storage("a", { firstBootCount: 1_700_000_000_000 });
      assert.is((await storage.open()).identity.bootCount, boot);
      await storage.close();
    }
  });

  onDisk("[S40] each save counts one more, over all starts", async (disk) => {
    let last = 0;
    for (let boot = 1; boot <= 3; boot++) {
      const storage = disk.storage();
      await storage.open();
      const opened = storage.saves;
      assert.ok(opened > last, `${opened} after ${last}: a boot is counted by a save`);
      await storage.save({ groups: new Map() });
      await storage.save({ groups: new Map() });
      assert.is(storage.saves, opened + 2);
      last = storage.saves;
      await storage.close();
    }
  });

  onDisk("[S41] what was seen of other nodes' stores is kept, whole and the newest", async (disk) => {
    const seen = (bootCount: number) => [
      { nodeId: "b", storeId: "00000000000000bb", bootCount, saves: 2 ** 50, bootId: "b" },
      { nodeId: "c", storeId: "00000000000000cc", bootCount: 1, saves: 0, bootId: null },
    ];
    const storage = disk.storage();
    assert.equal((await storage.open()).seen, []);
    await storage.save({ groups: new Map(), seen: seen(1) });
    await storage.save({ groups: new Map(), seen: seen(2) });
    await storage.save(one(started));
    await storage.close();
    const again = disk.storage();
    assert.equal((await again.open()).seen, seen(2));
    const twice = [...seen(2), ...seen(2)];
    assert.match(
      (await rejection(again.save({ groups: new Map(), seen: twice }))).message,
      /remembered twice/,
    );
    await again.close();
  });

  onDisk(
    "[S2] another node's folder is refused, with the owner and the remedy, and is not counted as a boot",
    async (disk) => {
      const storage = disk.storage("a");
      await storage.open();
      await storage.close();
      const error = await rejection(disk.storage("b").open());
      assert.is(error.code, "STORAGE_FOREIGN");
      assert.match(error.message, /belongs to node "a", not to this node "b".*folder of its own/);
      const again = disk.storage("a");
      assert.is((await again.open()).identity.bootCount, 2);
      await again.close();
    },
  );

  onDisk(
    "[V24] a folder needs what was ever saved in it, from that very save on, and says so",
    async (disk) => {
      const knows = (max: number) => disk.storage("a", { levels: { min: 1, max } });
      const at = (level: number) => ({
        ...base(0, 0),
        configuration: { ...base(0, 0).configuration, level },
      });
      const change = {
        ...entry(1),
        type: "configuration",
        data: encodeConfiguration(at(3).configuration),
      } as const;
      const levels: number[] = [];
      for (const batch of [
        { founding: { ...founding, level: 1 }, groups: new Map() },
        one({ hardState: hardState(1), base: at(2) }),
        one({ entries: [change] }),
        // It is cut off again; what was once written may be anywhere.
        one({ entries: [entry(1)] }),
      ]) {
        const storage = knows(3);
        levels.push((await storage.open()).identity.level);
        await storage.save(batch);
        await storage.close();
      }
      const storage = knows(3);
      const { identity } = await storage.open();
      await storage.close();
      assert.equal([...levels, identity.level], [1, 1, 2, 3, 3]);
      const error = await rejection(knows(2).open());
      assert.is(error.code, "STORAGE_LEVEL");
      assert.match(
        error.message,
        /needs level 3, this version of Testudo knows 1 to 2: start a newer version/,
      );
      const late = await rejection(disk.storage("a", { levels: { min: 4, max: 5 } }).open());
      assert.match(late.message, /needs level 3, .* knows 4 to 5: .*start the version before/);
      const again = knows(3);
      assert.is((await again.open()).identity.bootCount, identity.bootCount + 1, "nothing was touched");
      await again.close();
    },
  );

  onDisk("[S3] a folder that is open is refused as locked, and the one that has it goes on", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    const error = await rejection(disk.storage().open());
    assert.is(error.code, "STORAGE_LOCKED");
    assert.match(error.message, /in use/);
    await storage.save(one(started));
    await storage.close();
    assert.is((await reopened(disk)).get(0)?.entries.length, 3);
  });

  onDisk("[S1] a founding is saved and comes back; another one is a programmer's error", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    await storage.save({ founding, groups: new Map() });
    await storage.save({ founding, groups: new Map() });
    await storage.close();
    const again = disk.storage();
    assert.equal((await again.open()).identity.founding, founding);
    const other = { ...founding, clusterId: "00000000000000dd" };
    assert.match((await rejection(again.save({ founding: other, groups: new Map() }))).message, /founded as/);
    await again.close();
  });

  onDisk("[S4] one storage can be closed and opened again", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    await storage.save(one(started));
    await storage.close();
    const { identity, groups } = await storage.open();
    assert.is(identity.bootCount, 2);
    assert.equal(groups.get(0)?.entries, started.entries);
    await storage.close();
  });

  onDisk("[S4] saving and reading before open and after close are programmer's errors", async (disk) => {
    const storage = disk.storage();
    assert.match((await rejection(storage.save(one(started)))).message, /closed/);
    await storage.open();
    await rejection(storage.open());
    await storage.close();
    assert.match((await rejection(storage.save(one(started)))).message, /closed/);
    assert.match((await rejection(storage.listCheckpoints(0))).message, /closed/);
    assert.match((await rejection(readOf(storage, "x"))).message, /closed/);
  });
}

function checkpointCases(onDisk: OnDisk, groupAfter: GroupAfter): void {
  onDisk("[S10] checkpoints are replaced and deleted by key", async (disk) => {
    const contents = await groupAfter(
      disk,
      {
        checkpoints: new Map([
          ["", checkpoint(1, 1)],
          ["room", checkpoint(1, 2)],
          ["gone", checkpoint(1, 3)],
        ]),
      },
      {
        checkpoints: new Map([
          ["room", checkpoint(2, 4, 5)],
          ["gone", null],
          ["never", null],
        ]),
      },
    );
    assert.equal(
      [...contents.checkpoints],
      [
        ["", checkpoint(1, 1)],
        ["room", checkpoint(2, 4, 5)],
      ],
    );
  });

  onDisk("[S10] an empty checkpoint, the largest one and keys in any script come back", async (disk) => {
    const large = { index: 7, bytes: new Uint8Array(storageLimits.checkpointBytesMax).fill(9) };
    const checkpoints = new Map([
      ["комната 🐢", checkpoint(3)],
      ["large", large],
    ]);
    const contents = await groupAfter(disk, { checkpoints });
    assert.equal(contents.checkpoints.get("комната 🐢"), checkpoint(3));
    const read = contents.checkpoints.get("large") as Checkpoint;
    assert.is(Buffer.compare(read.bytes, large.bytes), 0);
  });

  onDisk("[S10] one group's checkpoints are listed and read, as saved last", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    assert.is((await storage.listCheckpoints(0)).size, 0);
    await storage.save({
      groups: new Map([
        [
          0,
          {
            checkpoints: new Map([
              ["x", checkpoint(1, 1)],
              ["y", checkpoint(1, 2)],
            ]),
          },
        ],
        [1, { checkpoints: new Map([["z", checkpoint(1, 3)]]) }],
      ]),
    });
    await storage.save(
      one({
        checkpoints: new Map([
          ["x", checkpoint(2, 4)],
          ["y", null],
        ]),
      }),
    );
    assert.equal([...(await storage.listCheckpoints(0))], [["x", { index: 2, sizeBytes: 1 }]]);
    assert.equal([...(await readAll(storage, 0))], [["x", checkpoint(2, 4)]]);
    assert.equal([...(await readAll(storage, 1))], [["z", checkpoint(1, 3)]]);
    await storage.close();
  });

  onDisk("[S10] a read beside saves never sees half of one", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    let acknowledged = 0;
    for (let round = 1; round <= 30; round++) {
      const both = new Map([
        ["x", checkpoint(round, round)],
        ["y", checkpoint(round, round)],
      ]);
      const floor = acknowledged;
      const saving = storage.save(one({ checkpoints: both }));
      const [listing, reading] = [storage.listCheckpoints(0), readOf(storage, "x", "y")];
      await saving;
      acknowledged = round;
      const [listed, read] = [await listing, await reading];
      assert.is(listed.get("x")?.index, listed.get("y")?.index);
      assert.is(read.get("x")?.index, read.get("y")?.index);
      assert.ok((read.get("x")?.index ?? 0) >= floor);
    }
    await storage.close();
  });
}

function batchCases(
  onDisk: OnDisk,
  saved: (disk: Disk, ...batches: SaveBatch[]) => Promise<ReadonlyMap<number, ReadContents>>,
  reopened: Reopened,
): void {
  onDisk("[S11] groups are kept apart", async (disk) => {
    const groups = await saved(
      disk,
      {
        groups: new Map([
          [0, started],
          [1, { ...started, entries: entries(1, 5) }],
          [65_535, started],
        ]),
      },
      {
        groups: new Map([
          [1, { hardState: hardState(2), entries: entries(2, 2, 2) }],
          [65_535, { base: base(3) }],
        ]),
      },
    );
    assert.equal([...groups.keys()], [0, 1, 65_535]);
    assert.equal(groups.get(0)?.entries, entries(1, 3));
    assert.equal(groups.get(1)?.entries, [entry(1), entry(2, 2)]);
    assert.equal(groups.get(65_535)?.entries, []);
  });

  onDisk("[S11] an empty batch is saved", async (disk) => {
    assert.is((await saved(disk, { groups: new Map() })).size, 0);
  });

  onDisk("[S11] what the caller changes after save() was called is not saved", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    const data = Buffer.from("as it was");
    const bytes = Uint8Array.of(1, 2, 3);
    const save: GroupSave = {
      ...started,
      entries: [{ ...entry(1), data }],
      checkpoints: new Map([["x", { index: 1, bytes }]]),
    };
    const saving = storage.save(one(save));
    data.fill(0);
    bytes.fill(0);
    await saving;
    await storage.close();
    const contents = (await reopened(disk)).get(0) as ReadContents;
    assert.is(Buffer.from(contents.entries[0]?.data ?? []).toString(), "as it was");
    assert.equal(contents.checkpoints.get("x"), checkpoint(1, 1, 2, 3));
  });

  onDisk("[S11] a second save while one is in flight is a programmer's error", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    const first = storage.save(one(started));
    assert.match((await rejection(storage.save(one({ hardState: hardState(2) })))).message, /in flight/);
    await first;
    await storage.close();
  });

  onDisk("[S11] close waits for the save in flight", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    const saving = storage.save(one(started));
    await storage.close();
    await saving;
    assert.is((await reopened(disk)).get(0)?.entries.length, 3);
  });
}

function refusalCases(
  onDisk: OnDisk,
  refused: (disk: Disk, save: GroupSave, message: RegExp) => Promise<void>,
): void {
  const state = hardState(2);
  const tooLong = "k".repeat(storageLimits.checkpointKeyBytesMax + 1);
  const tooMuch = { index: 1, bytes: new Uint8Array(storageLimits.checkpointBytesMax + 1) };
  const tooLarge = { ...entry(4), data: new Uint8Array(storageLimits.entryDataBytesMax + 1) };
  const cases: readonly (readonly [string, GroupSave, RegExp])[] = [
    ["a gap after the last entry", { entries: entries(5, 6) }, /leaves a gap after 3/],
    ["a gap between entries", { entries: [entry(4), entry(6)] }, /entry 6 in the place of 5/],
    ["an entry at the base", { base: base(2), entries: entries(2, 2) }, /at or before the base/],
    [
      "a term that goes back along the log",
      { hardState: state, entries: [entry(4, 2), entry(5, 1)] },
      /term 1 after 2/,
    ],
    [
      "a term below that of the entry before a cut",
      { entries: [{ ...entry(3), term: 0 }] },
      /term 0 after 1/,
    ],
    ["an entry past the hard state's term", { entries: [entry(4, 2)] }, /less than the last entry's/],
    ["a hard state whose term goes back", { hardState: hardState(0) }, /goes back/],
    ["a commit index past the log", { hardState: hardState(1, 4) }, /past the last/],
    ["a base past the log", { base: base(4) }, /past the last index/],
    ["a reset without a base", { reset: true }, /comes with a base/],
    ["broken milliseconds", { entries: [{ ...entry(4), logTimeMs: 0.5 }] }, /stamps/],
    ["an entry's data past the limit", { entries: [tooLarge] }, /16777217 bytes/],
    ["a checkpoint past the limit", { checkpoints: new Map([["x", tooMuch]]) }, /4194305 bytes/],
    ["a checkpoint's key past the limit", { checkpoints: new Map([[tooLong, null]]) }, /key is too long/],
    ["a staged part past the limit", { staged: new Map([["x", tooMuch]]) }, /4194305 bytes/],
  ];
  for (const [what, save, message] of cases) {
    onDisk(`[S12] ${what} is a programmer's error, and nothing of it is saved`, (disk) =>
      refused(disk, save, message),
    );
  }
  onDisk("[S12] cutting what is known to be committed is a programmer's error", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    await storage.save(one({ ...started, hardState: hardState(1, 2) }));
    const error = await rejection(
      storage.save(one({ hardState: hardState(2, 2), entries: entries(2, 2, 2) })),
    );
    assert.match(error.message, /overwrites a committed one/);
    await storage.close();
  });
}
