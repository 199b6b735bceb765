import { Command } from "commander";
import { decodeExport } from "../../colyseus/room-export/export-file.ts";
import type { ExportHeader } from "../../colyseus/room-export/export-record.ts";
import { type CliContext, type NodeFlags, show, withExample, withNode } from "./cli-context.ts";
import { OperatorClient } from "./operator-client.ts";
import { newFile, receiveFile } from "./received-file.ts";

/** `testudo rooms export ROOM`: a match, for `testudo replay`. */
export function exportCommand(context: CliContext): Command {
  const command = new Command("export")
    .description("save one room's history to a file, while it is played or a while after: for testudo replay")
    .argument("<room>", "its id")
    .option("--out <file>", "is made, and must not be there yet; by default ROOM.testudo");
  withExample(
    withNode(command),
    "rooms export Ev1_AWqyA --out final.testudo --url http://localhost:2568 --secret-file data/secret",
  );
  return command.action(async (roomId: string, flags: NodeFlags & { readonly out?: string }) => {
    const file = flags.out ?? `${roomId.replaceAll(/[^\w-]/g, "_")}.testudo`;
    const path = newFile(file, context);
    const query = new URLSearchParams({ room: roomId });
    const answer = await new OperatorClient(flags).open("GET", `rooms/export?${query}`);
    let header: ExportHeader | null = null;
    const check = async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const record of decodeExport(chunks)) if (record.type === "room") header = record;
    };
    const bytes = await receiveFile(answer, path, { context, check });
    const { type: _, ...told } = header as unknown as ExportHeader;
    show(context, flags.json, { file, bytes, ...told }, [
      `${file}: ${told.roomName} ${roomId}, entries ${told.firstIndex} to ${told.lastIndex}, ${told.entries} of them the room's or its group's, ${bytes} bytes`,
      told.completeFrom === "creation"
        ? `It is complete, from the room's creation${told.ended ? " to its end" : ""}.`
        : "It begins with the room's last checkpoint: the log no longer reaches back to its creation (--log-history-bytes of the nodes keeps more).",
    ]);
  });
}
