import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { CheckError } from "../../check/check-error.ts";
import type { CheckJob, CheckNews } from "../../check/check-job.ts";
import { type CheckScript, readScript } from "../../check/check-script.ts";
import { otherZone } from "../../check/elsewhere.ts";
import type { JudgedRoom, RoomVerdict } from "../../check/room-verdict.ts";
import { OutputTail, startStudio } from "../studio-process.ts";
import { type CliContext, show, withExample } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { existingFile, type StudioFlags, withImport } from "./studio-flags.ts";

interface CheckFlags extends StudioFlags {
  readonly script?: string;
  readonly limitMs: number;
  readonly json?: boolean;
}

/** A room's scripts take seconds. */
const limitMsDefault = 120_000;
const limitMsMax = 3_600_000;

/** `testudo check`: which rooms of a studio's server can be replicated, before any of them is (design 5.5). */
export function checkCommand(context: CliContext): Command {
  const command = new Command("check")
    .description("say of each room of a server whether it can be replicated: works, declare or change")
    .argument(
      "<file>",
      "what defines the server's rooms, as app.config.ts; it stays as it is, and nothing listens",
    )
    .option(
      "--script <file>",
      'recorded scripts, as JSON by room: { "arena": { "steps": [{ "type": "join", … }] } }',
    )
    .option("--limit-ms <ms>", "how long a room may take", wholeMs, limitMsDefault)
    .option("--json", "the result as JSON, for programs");
  withExample(withImport(command), "check src/app.config.ts --script recorded.json");
  return command.action(async (file: string, flags: CheckFlags) => {
    const path = existingFile(context, file);
    const scripts = flags.script === undefined ? {} : readScripts(resolve(context.cwd, flags.script));
    const first = await new Check(context, flags).run({ file: path, scripts, against: null });
    const verdicts = await inAnotherProcess(first, (against) =>
      new Check(context, flags, { TZ: otherZone() }).run({ file: path, scripts, against }),
    );
    const lines = verdicts.flatMap((verdict) => describe(verdict, context.cwd));
    show(context, flags.json, verdicts, lines);
    const unfit = verdicts.filter(({ verdict }) => verdict !== "works").length;
    if (unfit > 0)
      throw new CliError(
        "ROOMS_UNFIT",
        `${unfit} of ${verdicts.length} rooms ask for declarations or changes`,
      );
  });
}

/** What a module draws or reads once, when it is loaded, shows in a process of its own only. */
async function inAnotherProcess(
  first: readonly JudgedRoom[],
  run: (against: NonNullable<CheckJob["against"]>) => Promise<readonly JudgedRoom[]>,
): Promise<readonly RoomVerdict[]> {
  const fit = first.filter(({ verdict }) => verdict.verdict !== "change");
  const trails = fit.map(({ verdict, trails: each }) => [verdict.room, each] as const);
  const second = fit.length === 0 ? [] : await run(Object.fromEntries(trails));
  const differing = second.map(({ verdict }) => verdict).filter(({ verdict }) => verdict === "change");
  return first.map(({ verdict }) => {
    const differs = differing.find(({ room }) => room === verdict.room);
    return differs === undefined ? verdict : { ...verdict, verdict: "change", findings: differs.findings };
  });
}

function wholeMs(text: string): number {
  const ms = Number(text);
  if (Number.isInteger(ms) && ms >= 100 && ms <= limitMsMax) return ms;
  throw new InvalidArgumentError(`allowed is a whole number from 100 to ${limitMsMax}.`);
}

/** @throws CliError SCRIPT_MALFORMED */
function readScripts(path: string): Record<string, CheckScript> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new CheckError(
        "SCRIPT_MALFORMED",
        'scripts are an object, by room: { "arena": { "steps": [] } }',
      );
    return Object.fromEntries(
      Object.entries(value).map(([room, script]) => {
        try {
          return [room, readScript(script)];
        } catch (error) {
          if (!(error instanceof CheckError)) throw error;
          throw new CheckError(error.code, `"${room}": ${error.message}`);
        }
      }),
    );
  } catch (error) {
    throw new CliError("SCRIPT_MALFORMED", `${path}: ${(error as Error).message}`, 2);
  }
}

/** The process that checks, and what comes of it. */
class Check {
  readonly #context: CliContext;
  readonly #flags: CheckFlags;
  readonly #variables: Readonly<Record<string, string>>;
  readonly #judged: JudgedRoom[] = [];
  readonly #output = new OutputTail();
  #room: string | null = null;
  #end: CheckNews | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isLate = false;

  /** @param variables beside those of this process */
  constructor(context: CliContext, flags: CheckFlags, variables: Readonly<Record<string, string>> = {}) {
    this.#context = context;
    this.#flags = flags;
    this.#variables = variables;
  }

  /** @throws CliError with 2: it could not be run */
  async run(job: CheckJob): Promise<readonly JudgedRoom[]> {
    const child = startStudio("check/check-main", {
      cwd: this.#context.cwd,
      imports: this.#flags.import,
      env: { ...process.env, ...this.#variables },
      wrote: (text) => this.#output.push(text),
    });
    child.on("message", (news) => this.#hear(child, news as CheckNews));
    this.#limit(child);
    child.send(job, () => {});
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    clearTimeout(this.#timer ?? undefined);
    return this.#result(job, signal ?? `exit code ${code}`);
  }

  #hear(child: ChildProcess, news: CheckNews): void {
    this.#limit(child);
    if (news.type === "begins") {
      this.#room = news.room;
      const where = Object.keys(this.#variables).length === 0 ? "" : " in another process, elsewhere";
      this.#context.tell(`checking ${news.room}${where}\n`);
    } else if (news.type === "judged") {
      this.#room = null;
      this.#judged.push(news.judged);
    } else this.#end = news;
  }

  /** Anew for each room. */
  #limit(child: ChildProcess): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      child.kill("SIGKILL");
    }, this.#flags.limitMs);
  }

  #result({ file }: CheckJob, end: string): readonly JudgedRoom[] {
    if (this.#end?.type === "done") return this.#judged;
    if (this.#end?.type === "failed") throw new CliError(this.#end.code, this.#end.message, 2);
    const what = this.#room === null ? file : `room "${this.#room}"`;
    if (this.#isLate) {
      const { limitMs } = this.#flags;
      const why = "its code does not come back, or --limit-ms is too short";
      throw new CliError("CHECK_TOO_LONG", `${what} took longer than ${limitMs} ms: ${why}`, 2);
    }
    const tail = this.#output.words;
    throw new CliError("CHECK_ENDED", `${what} ended the process that checks (${end}):\n  ${tail}`, 2);
  }
}

function describe(verdict: RoomVerdict, cwd: string): string[] {
  const place = (at: string | null) => (at === null ? "" : shortPlace(at, cwd));
  const { room, className, at, declare, findings, warnings } = verdict;
  const lines = [`${room} (${[className, place(at)].filter(Boolean).join(", ")}): ${verdict.verdict}`];
  const parts = [
    ...(declare.classes.length > 0 ? [`classes: [${declare.classes.join(", ")}]`] : []),
    ...(declare.transient.length > 0 ? [`transient: ${JSON.stringify(declare.transient)}`] : []),
  ];
  if (parts.length > 0) lines.push(`  replicated(${className}, { ${parts.join(", ")} })`);
  for (const { what, remedy, at: where } of findings) {
    lines.push(`  ${where === null ? "" : `${place(where)}: `}${what}`, `    remedy: ${remedy}`);
  }
  return [...lines, ...warnings.map((warning) => `  note: ${warning.replaceAll(`${cwd}/`, "")}`)];
}

function shortPlace(at: string, cwd: string): string {
  const short = relative(cwd, at);
  return short.startsWith("..") ? at : short;
}
