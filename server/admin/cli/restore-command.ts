import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { decodeBackup } from "../../cluster/backup/backup-file.ts";
import { type CliContext, show, withExample } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { isBlank, nextSteps, restoreInto } from "./data-folder.ts";
import { cliError } from "./received-file.ts";

/** `testudo restore FILE`: a backup becomes the data folder of a new cluster's first node. */
export function restoreCommand(context: CliContext): Command {
  const command = new Command("restore")
    .description("make a new cluster's first data folder from a backup")
    .argument("<file>", "what `testudo backup` made")
    .requiredOption("--id <node>", "the node that will run on it")
    .requiredOption("--data <folder>", "its data folder, which must not be there yet")
    .option("--json", "the result as JSON, for programs");
  withExample(command, "restore arena.backup --id n1 --data data/n1");
  return command.action(async (file: string, flags: { id: string; data: string; json?: boolean }) => {
    const location = resolve(context.cwd, flags.data);
    if (!isBlank(location))
      throw new CliError(
        "FOLDER_NOT_BLANK",
        `${flags.data} has something in it: choose a folder that is not there`,
        2,
      );
    try {
      const chunks = createReadStream(resolve(context.cwd, file)) as AsyncIterable<Uint8Array>;
      const restored = await restoreInto(location, flags.id, decodeBackup(chunks));
      const { clusterId, groups, parts, entries } = restored;
      const lines = [
        `${flags.data}: new cluster ${clusterId}, ${groups} groups, ${parts} parts, ${entries} entries`,
      ];
      show(context, flags.json, restored, [...lines, ...nextSteps(flags.id)]);
    } catch (error) {
      // Half a folder is worse than none.
      await rm(location, { recursive: true, force: true });
      throw error instanceof CliError ? error : cliError(error);
    }
  });
}
