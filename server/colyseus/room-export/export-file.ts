import { decodeFrames, encodeFrames, type FramedFormat } from "../../cluster/backup/framed-file.ts";
import { ExportError } from "./export-error.ts";
import type { ExportHeader, ExportRecord } from "./export-record.ts";

/** One digit: the line stays as long as it is. */
const version = 2;
const magicWords = "TESTUDO ROOM ";

const format: FramedFormat = {
  magic: Buffer.from(`${magicWords}${version}\n`, "latin1"),
  noun: "the export",
  damaged: (message) => new ExportError("EXPORT_DAMAGED", message),
  foreign: (head) => {
    const theirs = /^TESTUDO ROOM ([3-9])\n$/.exec(head?.toString("latin1") ?? "")?.[1];
    if (theirs === undefined)
      return new ExportError("EXPORT_FOREIGN", "this is no room's export: testudo rooms export makes them");
    const remedy = "use the Testudo that wrote it, or a newer one";
    return new ExportError(
      "EXPORT_NEWER",
      `the export has format ${theirs}, this Testudo reads ${version}: ${remedy}`,
    );
  },
};

export function encodeExport(records: AsyncIterable<ExportRecord>): AsyncGenerator<Uint8Array> {
  return encodeFrames(format.magic, records);
}

/**
 * The records, each checked as it comes; whether they fit together, too.
 * @throws EXPORT_DAMAGED with the place, EXPORT_FOREIGN, EXPORT_NEWER
 */
export async function* decodeExport(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ExportRecord> {
  let header: ExportHeader | null = null;
  let hasCheckpoint = false;
  let entries = 0;
  let index = 0;
  for await (const record of decodeFrames<ExportRecord>(chunks, format)) {
    if ((record.type === "room") !== (header === null)) throw unfit("it has not one header");
    if (record.type === "room") header = record;
    if (record.type === "checkpoint") hasCheckpoint = true;
    if (record.type === "entries") {
      for (const entry of record.entries) {
        if (entry.index <= index) throw unfit(`entry ${entry.index} comes behind entry ${index}`);
        index = entry.index;
      }
      entries += record.entries.length;
    }
    if (record.type === "end") {
      if (entries !== header?.entries) throw unfit(`${entries} of ${header?.entries} entries are there`);
      if (hasCheckpoint !== (header.completeFrom === "checkpoint")) throw unfit("its beginning is missing");
    }
    yield record;
  }
}

function unfit(what: string): ExportError {
  return new ExportError("EXPORT_DAMAGED", `the export does not fit together: ${what}`);
}
