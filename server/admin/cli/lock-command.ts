import { randomUUID } from "node:crypto";
import { Command } from "commander";
import { keeperLimits } from "../../menu/keeper-limits.ts";
import { type CliContext, type NodeFlags, withExample, withNode } from "./cli-context.ts";
import { CliError, CommandEnded } from "./cli-error.ts";
import { readWhole } from "./kv-words.ts";
import { LockHold } from "./lock-hold.ts";
import { runUnder } from "./locked-process.ts";

interface RunFlags extends NodeFlags {
  readonly wait?: boolean;
  readonly waitMs?: string;
  readonly leaseMs: string;
  readonly killAfterMs: string;
}

const killAfterMsMax = 600_000;

/** `testudo lock …`: the locks that all nodes share. */
export function lockCommand(context: CliContext): Command {
  const command = new Command("lock").description("the locks that all nodes share: run a command under one");
  withExample(command, "lock run migrate --wait --secret-file data/secret -- node migrate.js");
  return command.addCommand(runCommand(context));
}

function runCommand(context: CliContext): Command {
  const { leaseMsMin, leaseMsMax } = keeperLimits;
  const command = new Command("run")
    .description(
      "runs a command while it holds a lock, and ends with its exit code; the command is ended (SIGTERM, then SIGKILL) as soon as the lock is not certain to be held any more",
    )
    .argument("<name>", "the lock's")
    .argument(
      "<command...>",
      "behind --; in its environment TESTUDO_LOCK_TOKEN is the fencing token: larger than that of any holder before",
    )
    .option("--wait", "if another holds it: for as long as it takes, in the order of coming")
    .option("--wait-ms <ms>", "the same, but not for longer than this")
    .option(
      "--lease-ms <ms>",
      `for how long it stays held if this process is lost: ${leaseMsMin} to ${leaseMsMax}`,
      "10000",
    )
    .option("--kill-after-ms <ms>", "what a command that is to end has from SIGTERM to SIGKILL", "5000");
  withExample(withNode(command), "lock run migrate --wait --secret-file data/secret -- node migrate.js");
  return command.action(async (name: string, words: readonly string[], flags: RunFlags) => {
    const killAfterMs = readWhole("--kill-after-ms", flags.killAfterMs) as number;
    if (killAfterMs > killAfterMsMax)
      throw new CliError("OPTION_WRONG", `--kill-after-ms ${killAfterMs}: at most ${killAfterMsMax}`, 2);
    const leaseMs = readWhole("--lease-ms", flags.leaseMs) as number;
    const waitMs = readWhole("--wait-ms", flags.waitMs) ?? (flags.wait ? null : 0);
    const hold = new LockHold(flags, { name, claimant: randomUUID(), leaseMs });
    const lock = await hold.acquire(waitMs);
    if (flags.json) context.tell(`${JSON.stringify({ lock: name, token: lock.token })}\n`);
    const environment = { TESTUDO_LOCK: name, TESTUDO_LOCK_TOKEN: String(lock.token) };
    const ended = await runUnder(lock.lost, words, { environment, killAfterMs }).finally(() =>
      // Whoever waits need not wait for the lease.
      lock.release().catch(() => false),
    );
    if (lock.lost.aborted)
      throw new CliError("LOCK_LOST", `${(lock.lost.reason as Error).message}: ${words[0]} was ended`);
    throw new CommandEnded(ended);
  });
}
