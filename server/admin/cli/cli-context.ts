import type { Command } from "commander";
import type { NodeAddress } from "./operator-client.ts";

/** Where a command writes, and what it stands in. */
export interface CliContext {
  readonly write: (text: string) => void;
  /** Progress and such: not part of the result. */
  readonly tell: (line: string) => void;
  readonly cwd: string;
}

const defaultUrl = "http://localhost:2567";

/** The options of a command that talks to a node, each also by its TESTUDO_… variable. */
export function withNode(command: Command): Command {
  const option = (flags: string, summary: string, variable: string, fallback?: string) => {
    const made = command.createOption(flags, summary).env(variable);
    command.addOption(fallback === undefined ? made : made.default(fallback));
  };
  option("--url <url>", "any node of the cluster", "TESTUDO_URL", defaultUrl);
  option("--secret-file <file>", "the file that holds the cluster's secret", "TESTUDO_SECRET_FILE");
  option("--secret <text>", "the cluster's secret itself", "TESTUDO_SECRET");
  return command.option("--json", "the result as JSON, for programs");
}

export interface NodeFlags extends NodeAddress {
  readonly json?: boolean;
}

/** An example at the end of a command's help. */
export function withExample(command: Command, example: string): Command {
  return command.addHelpText("after", `\nExample:\n  $ testudo ${example}`);
}

/** The result, for a program or for people. */
export function show(
  context: CliContext,
  json: boolean | undefined,
  value: unknown,
  lines: readonly string[],
): void {
  context.write(json ? `${JSON.stringify(value)}\n` : `${lines.join("\n")}\n`);
}

/** Columns as wide as they must be. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
