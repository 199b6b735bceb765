import { styleText } from "node:util";
import { z } from "zod";

const lineSchema = z.looseObject({
  level: z.number(),
  time: z.string(),
  msg: z.string().default(""),
  event: z.string().optional(),
});

const warnLevel = 40;
/** What an operator of a whole cluster wants to see of a healthy node. */
const shownEvents: ReadonlySet<string> = new Set(["serving", "draining", "stopping", "stopped", "failed"]);
const levelNames: Readonly<Record<number, string>> = { 40: "warning: ", 50: "error: ", 60: "fatal: " };

/**
 * What the starter shows of a line that a node wrote: null for nothing. Lines that are no log of Testudo's, such as
 * what packages and room code print, are shown only when everything is wanted.
 */
export function showLine(line: string, { verbose }: { verbose: boolean }): string | null {
  const parsed = parseLine(line);
  if (parsed === null) return verbose ? line : null;
  const { level, time, msg, event } = parsed;
  if (!verbose && level < warnLevel && !(event !== undefined && shownEvents.has(event))) return null;
  // 2026-01-02T03:04:05.678Z → 03:04:05.678
  return `${time.slice(11, 23)} ${levelNames[level] ?? ""}${msg}`;
}

function parseLine(line: string): z.infer<typeof lineSchema> | null {
  if (!line.startsWith("{")) return null;
  try {
    return lineSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

const nodeColors = ["cyan", "magenta", "blue"] as const;

/** Colours a line that the starter writes, for a terminal. */
export function paintLine(line: string): string {
  if (line.startsWith("Testudo is ready")) return paint(["bold", "green"], line);
  const [, node, number, text] = /^([a-z]+(\d+) \|) (.*)$/.exec(line) ?? [];
  if (node === undefined || text === undefined) return paint("bold", line);
  const told = /^[\d:.]+ warning: /.test(text)
    ? "yellow"
    : /^[\d:.]+ (error|fatal): /.test(text)
      ? "red"
      : null;
  const color = nodeColors[Number(number) % nodeColors.length] ?? "cyan";
  return `${paint(color, node)} ${told === null ? text : paint(told, text)}`;
}

/** Whoever calls knows that it is for a terminal. */
function paint(format: Parameters<typeof styleText>[0], text: string): string {
  return styleText(format, text, { validateStream: false });
}
