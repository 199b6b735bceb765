import { randomBytes } from "node:crypto";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import { LevelDatabase } from "../../server/storage/level-database.ts";
import { LevelStorage } from "../../server/storage/level-storage.ts";
import { checkpoint, entries, hardState } from "./saves.ts";

/*
 * Saves without end into the folder of its first argument, and prints a line for each thing that is certain:
 * `open`, then `saved N` once save N is acknowledged. `failed CODE CODE`: a save was refused, and the one after it.
 * Each save has `entriesEach` entries (second argument); every tenth moves the base on.
 */
const [location = "", each = "2"] = process.argv.slice(2);
const entriesEach = Number(each);
const storage = new LevelStorage({ database: new LevelDatabase(location), nodeId: "a", random: randomBytes });
const { groups } = await storage.open();
console.log("open");
let saved = groups.get(0)?.checkpoints.get("room")?.index ?? 0;
try {
  for (;;) {
    const save = saved + 1;
    const last = save * entriesEach;
    const isCompacted = save % 10 === 0;
    const baseAt = { index: last - entriesEach * 5, term: 1, logTimeMs: 0, wallTimeMs: 0 };
    await storage.save({
      groups: new Map([
        [
          0,
          {
            hardState: hardState(1, last),
            ...(isCompacted ? { base: { ...baseAt, configuration: emptyConfiguration } } : {}),
            entries: entries(last - entriesEach + 1, last),
            checkpoints: new Map([["room", checkpoint(save, save % 256)]]),
          },
        ],
      ]),
    });
    saved = save;
    console.log(`saved ${saved}`);
  }
} catch (first) {
  const again = await storage.save({ groups: new Map() }).catch((error) => error);
  console.log(`failed ${(first as { code: string }).code} ${again?.code}`);
}
