import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { GroupContents } from "../../server/storage/storage.ts";
import { copyFolder, levelStorage, temporaryFolder } from "./level-disk.ts";
import { base, checkpoint, entries, hardState, one, readAll } from "./saves.ts";

const saves = 12;
const mark = "ACKNOWLEDGED";
const folder = await temporaryFolder();

interface Picture {
  /** A folder as it is when save number `saves` has been acknowledged, and the process is killed. */
  readonly location: string;
  /** The save mark as it was before the last save. */
  readonly markBefore: Uint8Array;
  readonly log: string;
  /** Where the last save's record begins. */
  readonly lastAt: number;
  readonly size: number;
  /** Boots before the next one. */
  readonly boots: number;
}

async function logOf(location: string): Promise<string> {
  return (await readdir(location)).find((name) => name.endsWith(".log")) as string;
}

/** Twelve saves of two entries; `boots`: over so many runs, so that the earlier ones are in tables. */
async function picture(name: string, boots: number): Promise<Picture> {
  const data = join(folder, `${name}-live`);
  const location = join(folder, name);
  for (let boot = 1; ; boot++) {
    const storage = levelStorage(data);
    await storage.open();
    for (let save = 1 + ((boot - 1) * saves) / boots; save <= (boot * saves) / boots; save++) {
      const isLast = save === saves;
      const log = await logOf(data);
      const markBefore = new Uint8Array(await readFile(join(data, mark)));
      const lastAt = (await readFile(join(data, log))).length;
      await storage.save(
        one({
          hardState: hardState(1, save),
          ...(save === 1 ? { base: base(0, 0) } : {}),
          entries: entries(save * 2 - 1, save * 2),
          checkpoints: new Map([["room", checkpoint(save, save)]]),
        }),
      );
      if (!isLast) continue;
      await copyFolder(data, location);
      await storage.close();
      const size = (await readFile(join(location, log))).length;
      return { location, markBefore, log, lastAt, size, boots: boot };
    }
    await storage.close();
  }
}

/** A copy of a picture to be damaged, opened, and thrown away. */
async function damaged<T>(
  of: Picture,
  damage: (location: string) => Promise<void>,
  look: (location: string) => Promise<T>,
): Promise<T> {
  const location = join(folder, "damaged");
  await copyFolder(of.location, location);
  try {
    await damage(location);
    return await look(location);
  } finally {
    await rm(location, { recursive: true });
  }
}

/** Flips each of these bytes alone, in one copy: what is refused is left as it is. */
async function assertFlipsRefused(
  of: Picture,
  name: string,
  flips: Iterable<readonly [at: number, by: number]>,
): Promise<void> {
  await damaged(
    of,
    async () => undefined,
    async (location) => {
      const path = join(location, name);
      const right = await readFile(path);
      for (const [at, by] of flips) {
        await flip(path, at, by);
        assertRefused(await outcome(location), `${name}, byte ${at}`);
        await flip(path, at, by);
        assert.is(
          Buffer.compare(right, await readFile(path)),
          0,
          `${name}, byte ${at}: the evidence is gone`,
        );
      }
    },
  );
}

function* eachByte({
  from = 0,
  to,
  step = 1,
}: {
  from?: number;
  to: number;
  step?: number;
}): Generator<[number, number]> {
  for (let at = from; at < to; at += step) yield [at, at % 9 === 8 ? 0xff : 1 << (at % 9)];
}

async function flip(path: string, at: number, by: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] as number) ^ by;
  await writeFile(path, bytes);
}

/** How an open ends: `saves` that it has, right to the last byte, or the code that it refuses with. */
async function outcome(location: string): Promise<{ saves: number } | { code: string; message: string }> {
  const storage = levelStorage(location);
  let group: GroupContents;
  try {
    group = (await storage.open()).groups.get(0) as GroupContents;
  } catch (error) {
    return { code: (error as { code: string }).code, message: (error as Error).message };
  }
  const count = group.checkpoints.get("room")?.index ?? 0;
  assert.equal(group.entries, entries(1, count * 2));
  assert.equal(group.hardState, hardState(1, count));
  assert.equal(await readAll(storage), new Map([["room", checkpoint(count, count)]]));
  await storage.close();
  return { saves: count };
}

function assertRefused(found: Awaited<ReturnType<typeof outcome>>, when: string): void {
  assert.is("code" in found ? found.code : `has ${found.saves} saves`, "STORAGE_CORRUPT", when);
}

const fresh = await picture("fresh", 1);
const tabled = await picture("tabled", 3);

test("[S23] the pictures themselves open, with every save", async () => {
  for (const each of [fresh, tabled]) {
    assert.equal(await damaged(each, async () => undefined, outcome), { saves });
    assert.ok(each.size - each.lastAt > 100);
  }
  assert.ok((await readdir(tabled.location)).some((name) => name.endsWith(".ldb")));
});

test("[S23] a last record never acknowledged, cut at every byte, vanishes whole; all that was acknowledged is there", async () => {
  for (let length = fresh.lastAt; length < fresh.size; length++) {
    const cut = async (location: string) => {
      await truncate(join(location, fresh.log), length);
      await writeFile(join(location, mark), fresh.markBefore);
    };
    assert.equal(await damaged(fresh, cut, outcome), { saves: saves - 1 }, `cut at ${length}`);
  }
});

test("[S24] an acknowledged last record that is cut is missed: the open refuses, again and again", async () => {
  for (let length = fresh.lastAt; length < fresh.size; length += 5) {
    const cut = (location: string) => truncate(join(location, fresh.log), length);
    const twice = async (location: string) => [await outcome(location), await outcome(location)] as const;
    for (const found of await damaged(fresh, cut, twice)) assertRefused(found, `cut at ${length}`);
  }
});

test("[S22] a last record with any byte flipped is refused, and the log is left as it is", async () => {
  await assertFlipsRefused(fresh, fresh.log, eachByte({ from: fresh.lastAt, to: fresh.size }));
});

test("[S22] so it is if the record was never acknowledged, and the error names file and byte", async () => {
  for (const at of [0, 4, 5, 6, 7, 30].map((more) => fresh.lastAt + more)) {
    const damage = async (location: string) => {
      await flip(join(location, fresh.log), at, 0x11);
      await writeFile(join(location, mark), fresh.markBefore);
    };
    const found = await damaged(fresh, damage, outcome);
    assertRefused(found, `byte ${at}`);
    if ("message" in found) assert.match(found.message, `${fresh.log} at byte ${fresh.lastAt}: `);
  }
});

test("[S22] a hundred bytes flipped in earlier records, each alone, are refused each time", async () => {
  const step = Math.floor(fresh.lastAt / 100);
  await assertFlipsRefused(fresh, fresh.log, eachByte({ to: step * 100, step }));
});

test("[S25] any byte of CURRENT or the manifest, flipped, is refused", async () => {
  const manifest = (await readdir(tabled.location)).find((name) => name.startsWith("MANIFEST")) as string;
  for (const name of ["CURRENT", manifest]) {
    const { length } = await readFile(join(tabled.location, name));
    await assertFlipsRefused(tabled, name, eachByte({ to: length }));
  }
});

test("[S25] a manifest cut at any byte is refused", async () => {
  const manifest = (await readdir(tabled.location)).find((name) => name.startsWith("MANIFEST")) as string;
  const { length } = await readFile(join(tabled.location, manifest));
  for (let size = 0; size < length; size++) {
    const damage = (location: string) => truncate(join(location, manifest), size);
    assertRefused(await damaged(tabled, damage, outcome), `cut at ${size}`);
  }
});

test("[S26] any byte of a table flipped is refused, and so is a table of another length", async () => {
  const tables = (await readdir(tabled.location)).filter((name) => name.endsWith(".ldb"));
  for (const name of tables) {
    const { length } = await readFile(join(tabled.location, name));
    await assertFlipsRefused(tabled, name, eachByte({ to: length - 60, step: 13 }));
    await assertFlipsRefused(tabled, name, eachByte({ from: length - 60, to: length }));
    const cut = (location: string) => truncate(join(location, name), length - 1);
    assertRefused(await damaged(tabled, cut, outcome), `${name} cut short`);
  }
});

test("[S25] each file that is missing is missed", async () => {
  for (const name of await readdir(tabled.location)) {
    if (name.startsWith("LOG")) continue;
    assertRefused(await damaged(tabled, (location) => rm(join(location, name)), outcome), name);
  }
});

test("[S24] a save mark with one damaged slot still counts; with both it is refused", async () => {
  for (const at of [0, 4, 8, 15, 512, 516, 520, 527]) {
    const found = await damaged(fresh, (location) => flip(join(location, mark), at, 0x10), outcome);
    assert.equal(found, { saves }, `byte ${at}`);
  }
  const both = async (location: string) => {
    await flip(join(location, mark), 9, 1);
    await flip(join(location, mark), 521, 1);
  };
  assertRefused(await damaged(fresh, both, outcome), "both slots");
});

test("[S21] a torn log with a newer one that goes on is refused; with an empty newer one it opens", async () => {
  const newer = `${String(Number.parseInt(fresh.log, 10) + 4).padStart(6, "0")}.log`;
  for (const bytes of [new Uint8Array(0), new Uint8Array(1)]) {
    const damage = async (location: string) => {
      await truncate(join(location, fresh.log), fresh.size - 3);
      await writeFile(join(location, mark), fresh.markBefore);
      await writeFile(join(location, newer), bytes);
    };
    const found = await damaged(fresh, damage, outcome);
    if (bytes.length === 0) assert.equal(found, { saves: saves - 1 });
    else assertRefused(found, "a newer log");
  }
});

test("[S22] a log that lost a whole record in its middle is refused, though every checksum is right", async () => {
  const damage = async (location: string) => {
    const path = join(location, fresh.log);
    const file = await readFile(path);
    // The last record, copied over to where the one before it begins.
    const length = 7 + file.readUInt16LE(4);
    await writeFile(path, file.subarray(length));
  };
  // Without its first record the log is still a log, from a later batch on: what it held is missed by what is left.
  assertRefused(await damaged(fresh, damage, outcome), "the first record");
});

test.after(() => rm(folder, { recursive: true }));

test.run();
