import { Command, CommanderError } from "commander";
import { backupCommand } from "./backup-command.ts";
import { checkCommand } from "./check-command.ts";
import type { CliContext } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { devCommand } from "./dev-command.ts";
import { drainCommand } from "./drain-command.ts";
import { groupsCommand } from "./groups-command.ts";
import { membersCommand } from "./members-command.ts";
import { recoverCommand } from "./recover-command.ts";
import { restoreCommand } from "./restore-command.ts";
import { roomsCommand } from "./rooms-command.ts";
import { transferCommand } from "./transfer-command.ts";

/** What the command line offers, in the order in which its help lists it. */
const commands: readonly ((context: CliContext) => Command)[] = [
  backupCommand,
  restoreCommand,
  recoverCommand,
  groupsCommand,
  membersCommand,
  roomsCommand,
  transferCommand,
  drainCommand,
  checkCommand,
  devCommand,
];

/** @returns the exit code: 0, 1 (it could not be done) or 2 (the command was wrong) */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  const program = new Command("testudo")
    .description("Operates a Testudo cluster, and the data folders of its nodes; checks rooms.")
    .showSuggestionAfterError()
    .configureOutput({ writeOut: context.write, writeErr: context.tell })
    .exitOverride();
  for (const command of commands) {
    const made = command(context);
    for (const each of [made, ...made.commands]) each.copyInheritedSettings(program);
    program.addCommand(made);
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    // Help and its like end by an exception, too, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof CliError)) throw error;
    context.tell(`testudo: ${error.code}: ${error.message}\n`);
    return error.exitCode;
  }
}
