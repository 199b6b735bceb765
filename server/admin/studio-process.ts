import { type ChildProcess, spawn } from "node:child_process";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** Code of ours is .ts in a checkout, and .js in the package. */
const ending = extname(import.meta.filename);
/** Time and chance must be replaced before any other module can take hold of them (design 5.4). */
const preload = join(import.meta.dirname, `../colyseus/register${ending}`);
/** What is shown of a process that ended without a word of ours. */
const tailLines = 12;
const outputBytesMax = 64 * 1024;

export interface StudioProcess {
  readonly cwd: string;
  /** Modules that Node loads before anything of the studio's, as tsx. */
  readonly imports: readonly string[];
  readonly nodeFlags?: readonly string[];
  /** All of its environment; by default this process's. */
  readonly env?: NodeJS.ProcessEnv;
  readonly wrote: (text: string) => void;
}

/**
 * A process for a studio's own code: what that prints or ends is not this one's. Messages may hold bytes.
 * @param main a module of ours, from `server/`, without its ending
 */
export function startStudio(
  main: string,
  { cwd, imports, nodeFlags = [], env, wrote }: StudioProcess,
): ChildProcess {
  const modules = [pathToFileURL(preload).href, ...imports].flatMap((module) => ["--import", module]);
  const file = join(import.meta.dirname, `../${main}${ending}`);
  const child = spawn(process.execPath, [...nodeFlags, ...modules, file], {
    cwd,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    serialization: "advanced",
    env: env ?? process.env,
  });
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (bytes: Buffer) => wrote(bytes.toString("utf8")));
  return child;
}

/** The end of what a process has written. */
export class OutputTail {
  #text = "";

  push(text: string): void {
    this.#text = (this.#text + text).slice(-outputBytesMax);
  }

  /** A few lines, without a stack's. */
  get words(): string {
    const lines = this.#text.split("\n").filter((line) => line.trim() !== "" && !/^\s+at /.test(line));
    return lines.slice(-tailLines).join("\n  ");
  }
}
