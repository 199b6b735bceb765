import { once } from "node:events";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { checkCodeRuns } from "../../check/replay/led-export.ts";
import type { Replayed, ReplayedEntry, ReplayJob, ReplayNews } from "../../check/replay/replay-job.ts";
import type { ExportHeader } from "../../colyseus/room-export/export-record.ts";
import { OutputTail, startStudio } from "../studio-process.ts";
import { type CliContext, withExample } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { existingFile, type StudioFlags, withImport } from "./studio-flags.ts";

interface ReplayFlags extends StudioFlags {
  readonly app?: string;
  readonly to?: number;
  readonly inspect?: boolean | string;
  readonly state?: boolean;
  readonly otherEngine?: boolean;
  readonly json?: boolean;
}

const appDefaults = ["app.config.ts", "src/app.config.ts", "app.config.js", "src/app.config.js"];
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
    .option("--other-engine", "replay it on another engine than it was played on: it may differ")
    .option("--json", "the result as JSON, for programs");
  withExample(withImport(command), "replay final.testudo --app src/app.config.ts --to 4711 --inspect");
  return command.action(async (file: string, flags: ReplayFlags) => {
    const job: ReplayJob = {
      file: existingFile(context, file),
      app: existingFile(context, flags.app ?? defaultApp(context)),
      to: flags.to ?? null,
      inspect: flags.inspect !== undefined,
      withState: flags.state ?? false,
      otherEngine: flags.otherEngine ?? false,
    };
    if (job.inspect) await checkInspectable(job.file);
    const teller = flags.json ? new JsonTeller(context) : new LineTeller(context, job);
    const replayed = await new ReplayProcess(context, flags, teller).run(job);
    if (replayed.difference !== null) throw new CliError("REPLAY_DIFFERS", replayed.difference);
  });
}

async function checkInspectable(file: string): Promise<void> {
  await checkCodeRuns(file).catch((error: Error & { code?: string }) => {
    throw new CliError(error.code ?? "REPLAY_FAILED", error.message);
  });
}

function defaultApp({ cwd }: CliContext): string {
  const found = appDefaults.find((file) => existsSync(resolve(cwd, file)));
  if (found !== undefined) return found;
  throw new CliError("FILE_MISSING", `none of ${appDefaults.join(", ")} is in ${cwd}: --app FILE`, 2);
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

  begins({ roomName, roomId, firstIndex, lastIndex, completeFrom, ...header }: ExportHeader): void {
    const { clusterId, testudo, code } = header;
    const from = completeFrom === "creation" ? "its creation" : "its last checkpoint";
    const versions = code === "" ? `Testudo ${testudo}` : `Testudo ${testudo}, the game's code ${code}`;
    this.#line(
      `${roomName} ${roomId} of cluster ${clusterId} (${versions}): entries ${firstIndex} to ${lastIndex}, from ${from}`,
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
  readonly #output = new OutputTail();
  #end: ReplayNews | null = null;

  constructor(context: CliContext, flags: ReplayFlags, teller: Teller) {
    this.#context = context;
    this.#flags = flags;
    this.#teller = teller;
  }

  /** @throws CliError */
  async run(job: ReplayJob): Promise<Replayed> {
    const child = startStudio("check/replay/replay-main", {
      cwd: this.#context.cwd,
      imports: this.#flags.import,
      nodeFlags: this.#inspecting(),
      wrote: (text) => {
        // Where the debugger is to go.
        if (job.inspect) this.#context.tell(text);
        this.#output.push(text);
      },
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
    throw new CliError("REPLAY_ENDED", `the process that replays has ended (${end}): ${this.#output.words}`);
  }
}
