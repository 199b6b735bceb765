import { Command } from "commander";
import { decodeBackup } from "../../cluster/backup/backup-file.ts";
import { type CliContext, type NodeFlags, show, withExample, withNode } from "./cli-context.ts";
import { OperatorClient } from "./operator-client.ts";
import { newFile, receiveFile } from "./received-file.ts";

/** `testudo backup FILE`: the whole cluster, while it runs. */
export function backupCommand(context: CliContext): Command {
  const command = new Command("backup")
    .description("save the state of the whole cluster to a file, while it runs")
    .argument("<file>", "is made, and must not be there yet");
  withExample(withNode(command), "backup arena.backup --secret-file data/secret");
  return command.action(async (file: string, flags: NodeFlags) => {
    const path = newFile(file, context);
    const answer = await new OperatorClient(flags).open("GET", "backup");
    const told = { clusterId: "", groups: 0, parts: 0, entries: 0, bytes: 0 };
    const check = (chunks: AsyncIterable<Uint8Array>) => look(chunks, told);
    told.bytes = await receiveFile(answer, path, { context, check });
    show(context, flags.json, told, [
      `${file}: cluster ${told.clusterId}, ${told.groups} groups, ${told.parts} parts, ${told.entries} entries, ${told.bytes} bytes`,
    ]);
  });
}

async function look(
  chunks: AsyncIterable<Uint8Array>,
  told: { clusterId: string; groups: number; parts: number; entries: number },
): Promise<void> {
  for await (const record of decodeBackup(chunks)) {
    if (record.type === "backup") told.clusterId = record.clusterId;
    if (record.type === "backup") told.groups = record.groups;
    if (record.type === "part") told.parts += 1;
    if (record.type === "entries") told.entries += record.entries.length;
  }
}
