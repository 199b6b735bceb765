import * as assert from "uvu/assert";
import type { Entry } from "../../server/raft/entry.ts";
import type { Levels } from "../../server/raft/level.ts";
import type { GroupSave, Storage } from "../../server/storage/storage.ts";
import { storageLimits } from "../../server/storage/storage-limits.ts";
import { base, checkpoint, entries, entry, hardState, type ReadContents, started } from "./saves.ts";

/** One disk, and the storages that are opened on it one after the other. */
export interface Disk {
  /** A storage that is not open yet. */
  storage(nodeId?: string, options?: { readonly firstBootCount?: number; readonly levels?: Levels }): Storage;
  destroy(): Promise<void>;
}

/** A case with a disk of its own. */
export type OnDisk = (title: string, body: (disk: Disk) => Promise<void>) => void;
/** What the next open gives of group 0 after these saves. */
export type GroupAfter = (disk: Disk, ...saves: GroupSave[]) => Promise<ReadContents>;
export function logCases(
  onDisk: OnDisk,
  groupAfter: GroupAfter,
  indexes: (contents: ReadContents) => number[],
): void {
  onDisk("[S5] hard state, base and entries come back field by field", async (disk) => {
    const contents = await groupAfter(disk, started);
    assert.equal(contents.hardState, started.hardState);
    assert.equal(contents.base, started.base);
    assert.equal(contents.entries, started.entries);
    assert.is(contents.checkpoints.size, 0);
  });

  onDisk("[S5] what was never saved has its first values", async (disk) => {
    const contents = await groupAfter(disk, { checkpoints: new Map([["", checkpoint(0, 1)]]) });
    assert.equal(contents.hardState, { term: 0, votedFor: null, commitIndex: 0 });
    assert.equal({ index: contents.base.index, term: contents.base.term }, { index: 0, term: 0 });
    assert.equal(contents.entries, []);
  });

  onDisk("[S5] no-ops, empty data and the largest numbers come back", async (disk) => {
    const max = Number.MAX_SAFE_INTEGER;
    const noop: Entry = {
      index: 1,
      term: 1,
      type: "noop",
      logTimeMs: 0,
      wallTimeMs: 0,
      data: new Uint8Array(0),
    };
    const large: Entry = {
      index: 2,
      term: max,
      type: "command",
      logTimeMs: max,
      wallTimeMs: max,
      data: Uint8Array.of(0),
    };
    const contents = await groupAfter(disk, {
      hardState: { term: max, votedFor: null, commitIndex: 2 },
      entries: [noop, large],
    });
    assert.equal(contents.entries, [noop, large]);
    assert.equal(contents.hardState, { term: max, votedFor: null, commitIndex: 2 });
  });

  onDisk("[S5] indexes past 2^32 keep their order", async (disk) => {
    const first = 2 ** 32 - 1;
    const contents = await groupAfter(
      disk,
      { reset: true, hardState: hardState(1), base: base(first - 1) },
      { entries: entries(first, first + 1) },
      { entries: entries(first + 2, first + 3) },
    );
    assert.equal(indexes(contents), [first, first + 1, first + 2, first + 3]);
  });

  onDisk("[S5] a vote for nobody replaces a vote", async (disk) => {
    const contents = await groupAfter(disk, started, {
      hardState: { term: 2, votedFor: null, commitIndex: 3 },
    });
    assert.equal(contents.hardState, { term: 2, votedFor: null, commitIndex: 3 });
  });

  onDisk("[S6] entries of many saves come back as one log", async (disk) => {
    const saves: GroupSave[] = [started];
    for (let index = 4; index <= 40; index += 2) saves.push({ entries: entries(index, index + 1) });
    assert.equal((await groupAfter(disk, ...saves)).entries, entries(1, 41));
  });

  onDisk("[S6] a save with more than a pack of entries comes back", async (disk) => {
    const data = new Uint8Array(storageLimits.packBytesMax / 4 + 1).fill(7);
    const many = entries(1, 10).map((each) => ({ ...each, data }));
    const contents = await groupAfter(disk, { hardState: hardState(1), entries: many });
    assert.equal(indexes(contents), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.ok(contents.entries.every((each) => each.data.length === data.length && each.data.at(-1) === 7));
  });

  onDisk("[S7] entries that begin inside an earlier save cut it there", async (disk) => {
    const contents = await groupAfter(disk, started, { hardState: hardState(2), entries: entries(2, 2, 2) });
    assert.equal(contents.entries, [entry(1), entry(2, 1 + 1)]);
  });

  onDisk("[S7] entries that begin where an earlier save began replace it", async (disk) => {
    const replaced = { hardState: hardState(2), entries: entries(4, 5, 2) };
    const contents = await groupAfter(disk, started, { entries: entries(4, 9) }, replaced);
    assert.equal(contents.entries, [...entries(1, 3), ...entries(4, 5, 2)]);
  });

  onDisk("[S7] a cut deep in the log drops all saves after it", async (disk) => {
    const more = [4, 7, 10, 13].map((first): GroupSave => ({ entries: entries(first, first + 2) }));
    const contents = await groupAfter(disk, started, ...more, {
      hardState: hardState(2),
      entries: entries(5, 6, 2),
    });
    assert.equal(contents.entries, [...entries(1, 4), ...entries(5, 6, 2)]);
  });

  onDisk("[S7] after a cut the log grows on, and may be cut again", async (disk) => {
    const contents = await groupAfter(
      disk,
      started,
      { hardState: hardState(2), entries: entries(3, 6, 2) },
      { hardState: hardState(3), entries: entries(4, 4, 3) },
      { hardState: hardState(4), entries: entries(5, 5, 4) },
      { hardState: hardState(5), entries: entries(4, 4, 5) },
    );
    assert.equal(contents.entries, [entry(1), entry(2), entry(3, 2), entry(4, 5)]);
  });

  onDisk("[S7] the whole log may be replaced", async (disk) => {
    const contents = await groupAfter(disk, started, { hardState: hardState(2), entries: entries(1, 1, 2) });
    assert.equal(contents.entries, [entry(1, 2)]);
  });
}

export function baseCases(
  onDisk: OnDisk,
  groupAfter: GroupAfter,
  indexes: (contents: ReadContents) => number[],
): void {
  onDisk("[S8] a base in the middle of a save forgets what is at and before it", async (disk) => {
    const contents = await groupAfter(disk, started, { base: base(2) });
    assert.equal(indexes(contents), [3]);
    assert.equal(contents.base, base(2));
  });

  onDisk("[S8] a base at the end leaves an empty log that goes on after it", async (disk) => {
    assert.equal(
      indexes(await groupAfter(disk, started, { base: base(3) }, { entries: entries(4, 5) })),
      [4, 5],
    );
  });

  onDisk("[S8] a base over several saves forgets them, and moves on", async (disk) => {
    const more = [4, 7, 10].map((first): GroupSave => ({ entries: entries(first, first + 2) }));
    const contents = await groupAfter(
      disk,
      started,
      ...more,
      { base: base(5) },
      { base: base(9) },
      { base: base(9) },
    );
    assert.equal(indexes(contents), [10, 11, 12]);
  });

  onDisk("[S8] a log is cut in a save that the base has begun to forget", async (disk) => {
    const cut = { hardState: hardState(2), entries: entries(3, 4, 2) };
    const contents = await groupAfter(disk, { ...started, entries: entries(1, 6) }, { base: base(1) }, cut);
    assert.equal(contents.entries, [entry(2), entry(3, 2), entry(4, 2)]);
    assert.is(contents.base.index, 1);
  });

  onDisk("[S8] a log is cut right after the base", async (disk) => {
    const cut = { hardState: hardState(2), entries: entries(3, 3, 2) };
    const contents = await groupAfter(disk, { ...started, entries: entries(1, 6) }, { base: base(2) }, cut);
    assert.equal(contents.entries, [entry(3, 2)]);
  });

  onDisk("[S8] base and entries in one save: first the base, then the entries", async (disk) => {
    const contents = await groupAfter(disk, started, { base: base(3), entries: entries(4, 4) });
    assert.equal(indexes(contents), [4]);
    assert.is(contents.base.index, 3);
  });

  onDisk("[S9] a reset forgets entries and checkpoints, and starts at its base", async (disk) => {
    const before = { ...started, checkpoints: new Map([["old", checkpoint(1, 1)]]) };
    const contents = await groupAfter(disk, before, {
      reset: true,
      base: base(100, 5),
      hardState: hardState(5, 100),
      checkpoints: new Map([["new", checkpoint(103, 2)]]),
    });
    assert.equal(contents.entries, []);
    assert.equal(contents.base, base(100, 5));
    assert.equal([...contents.checkpoints], [["new", checkpoint(103, 2)]]);
  });

  onDisk(
    "[S9] reset, base, entries, hard state and checkpoints in one save take effect in that order",
    async (disk) => {
      const before = { ...started, checkpoints: new Map([["kept", checkpoint(1, 1)]]) };
      const contents = await groupAfter(disk, before, {
        reset: true,
        base: base(1),
        entries: entries(2, 4, 2),
        hardState: hardState(2, 4),
        checkpoints: new Map([["kept", checkpoint(2, 2)]]),
      });
      assert.equal(contents.entries, entries(2, 4, 2));
      assert.equal([...contents.checkpoints], [["kept", checkpoint(2, 2)]]);
    },
  );

  onDisk("[S9] a reset to an earlier base is taken", async (disk) => {
    const contents = await groupAfter(disk, started, { base: base(3) }, { reset: true, base: base(1) });
    assert.equal([contents.base.index, contents.entries.length], [1, 0]);
  });
}
