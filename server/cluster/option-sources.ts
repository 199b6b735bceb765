import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { OptionError, type OptionOrigin } from "./option-error.ts";
import type { OptionKind } from "./option-kind.ts";

export interface OptionSpec<T> {
  readonly kind: OptionKind<T>;
  /** What holds if no source names it. */
  readonly fallback: T;
  /** For the help, one line. */
  readonly summary: string;
  /** Never shown in an error. */
  readonly hidden?: true;
}

export type OptionTable = Readonly<Record<string, OptionSpec<unknown>>>;

export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends OptionSpec<infer Value> ? Value : never;
};

export interface OptionInputs {
  /** Without the two first of process.argv. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where testudo.json is looked for, and what relative paths start from. */
  readonly cwd: string;
}

export interface ReadOptions<Table extends OptionTable> {
  readonly values: OptionValues<Table>;
  /** Where each value came from. */
  readonly origins: Readonly<Record<keyof Table & string, OptionOrigin>>;
  readonly helpWanted: boolean;
}

interface RawOption {
  readonly value: unknown;
  readonly origin: OptionOrigin;
}

export const configFileDefault = "testudo.json";
/** As the value of --config: read no file. */
export const configFileNone = "none";
const variablePrefix = "TESTUDO_";

/**
 * The options of a table, from flags, before the environment (`TESTUDO_…`), before testudo.json, before the fallbacks.
 * @throws OptionError: which option, where from, its value, what is allowed.
 */
export function readOptions<Table extends OptionTable>(
  table: Table,
  inputs: OptionInputs,
): ReadOptions<Table> {
  const flags = fromFlags(table, inputs.argv);
  const layers = [
    flags.raw,
    fromEnvironment(table, inputs.env),
    fromFile(table, inputs.cwd, flags.config ?? inputs.env[`${variablePrefix}CONFIG`]),
  ];
  const values: Record<string, unknown> = {};
  const origins: Record<string, OptionOrigin> = {};
  for (const [name, spec] of Object.entries(table)) {
    values[name] = spec.fallback;
    origins[name] = { type: "default" };
    const raw = layers.map((layer) => layer.get(name)).find((found) => found !== undefined);
    if (raw === undefined) continue;
    values[name] = check(name, spec, raw);
    origins[name] = raw.origin;
  }
  return {
    values: values as OptionValues<Table>,
    origins: origins as ReadOptions<Table>["origins"],
    helpWanted: flags.help,
  };
}

function check(name: string, spec: OptionSpec<unknown>, { value, origin }: RawOption): unknown {
  const parsed = spec.kind.schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new OptionError({
    option: name,
    origin,
    value: spec.hidden ? hidden(value) : value,
    allowed: spec.kind.allowed,
  });
}

/** A secret's length helps to find a slip and gives nothing away that the error itself does not. */
function hidden(value: unknown): string {
  return typeof value === "string" ? `(hidden, ${value.length} characters)` : "(hidden)";
}

function fromFlags(table: OptionTable, argv: readonly string[]) {
  const raw = new Map<string, RawOption>();
  const byFlag = new Map(Object.keys(table).map((name) => [flagName(name), name]));
  const types: Record<string, { type: "string" | "boolean" }> = {
    config: { type: "string" },
    help: { type: "boolean" },
  };
  for (const [flag, name] of byFlag)
    types[flag] = { type: specOf(table, name).kind.argument === null ? "boolean" : "string" };
  // Not `strict`: its errors name neither what is allowed nor the nearest name.
  const { tokens } = parseArgs({
    args: [...argv],
    options: types,
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  let config: string | undefined;
  let help = false;
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional")
      throw OptionError.unknown({
        name: token.value,
        origin: { type: "flag", flag: token.value },
        known: [],
      });
    const origin: OptionOrigin = { type: "flag", flag: token.rawName };
    const negated =
      token.name.startsWith("no-") && byFlag.has(token.name.slice(3)) ? token.name.slice(3) : null;
    const flag = negated ?? token.name;
    const type = types[flag]?.type;
    if (type === undefined || (negated !== null && (type !== "boolean" || token.value !== undefined))) {
      throw OptionError.unknown({
        name: token.rawName,
        origin,
        known: Object.keys(types).map((known) => `--${known}`),
      });
    }
    if (flag === "help") help = true;
    else if (flag === "config") config = textOf("config", token, "the path of a JSON file, or none");
    else {
      const name = byFlag.get(flag);
      assert(name !== undefined, "every known flag has a name");
      const value =
        type === "string"
          ? textOf(name, token, specOf(table, name).kind.allowed)
          : (token.value ?? negated === null);
      raw.set(name, { value, origin });
    }
  }
  return { raw, config, help };
}

function textOf(
  option: string,
  token: { value?: string | undefined; inlineValue?: boolean | undefined; rawName: string },
  allowed: string,
): string {
  // `--id --port 1` forgot the id: the next flag is never a value, unless it is written --id=--port.
  if (token.value === undefined || (token.inlineValue !== true && token.value.startsWith("--"))) {
    throw new OptionError({ option, origin: { type: "flag", flag: token.rawName }, value: "", allowed });
  }
  return token.value;
}

function fromEnvironment(table: OptionTable, env: OptionInputs["env"]): Map<string, RawOption> {
  const raw = new Map<string, RawOption>();
  const byVariable = new Map(Object.keys(table).map((name) => [variableName(name), name]));
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(variablePrefix) || value === undefined || variable === `${variablePrefix}CONFIG`)
      continue;
    const origin: OptionOrigin = { type: "environment", variable };
    const name = byVariable.get(variable);
    if (name === undefined)
      throw OptionError.unknown({ name: variable, origin, known: [...byVariable.keys()] });
    raw.set(name, { value, origin });
  }
  return raw;
}

function fromFile(table: OptionTable, cwd: string, named: string | undefined): Map<string, RawOption> {
  const raw = new Map<string, RawOption>();
  if (named === configFileNone) return raw;
  const path = resolve(cwd, named ?? configFileDefault);
  const content = readJson(path, { mustExist: named !== undefined });
  if (content === null) return raw;
  for (const [key, value] of Object.entries(content)) {
    const origin: OptionOrigin = { type: "file", path, key };
    if (!Object.hasOwn(table, key))
      throw OptionError.unknown({ name: key, origin, known: Object.keys(table) });
    raw.set(key, { value, origin });
  }
  return raw;
}

function readJson(path: string, { mustExist }: { mustExist: boolean }): object | null {
  const wrong = (value: string, allowed: string) =>
    new OptionError({ option: "config", origin: { type: "file", path, key: "" }, value, allowed });
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" && !mustExist) return null;
    throw wrong(code ?? String(error), "a file that can be read");
  }
  let content: unknown;
  try {
    content = JSON.parse(source);
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error), "JSON");
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw wrong(JSON.stringify(content), "a JSON object of options");
  }
  return content;
}

function specOf(table: OptionTable, name: string): OptionSpec<unknown> {
  const spec = table[name];
  assert(spec !== undefined, `no option ${name}`);
  return spec;
}

/** `peerHost` → `peer-host`. */
export function flagName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `peerHost` → `TESTUDO_PEER_HOST`. */
export function variableName(name: string): string {
  return variablePrefix + flagName(name).replaceAll("-", "_").toUpperCase();
}

/** The table that `--help` prints. */
export function describeOptions(table: OptionTable, usage: string): string {
  const rows = Object.entries(table).map(([name, { kind, fallback, summary }]) => ({
    flag: `--${flagName(name)}${kind.argument === null ? "" : ` ${kind.argument}`}`,
    text: `${summary} (${kind.allowed}${describeFallback(fallback)})`,
  }));
  rows.push({
    flag: "--config FILE",
    text: `where these stand as JSON, "none" for nowhere (default ${configFileDefault})`,
  });
  rows.push({ flag: "--help", text: "this table" });
  const width = Math.max(...rows.map((row) => row.flag.length));
  const lines = rows.map((row) => `  ${row.flag.padEnd(width)}  ${row.text}`);
  return [
    `Usage: ${usage}`,
    "",
    ...lines,
    "",
    `Each one may also stand in the environment (--peer-host: ${variableName("peerHost")}) or in ${configFileDefault}`,
    `(--peer-host: "peerHost"). A flag goes before the environment, the environment before the file.`,
    "",
  ].join("\n");
}

function describeFallback(fallback: unknown): string {
  if (
    fallback === null ||
    fallback === "" ||
    (typeof fallback === "object" && Object.keys(fallback).length === 0)
  )
    return "";
  return `; default ${typeof fallback === "string" ? fallback : JSON.stringify(fallback)}`;
}
