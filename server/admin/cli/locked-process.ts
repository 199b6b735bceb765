import { spawn } from "node:child_process";
import { constants } from "node:os";
import { CliError } from "./cli-error.ts";

const forwarded = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs a command, with this process's streams, until it ends by itself or what it holds is lost.
 * @returns its exit code; 128 and the signal's number if a signal has ended it, as shells say it
 * @throws CliError COMMAND_NOT_FOUND
 */
export async function runUnder(
  lost: AbortSignal,
  [file = "", ...args]: readonly string[],
  {
    environment,
    killAfterMs,
  }: { readonly environment: Record<string, string>; readonly killAfterMs: number },
): Promise<number> {
  // The lease may have ended while this process stood still.
  if (lost.aborted) return 1;
  const child = spawn(file, args, { stdio: "inherit", env: { ...process.env, ...environment } });
  let timer: NodeJS.Timeout | null = null;
  const end = () => {
    child.kill("SIGTERM");
    timer = setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  };
  const forward = (signal: NodeJS.Signals) => void child.kill(signal);
  lost.addEventListener("abort", end);
  for (const signal of forwarded) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", ({ message }) =>
        reject(new CliError("COMMAND_NOT_FOUND", `${file} cannot be run (${message})`)),
      );
      child.once("exit", (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  } finally {
    lost.removeEventListener("abort", end);
    for (const signal of forwarded) process.off(signal, forward);
    if (timer !== null) clearTimeout(timer);
  }
}
