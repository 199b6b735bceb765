import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crc32c, maskCrc, unmaskCrc } from "../../server/storage/crc32c.ts";
import { scanLogFile } from "../../server/storage/log-file.ts";
import { levelStorage, temporaryFolder } from "./level-disk.ts";
import { one } from "./saves.ts";

const blockBytes = 32_768;

/** A log that LevelDB wrote, with where each record of it ends. */
async function log(lastBytes: number): Promise<{ file: Uint8Array; ends: number[] }> {
  const location = await temporaryFolder();
  const storage = levelStorage(location);
  await storage.open();
  const name = (await readdir(location)).find((each) => each.endsWith(".log")) as string;
  const ends: number[] = [(await readFile(join(location, name))).length];
  for (let save = 1; save <= 6; save++) {
    const bytes = new Uint8Array(save === 6 ? lastBytes : 50).fill(save);
    await storage.save(one({ checkpoints: new Map([["room", { index: save, bytes }]]) }));
    ends.push((await readFile(join(location, name))).length);
  }
  await storage.close();
  const file = new Uint8Array(await readFile(join(location, name)));
  await rm(location, { recursive: true });
  return { file, ends };
}

function scan(file: Uint8Array): ReturnType<typeof scanLogFile> {
  return scanLogFile(file, () => null);
}

const small = await log(50);
/** The last record begins in one block, fills two, ends in a fourth. */
const large = await log(3 * blockBytes);

test("[S20] the checksum is CRC-32C: the check value of the standard, and masking is undone", () => {
  const check = crc32c(new TextEncoder().encode("123456789"));
  assert.is(check, 0xe3069283);
  assert.is(unmaskCrc(maskCrc(check)), check);
});

test("[S20] a log as LevelDB wrote it is whole, with all its records", () => {
  assert.equal(scan(small.file), { type: "whole", records: 7 });
  assert.equal(scan(large.file), { type: "whole", records: 7 });
  assert.equal(scan(new Uint8Array(0)), { type: "whole", records: 0 });
});

test("[S21] a log cut at any byte of its last record is torn there", () => {
  const start = small.ends.at(-2) as number;
  assert.equal(scan(small.file.subarray(0, start)), { type: "whole", records: 6 });
  for (let length = start + 1; length < small.file.length; length++) {
    assert.equal(
      scan(small.file.subarray(0, length)),
      { type: "torn", records: 6, offset: start },
      `cut at ${length}`,
    );
  }
});

test("[S21] a record over several blocks, cut at any byte around its parts' ends, is torn where it begins", () => {
  const start = large.ends.at(-2) as number;
  for (let length = start + 1; length < large.file.length; length++) {
    const inBlock = length % blockBytes;
    if (inBlock > 20 && inBlock < blockBytes - 20 && length % 1009 !== 0) continue;
    assert.equal(
      scan(large.file.subarray(0, length)),
      { type: "torn", records: 6, offset: start },
      `cut at ${length}`,
    );
  }
});

test("[S21] zeros to the end, from any byte count, are a torn tail", () => {
  for (const zeros of [1, 6, 7, 8, 100, blockBytes, 2 * blockBytes + 5]) {
    const file = new Uint8Array(small.file.length + zeros);
    file.set(small.file);
    assert.equal(scan(file), { type: "torn", records: 7, offset: small.file.length }, `${zeros} zeros`);
  }
});

test("[S22] every byte of the last record changed to every other value is lost data, never a torn tail", () => {
  const start = small.ends.at(-2) as number;
  const file = small.file.slice();
  for (let at = start; at < file.length; at++) {
    const right = file[at] as number;
    for (let value = 0; value < 256; value++) {
      if (value === right) continue;
      file[at] = value;
      assert.is(scan(file).type, "lost", `byte ${at} from ${right} to ${value}`);
    }
    file[at] = right;
  }
});

test("[S22] every byte of any earlier record changed is lost data", () => {
  const file = small.file.slice();
  for (let at = 0; at < (small.ends.at(-2) as number); at++) {
    for (const flip of [1, 0x80, 0xff]) {
      file[at] = (file[at] as number) ^ flip;
      assert.is(scan(file).type, "lost", `byte ${at} by ${flip}`);
      file[at] = (file[at] as number) ^ flip;
    }
  }
});

test("[S22] the headers of a record over several blocks, changed to any other value, are lost data", () => {
  const file = large.file.slice();
  const start = large.ends.at(-2) as number;
  for (const part of [start, blockBytes, 2 * blockBytes, 3 * blockBytes]) {
    assert.ok(part < file.length);
    for (let at = part; at < part + 7; at++) {
      const right = file[at] as number;
      for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255, right]) {
        if (flip === 0) continue;
        file[at] = right ^ flip;
        assert.is(scan(file).type, "lost", `byte ${at} by ${flip}`);
      }
      file[at] = right;
    }
  }
});

test("[S22] two changed bytes of a length, in any combination, are lost data", () => {
  const file = small.file.slice();
  const length = (small.ends.at(-2) as number) + 4;
  const right = [file[length], file[length + 1]];
  for (let value = 0; value < 65_536; value += 7) {
    [file[length], file[length + 1]] = [value & 255, value >> 8];
    if (file[length] === right[0] && file[length + 1] === right[1]) continue;
    assert.is(scan(file).type, "lost", `length ${value}`);
  }
});

test("[S22] zeros with anything behind them, records in no order and a block's end that is not zero are lost data", () => {
  const holed = new Uint8Array(small.file.length + 100);
  holed.set(small.file);
  holed[holed.length - 1] = 1;
  assert.is(scan(holed).type, "lost");
  const zeroed = small.file.slice();
  zeroed.fill(0, small.ends[2], small.ends[3]);
  assert.is(scan(zeroed).type, "lost");
  // Middle and last parts without the first.
  assert.is(scan(large.file.subarray(blockBytes)).type, "lost");
  // A first part, and then another record instead of the rest.
  const headless = new Uint8Array(blockBytes + small.file.length);
  headless.set(large.file.subarray(0, blockBytes));
  headless.set(small.file, blockBytes);
  assert.match(JSON.stringify(scan(headless)), /"lost".*has no end/);
});

test("[S22] what the caller finds wrong in a record makes it lost", () => {
  let seen = 0;
  const found = scanLogFile(small.file, () => (++seen === 3 ? "not that one" : null));
  assert.equal(found, { type: "lost", offset: small.ends[1], reason: "not that one" });
});

test.run();
