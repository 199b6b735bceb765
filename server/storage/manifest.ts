import { varintAt } from "./varint.ts";

/** What the fields of an edit are made of, by their tags: numbers (varints), and texts with their length before. */
const fields: ReadonlyMap<number, readonly ("number" | "text")[]> = new Map([
  [1, ["text"]], // comparator
  [2, ["number"]], // log number
  [3, ["number"]], // next file number
  [4, ["number"]], // last sequence number
  [5, ["number", "text"]], // compaction pointer: level, key
  [6, ["number", "number"]], // deleted table: level, number
  [7, ["number", "number", "number", "text", "text"]], // new table: level, number, size, smallest and largest key
  [9, ["number"]], // previous log number
]);
const tags = { logNumber: 2, deletedTable: 6, newTable: 7 } as const;

/** What LevelDB's manifest adds up to: a list of edits, each a record in the format of its logs (log-file.ts). */
export class Manifest {
  /** Of the oldest log that counts; -1: none is named. */
  logNumber = -1;
  /** Each with its size in bytes. By level and number: a table that changes its level is deleted and new in one edit. */
  readonly #tables = new Map<string, { readonly number: number; readonly sizeBytes: number }>();

  tables(): { readonly number: number; readonly sizeBytes: number }[] {
    return [...this.#tables.values()];
  }

  /** @returns what is wrong with the edit, or null */
  apply(edit: Uint8Array): string | null {
    const added: [string, { number: number; sizeBytes: number }][] = [];
    for (let at = 0; at < edit.length; ) {
      const tag = varintAt(edit, { at, end: edit.length });
      const kinds = tag && fields.get(tag.value);
      if (!kinds) return "an edit is malformed";
      at = tag.next;
      const values: number[] = [];
      for (const kind of kinds) {
        const read = varintAt(edit, { at, end: edit.length });
        if (read === null) return "an edit is malformed";
        at = kind === "text" ? read.next + read.value : read.next;
        values.push(read.value);
      }
      if (at > edit.length) return "an edit is malformed";
      const [one = 0, number = 0, sizeBytes = 0] = values;
      if (tag.value === tags.logNumber) this.logNumber = one;
      if (tag.value === tags.deletedTable) this.#tables.delete(`${one}/${number}`);
      if (tag.value === tags.newTable) added.push([`${one}/${number}`, { number, sizeBytes }]);
    }
    for (const [place, table] of added) this.#tables.set(place, table);
    return null;
  }
}
