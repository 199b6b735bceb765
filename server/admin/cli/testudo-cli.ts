import { Command, CommanderError } from "commander";
import { backupCommand } from "./backup-command.ts";
import { checkCommand } from "./check-command.ts";
import { type CliContext, withExample } from "./cli-context.ts";
import { CliError, CommandEnded } from "./cli-error.ts";
import { devCommand } from "./dev-command.ts";
import { drainCommand } from "./drain-command.ts";
import { groupsCommand } from "./groups-command.ts";
import { kvCommand } from "./kv-command.ts";
import { lockCommand } from "./lock-command.ts";
import { membersCommand } from "./members-command.ts";
import { recoverCommand } from "./recover-command.ts";
import { replayCommand } from "./replay-command.ts";
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
  kvCommand,
  lockCommand,
  checkCommand,
  devCommand,
  replayCommand,
];

/** Everything that there is, below `testudo`. @param complain what commander itself says of a wrong command */
export function testudoProgram(context: CliContext, complain = context.tell): Command {
  const program = new Command("testudo")
    .description("Operates a Testudo cluster, and the data folders of its nodes; checks and replays rooms.")
    .showSuggestionAfterError()
    .configureOutput({ writeOut: context.write, writeErr: complain })
    .exitOverride();
  withExample(program, "rooms list --secret-file data/secret");
  for (const command of commands) {
    const made = command(context);
    for (const each of [made, ...made.commands]) each.copyInheritedSettings(program);
    program.addCommand(made);
  }
  return program;
}

/** @returns the exit code: 0, 1 (it could not be done) or 2 (the command was wrong); of `lock run`, its command's own */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  // Also of a command that is so wrong that nobody has read its flags.
  const forPrograms = args.includes("--json");
  const refused = (code: string, message: string) =>
    context.tell(
      forPrograms ? `${JSON.stringify({ error: { code, message } })}\n` : `testudo: ${code}: ${message}\n`,
    );
  try {
    await testudoProgram(context, forPrograms ? () => {} : context.tell).parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and its like end by an exception, too, with 0.
      if (error.exitCode === 0) return 0;
      if (forPrograms) refused("COMMAND_WRONG", error.message.replace(/^error: /, ""));
      return 2;
    }
    if (error instanceof CommandEnded) return error.exitCode;
    if (!(error instanceof CliError)) throw error;
    refused(error.code, error.message);
    return error.exitCode;
  }
}
