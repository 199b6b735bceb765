import * as assert from "uvu/assert";
import type { Checkpoint, GroupSave, Storage } from "../../server/storage/storage.ts";
import type { GroupAfter, OnDisk } from "./contract-log.ts";
import { base, checkpoint, entries, hardState, one, readAll, started } from "./saves.ts";

export function readOf(storage: Storage, ...keys: string[]): Promise<ReadonlyMap<string, Checkpoint | null>> {
  return storage.readCheckpoints(0, { keys, bytesMax: Number.POSITIVE_INFINITY });
}

/** Two rooms as they were, before a snapshot comes. */
const before: GroupSave = {
  ...started,
  checkpoints: new Map([
    ["old", checkpoint(1, 1)],
    ["both", checkpoint(2, 2)],
  ]),
};
const swap: GroupSave = { reset: true, base: base(100, 5), hardState: hardState(5, 100) };

/** What a storage must do for a snapshot that is sent, and for one that is received. */
export function snapshotCases(onDisk: OnDisk, groupAfter: GroupAfter): void {
  onDisk("[S30] what is staged is kept, replaced and deleted by key, and is no checkpoint", async (disk) => {
    const contents = await groupAfter(
      disk,
      before,
      {
        staged: new Map([
          ["both", checkpoint(90, 1, 2, 3)],
          ["gone", checkpoint(91)],
        ]),
      },
      {
        staged: new Map([
          ["both", checkpoint(95, 1, 2)],
          ["gone", null],
          ["never", null],
        ]),
      },
    );
    assert.equal([...contents.staged], [["both", { index: 95, sizeBytes: 2 }]]);
    assert.equal(new Map(contents.checkpoints), before.checkpoints);
    const storage = disk.storage();
    await storage.open();
    assert.equal(new Map(await readAll(storage)), before.checkpoints);
    await storage.close();
  });

  onDisk(
    "[S31] a reset makes the checkpoints of what is staged, and nothing stays of the old",
    async (disk) => {
      const staged = new Map([
        ["both", checkpoint(101, 7)],
        ["new", checkpoint(100)],
      ]);
      const contents = await groupAfter(disk, before, { staged }, swap);
      assert.equal([...contents.checkpoints], [...staged]);
      assert.is(contents.staged.size, 0);
      assert.equal(contents.entries, []);
      assert.equal(contents.base, swap.base);
    },
  );

  onDisk("[S31] in one save, staging comes before the reset, and checkpoints after it", async (disk) => {
    const contents = await groupAfter(
      disk,
      before,
      { staged: new Map([["dropped", checkpoint(99, 9)]]) },
      {
        ...swap,
        staged: new Map([
          ["dropped", null],
          ["room", checkpoint(100, 1)],
        ]),
        entries: entries(101, 102, 5),
        checkpoints: new Map([["room", checkpoint(102, 2)]]),
      },
    );
    assert.equal([...contents.checkpoints], [["room", checkpoint(102, 2)]]);
    assert.equal(contents.entries, entries(101, 102, 5));
  });

  onDisk(
    "[S31] one snapshot after the other is swapped in, each after an open, with saves between",
    async (disk) => {
      for (let round = 1; round <= 5; round++) {
        const storage = disk.storage();
        await storage.open();
        const index = round * 10;
        await storage.save(one({ staged: new Map([["room", checkpoint(index, round)]]) }));
        await storage.save(one({ reset: true, base: base(index, 1), hardState: hardState(1, index) }));
        await storage.save(
          one({
            entries: entries(index + 1, index + 3),
            checkpoints: new Map([[`r${round}`, checkpoint(index)]]),
          }),
        );
        // A base that moves on leaves the checkpoints where they are.
        await storage.save(one({ base: base(index + 2) }));
        await storage.close();
        const again = disk.storage();
        const { groups } = await again.open();
        assert.equal(
          await readAll(again),
          new Map([
            ["room", checkpoint(index, round)],
            [`r${round}`, checkpoint(index)],
          ]),
        );
        assert.is(groups.get(0)?.base.index, index + 2);
        await again.close();
      }
    },
  );

  onDisk("[S32] a read gives the first of its keys, within its bytes but at least one", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    const [a, b, c] = [checkpoint(1, 1, 1, 1), checkpoint(2, 2, 2), checkpoint(3, 3)];
    await storage.save(
      one({
        checkpoints: new Map([
          ["a", a],
          ["b", b],
          ["c", c],
        ]),
      }),
    );
    const read = async (bytesMax: number, ...keys: string[]) => [
      ...(await storage.readCheckpoints(0, { keys, bytesMax })),
    ];
    assert.equal(await read(5, "a", "b", "c"), [
      ["a", a],
      ["b", b],
    ]);
    assert.equal(await read(1, "a", "b"), [["a", a]]);
    assert.equal(await read(3, "c", "none", "b", "a"), [
      ["c", c],
      ["none", null],
      ["b", b],
    ]);
    assert.equal(await read(0, "none", "c"), [["none", null]]);
    assert.equal(await read(9), []);
    await storage.close();
  });

  onDisk("[S32] a read beside a swap gives the old parts or the new ones", async (disk) => {
    const storage = disk.storage();
    await storage.open();
    for (let round = 1; round <= 20; round++) {
      const parts = new Map([
        ["x", checkpoint(round * 10, round)],
        ["y", checkpoint(round * 10, round)],
      ]);
      const saving = storage.save(
        one({ staged: parts, reset: true, base: base(round * 10, 1), hardState: hardState(1, round * 10) }),
      );
      const [listing, reading] = [storage.listCheckpoints(0), readOf(storage, "x", "y")];
      await saving;
      const [listed, read] = [await listing, await reading];
      assert.is(listed.get("x")?.index, listed.get("y")?.index);
      assert.equal(read.get("x"), read.get("y"));
    }
    await storage.close();
  });
}
