import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import type { Replayed, ReplayedEntry, ReplayJob, ReplayNews } from "../../check/replay/replay-job.ts";
import type { ExportHeader } from "../../colyseus/room-export/export-record.ts";
import { type CliContext, withExample } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";

interface ReplayFlags {
  readonly app?: string;
  readonly to?: number;
  readonly inspect?: boolean | string;
  readonly state?: boolean;
  readonly import: readonly string[];
  readonly otherEngine?: boolean;
  readonly json?: boolean;
}

/** Code of ours is .ts in a checkout, and .js in the package. */
const ending = extname(import.meta.filename);
const main = join(import.meta.dirname, `../../check/replay/replay-main${ending}`);
/** Time and chance must be replaced before any other module can take hold of them (design 5.4). */
const preload = join(import.meta.dirname, `../../colyseus/register${ending}`);
const appDefaults = ["app.config.ts", "src/app.config.ts", "app.config.js", "src/app.config.js"];
/** What is shown of a process that ended without a word of ours. */
const tailLines = 12;
const outputBytesMax = 64 * 1024;
const inspectDefault = "127.0.0.1:9229";

/** `testudo replay FILE`: a match once more, on this machine alone. */
export function replayCommand(context: CliContext): Command {
  const command = new Command("replay")
    .description("play a match once more, entry by entry, from what testudo rooms export saved")
    .argument("<file>", "the export")
    .option("--app <file>", `what defines the server's rooms; by default ${appDefaults.join(", ")}`)
    .option("--to <index>", "the last entry that is applied; its state is printed", wholeIndex)
    .option(
      "--inspect [address]",
      `wait for a debugger (${inspectDefault}), and stop before the entry --to, or the first one`,
    )
    .option("--state", "print what each entry changes in the room's state")
    .option(
      "--import <module>",
      "a module that Node loads before the app, as tsx; may be given again",
      gather,
      [],
    )
    .option("--other-engine", "replay it on another engine than it was played on: it may differ")
    .option("--json", "the result as JSON, for programs");
  withExample(command, "replay final.testudo --app src/app.config.ts --to 4711 --inspect");
  return command.action(async (file: string, flags: ReplayFlags) => {
    const job: ReplayJob = {
      file: existing(context, file),
      app: existing(context, flags.app ?? defaultApp(context)),
      to: flags.to ?? null,
      inspect: flags.inspect !== undefined,
      withState: flags.state ?? false,
      otherEngine: flags.otherEngine ?? false,
    };
    const teller = flags.json ? new JsonTeller(context) : new LineTeller(context, job);
    const replayed = await new ReplayProcess(context, flags, teller).run(job);
    if (replayed.difference !== null) throw new CliError("REPLAY_DIFFERS", replayed.difference);
  });
}

function existing({ cwd }: CliContext, file: string): string {
  const path = resolve(cwd, file);
  if (existsSync(path) && statSync(path).isFile()) return path;
  throw new CliError("FILE_MISSING", `${path} is not there, or no file`, 2);
}

function defaultApp({ cwd }: CliContext): string {
  const found = appDefaults.find((file) => existsSync(resolve(cwd, file)));
  if (found !== undefined) return found;
  throw new CliError("FILE_MISSING", `none of ${appDefaults.join(", ")} is in ${cwd}: --app FILE`, 2);
}

function gather(module: string, before: readonly string[]): readonly string[] {
  return [...before, module];
}

function wholeIndex(text: string): number {
  const index = Number(text);
  if (Number.isSafeInteger(index) && index >= 1) return index;
  throw new InvalidArgumentError("allowed is an entry's index, a whole number from 1 on.");
}

interface Teller {
  begins(header: ExportHeader, warnings: readonly string[]): void;
  entry(entry: ReplayedEntry): void;
  done(replayed: Replayed): void;
}

/** For people, as it comes. */
class LineTeller implements Teller {
  readonly #context: CliContext;
  readonly #job: ReplayJob;

  constructor(context: CliContext, job: ReplayJob) {
    this.#context = context;
    this.#job = job;
  }

  #line(line: string): void {
    this.#context.write(`${line}\n`);
  }

  begins({ roomName, roomId, firstIndex, lastIndex, completeFrom, clusterId, testudo }: ExportHeader): void {
    const from = completeFrom === "creation" ? "its creation" : "its last checkpoint";
    this.#line(
      `${roomName} ${roomId} of cluster ${clusterId} (Testudo ${testudo}): entries ${firstIndex} to ${lastIndex}, from ${from}`,
    );
  }

  entry({ index, logTimeMs, kind, who, what, printed, changes }: ReplayedEntry): void {
    this.#line(`#${index}  ${(logTimeMs / 1000).toFixed(3)} s  ${kind}  ${who}  ${what}`.trimEnd());
    for (const line of printed) this.#line(`    | ${line}`);
    for (const change of changes) this.#line(`    ~ ${change}`);
  }

  done({ index, difference, compared, ended, hash, state }: Replayed): void {
    if (difference !== null)
      this.#line(`\nDIFFERENT: ${difference}. It stopped behind entry ${index}; is it the same code?`);
    else if (this.#job.to !== null) this.#line(JSON.stringify(state, null, 2));
    if (difference === null) {
      const what = ended ? "the room has ended" : `hash ${hash ?? "none"}`;
      this.#line(`At entry ${index}: ${what}; ${compared} hashes of the cluster's compared, all alike.`);
    }
  }
}

/** One JSON value, written as it comes: a match may be long. */
class JsonTeller implements Teller {
  readonly #context: CliContext;
  #isFirst = true;

  constructor(context: CliContext) {
    this.#context = context;
  }

  begins({ type: _, ...header }: ExportHeader, warnings: readonly string[]): void {
    const [room, told] = [JSON.stringify(header), JSON.stringify(warnings)];
    this.#context.write(`{"room":${room},"warnings":${told},"entries":[`);
  }

  entry(entry: ReplayedEntry): void {
    this.#context.write(`${this.#isFirst ? "" : ",\n"}${JSON.stringify(entry)}`);
    this.#isFirst = false;
  }

  done(replayed: Replayed): void {
    this.#context.write(`],"result":${JSON.stringify(replayed)}}\n`);
  }
}

/** The process that replays: what the room's code prints or ends is not the command line's. */
class ReplayProcess {
  readonly #context: CliContext;
  readonly #flags: ReplayFlags;
  readonly #teller: Teller;
  #output = "";
  #end: ReplayNews | null = null;

  constructor(context: CliContext, flags: ReplayFlags, teller: Teller) {
    this.#context = context;
    this.#flags = flags;
    this.#teller = teller;
  }

  /** @throws CliError */
  async run(job: ReplayJob): Promise<Replayed> {
    const imports = [pathToFileURL(preload).href, ...this.#flags.import].flatMap((module) => [
      "--import",
      module,
    ]);
    const child = spawn(process.execPath, [...this.#inspecting(), ...imports, main], {
      cwd: this.#context.cwd,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced",
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (bytes: Buffer) => {
        const text = bytes.toString("utf8");
        // Where the debugger is to go.
        if (job.inspect) this.#context.tell(text);
        this.#output = (this.#output + text).slice(-outputBytesMax);
      });
    child.on("message", (news) => this.#hear(news as ReplayNews));
    child.send(job, () => {});
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    return this.#result(signal ?? `exit code ${code}`);
  }

  #inspecting(): string[] {
    const { inspect } = this.#flags;
    if (inspect === undefined) return [];
    return [`--inspect-wait=${typeof inspect === "string" ? inspect : inspectDefault}`];
  }

  #hear(news: ReplayNews): void {
    if (news.type === "begins") {
      for (const warning of news.warnings) this.#context.tell(`WARNING: ${warning}\n`);
      this.#teller.begins(news.header, news.warnings);
    } else if (news.type === "entry") this.#teller.entry(news.entry);
    else {
      this.#end = news;
      // Not only when it has ended: it waits until its debugger has gone.
      if (news.type === "done") this.#teller.done(news.replayed);
    }
  }

  #result(end: string): Replayed {
    if (this.#end?.type === "done") return this.#end.replayed;
    if (this.#end?.type === "failed") {
      const { code, message } = this.#end;
      throw new CliError(code, message, code === "TO_OUT_OF_RANGE" ? 2 : 1);
    }
    const told = this.#output.split("\n").filter((line) => line.trim() !== "" && !/^\s+at /.test(line));
    throw new CliError(
      "REPLAY_ENDED",
      `the process that replays has ended (${end}): ${told.slice(-tailLines).join("\n  ")}`,
    );
  }
}
