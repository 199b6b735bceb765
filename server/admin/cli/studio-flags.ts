import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { CliContext } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";

/** Of a command that loads a studio's own code. */
export interface StudioFlags {
  readonly import: readonly string[];
}

export function withImport(command: Command): Command {
  return command.option(
    "--import <module>",
    "a module that Node loads before the file, as tsx; may be given again",
    (module: string, before: readonly string[]) => [...before, module],
    [],
  );
}

/** The path of a file that must be there. @throws CliError FILE_MISSING */
export function existingFile({ cwd }: Pick<CliContext, "cwd">, file: string): string {
  const path = resolve(cwd, file);
  if (existsSync(path) && statSync(path).isFile()) return path;
  throw new CliError("FILE_MISSING", `${path} is not there, or no file`, 2);
}
