import { CliError } from "./cli-error.ts";

/** Text as it is; with --json what it says. @throws CliError OPTION_WRONG */
export function readValue(text: string, { json }: { readonly json?: boolean }): unknown {
  if (json !== true) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new CliError(
      "OPTION_WRONG",
      `${text.slice(0, 100)} is no JSON, which --json asks for: '"text"'`,
      2,
    );
  }
}

export function shownValue(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** @throws CliError OPTION_WRONG */
export function readWhole(flag: string, text: string | undefined): number | undefined {
  if (text === undefined || /^\d{1,15}$/.test(text)) return text === undefined ? text : Number(text);
  throw new CliError("OPTION_WRONG", `${flag} ${text}: a whole number is expected`, 2);
}
