import { type Configuration, emptyConfiguration, type Member } from "../../raft/configuration.ts";
import { decodeConfiguration, encodeConfiguration } from "../../raft/configuration-codec.ts";
import type { Base, Entry } from "../../raft/entry.ts";
import { checkLevel, firstLevel, type Levels, levels } from "../../raft/level.ts";
import type { Checkpoint, GroupSave, Storage } from "../../storage/storage.ts";
import { NodeError } from "../node-error.ts";
import type { BackupRecord } from "./backup-record.ts";

/** What came of one restore. */
export interface Restored {
  readonly clusterId: string;
  readonly storeId: string;
  readonly groups: number;
  readonly parts: number;
  readonly entries: number;
}

/**
 * A new cluster of one node, with everything that a backup has: in a folder that is blank. The cluster has a new id and
 * the node a new store, so that nothing of the old cluster is ever taken for a part of it; the other nodes join it as new
 * ones. @throws BACKUP_DAMAGED, LEVEL_UNKNOWN, and what the disk says
 */
export async function restoreBackup(
  records: AsyncIterable<BackupRecord>,
  parts: {
    readonly storage: Storage;
    readonly newClusterId: () => string;
    /** By default what this build can read. */
    readonly levels?: Levels;
  },
): Promise<Restored> {
  const { storage, newClusterId, levels: known = levels } = parts;
  const { identity } = await storage.open();
  try {
    const restoring = new Restoring(storage, identity, known);
    for await (const record of records) await restoring.take(record);
    return await restoring.finish(newClusterId());
  } finally {
    await storage.close();
  }
}

interface Underway {
  readonly group: number;
  readonly base: Base;
  readonly staged: Map<string, number>;
  /** The reset has been saved: what was staged is in its place. */
  isSwappedIn: boolean;
  lastIndex: number;
  lastTerm: number;
  /** What the group had agreed on there. */
  level: number;
}

class Restoring {
  readonly #storage: Storage;
  readonly #self: Member;
  readonly #levels: Levels;
  #groups = 0;
  #foundingLevel = firstLevel;
  #underway: Underway | null = null;
  readonly #done = new Set<number>();
  #parts = 0;
  #entries = 0;
  #isWhole = false;

  constructor(storage: Storage, { nodeId, storeId }: Member, known: Levels) {
    this.#storage = storage;
    this.#self = { nodeId, storeId };
    this.#levels = known;
  }

  async take(record: BackupRecord): Promise<void> {
    switch (record.type) {
      case "backup":
        checkLevel("the backup", record.level, this.#levels);
        this.#groups = record.groups;
        this.#foundingLevel = record.foundingLevel;
        return;
      case "group":
        return await this.#begin(record.group, record.base);
      case "part":
        return await this.#part(record.group, record.key, record);
      case "entries":
        return await this.#append(record.group, record.entries);
      case "end":
        await this.#end();
        this.#isWhole = true;
        return;
    }
  }

  async finish(clusterId: string): Promise<Restored> {
    const { storeId } = this.#self;
    if (!this.#isWhole || this.#done.size !== this.#groups)
      throw damaged(`${this.#done.size} of ${this.#groups} groups are there`);
    const [members, groups, level] = [[this.#self], this.#groups, this.#foundingLevel];
    const founding = { clusterId, members, addresses: [], groups, level };
    await this.#storage.save({ founding, groups: new Map() });
    return { clusterId, storeId, groups: this.#groups, parts: this.#parts, entries: this.#entries };
  }

  async #begin(group: number, base: Base): Promise<void> {
    const before = this.#underway;
    if (before?.group === group && !before.isSwappedIn) {
      // It was begun anew while it was taken.
      await this.#save(group, { staged: new Map([...before.staged.keys()].map((key) => [key, null])) });
      this.#parts -= before.staged.size;
    } else await this.#end();
    if (this.#done.has(group)) throw damaged(`group ${group} comes twice`);
    const { index, term, configuration } = base;
    checkLevel(`group ${group} of the backup`, configuration.level, this.#levels);
    this.#underway = {
      group,
      base,
      staged: new Map(),
      isSwappedIn: false,
      lastIndex: index,
      lastTerm: term,
      level: configuration.level,
    };
  }

  async #part(group: number, key: string, { index, bytes }: Checkpoint): Promise<void> {
    const underway = this.#of(group);
    if (underway.isSwappedIn || index < underway.base.index)
      throw damaged(`group ${group}: the part "${key}" is at ${index}, in the wrong place`);
    underway.staged.set(key, index);
    this.#parts += 1;
    await this.#save(group, { staged: new Map([[key, { index, bytes: new Uint8Array(bytes) }]]) });
  }

  async #append(group: number, entries: readonly Entry[]): Promise<void> {
    const underway = this.#of(group);
    await this.#swapIn(underway);
    const last = entries.at(-1);
    if (last === undefined || entries[0]?.index !== underway.lastIndex + 1)
      throw damaged(`group ${group}: entries after ${underway.lastIndex} are missing`);
    underway.lastIndex = last.index;
    underway.lastTerm = last.term;
    this.#entries += entries.length;
    const hardState = { term: last.term, votedFor: null, commitIndex: last.index };
    await this.#save(group, {
      entries: entries.map((entry) => this.#withoutMembers(underway, entry)),
      hardState,
    });
  }

  /** The old members are not the new cluster's: it has this node alone, from the base on. */
  async #swapIn(underway: Underway): Promise<void> {
    if (underway.isSwappedIn) return;
    underway.isSwappedIn = true;
    const base = { ...underway.base, configuration: this.#alone(underway.level) };
    const hardState = { term: base.term, votedFor: null, commitIndex: base.index };
    await this.#save(underway.group, { reset: true, base, hardState });
  }

  #alone(level: number): Configuration {
    return { ...emptyConfiguration, voters: [this.#self], level };
  }

  /** An entry that changed the members of the old cluster has no say in the new one, but for the level from there on. */
  #withoutMembers(underway: Underway, entry: Entry): Entry {
    const { type, data } = entry;
    if (type !== "configuration")
      return { ...entry, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
    const { level } = decodeConfiguration(data);
    if (level === underway.level) return { ...entry, type: "noop", data: new Uint8Array(0) };
    checkLevel(`entry ${entry.index} of the backup's group ${underway.group}`, level, this.#levels);
    underway.level = level;
    return { ...entry, data: encodeConfiguration(this.#alone(level)) };
  }

  async #end(): Promise<void> {
    const underway = this.#underway;
    if (underway === null) return;
    const { group, staged, lastIndex } = underway;
    await this.#swapIn(underway);
    const ahead = [...staged].find(([, index]) => index > lastIndex);
    if (ahead !== undefined)
      throw damaged(
        `group ${group}: the part "${ahead[0]}" is at ${ahead[1]}, past the log's end, ${lastIndex}`,
      );
    this.#done.add(group);
    this.#underway = null;
  }

  #of(group: number): Underway {
    if (this.#underway?.group !== group) throw damaged(`group ${group} was not begun`);
    return this.#underway;
  }

  async #save(group: number, save: GroupSave): Promise<void> {
    await this.#storage.save({ groups: new Map([[group, save]]) });
  }
}

function damaged(what: string): NodeError {
  return new NodeError("BACKUP_DAMAGED", `the backup does not fit together: ${what}`);
}
