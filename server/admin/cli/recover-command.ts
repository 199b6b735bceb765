import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { folderSource } from "../../cluster/backup/backup-sources.ts";
import { takeBackup } from "../../cluster/backup/take-backup.ts";
import { type CliContext, show, withExample } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { folderStorage, isBlank, nextSteps, restoreInto } from "./data-folder.ts";
import { cliError } from "./received-file.ts";

interface RecoverFlags {
  readonly id: string;
  readonly data: string;
  readonly iAcceptDataLoss?: boolean;
  readonly json?: boolean;
}

/**
 * `testudo recover`: when most of a cluster's nodes are lost for good, a survivor becomes a new cluster of one. Never by
 * itself: what the others had acknowledged and this one has not heard of is lost.
 */
export function recoverCommand(context: CliContext): Command {
  const command = new Command("recover")
    .description("after the loss of most nodes: make a new cluster from what one survivor has")
    .requiredOption("--id <node>", "the survivor, which must not run")
    .requiredOption("--data <folder>", "its data folder; what it is now is kept beside it")
    .option("--i-accept-data-loss", "what the lost nodes had acknowledged, and this one has not, is gone")
    .option("--json", "the result as JSON, for programs");
  withExample(command, "recover --id n2 --data data/n2 --i-accept-data-loss");
  return command.action(async (flags: RecoverFlags) => {
    const location = resolve(context.cwd, flags.data);
    if (isBlank(location))
      throw new CliError("FOLDER_BLANK", `${flags.data} is no data folder: it is empty`, 2);
    if (flags.iAcceptDataLoss !== true) {
      throw new CliError(
        "DATA_LOSS_NOT_ACCEPTED",
        "nothing was done. As long as most nodes can come back, start them: nothing is lost then. If they cannot, what they acknowledged and this one has not heard of is gone for good; to go on from here, say --i-accept-data-loss",
        2,
      );
    }
    const kept = `${location}.before-recovery`;
    if (existsSync(kept))
      throw new CliError("FILE_EXISTS", `${kept} is there already: move it away first`, 2);
    const told = await recover(location, kept, flags.id);
    show(context, flags.json, told, [
      `${flags.data}: new cluster ${told.clusterId}, ${told.groups} groups, ${told.parts} parts, ${told.entries} entries`,
      `What it was is in ${kept}.`,
      ...nextSteps(flags.id),
    ]);
  });
}

async function recover(location: string, kept: string, nodeId: string) {
  const made = `${location}.recovering`;
  await rm(made, { recursive: true, force: true });
  const storage = folderStorage(location, nodeId);
  try {
    const opened = await storage.open();
    try {
      const restored = await restoreInto(made, nodeId, takeBackup(folderSource(storage, opened, Date.now())));
      await storage.close();
      await rename(location, kept);
      await rename(made, location);
      return { ...restored, kept };
    } finally {
      await storage.close();
    }
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    throw error instanceof CliError ? error : cliError(error);
  }
}
