import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { exitCodes } from "./node-error.ts";
import type { NodePlan } from "./starter-options.ts";

export const childDefaults = Object.freeze({
  /** A node that ended by itself sooner than this after its start "died at once". */
  quickDeathMs: 10_000,
  /** After so many of these in a row it is not started again. */
  quickDeathsMax: 5,
  restartDelayMsMax: 30_000,
  /** Threads for disk and crypto: one slow scrypt must not hold up a sync of the log (design 6). */
  threads: 8,
});

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly livedMs: number;
}

export type AfterDeath =
  | { readonly type: "restart"; readonly delayMs: number }
  /** It would end the same way again. */
  | { readonly type: "giveUp"; readonly why: string };

/** Whether and when a node that died is started again; remembers how often it died at once. */
export class RestartPolicy {
  readonly #restartAfterMs: number;
  #quickDeaths = 0;

  constructor(restartAfterMs: number) {
    this.#restartAfterMs = restartAfterMs;
  }

  died({ code, signal, livedMs }: ChildEnd): AfterDeath {
    if (code === exitCodes.wrongOptions) return { type: "giveUp", why: "its options are wrong" };
    if (code === exitCodes.refused)
      return { type: "giveUp", why: "its data folder and the cluster do not fit together" };
    if (code === exitCodes.removed) return { type: "giveUp", why: "it was removed from its cluster" };
    // A kill is somebody's doing, however often: it says nothing about the node.
    const quick = livedMs < childDefaults.quickDeathMs && signal !== "SIGKILL" && signal !== "SIGTERM";
    this.#quickDeaths = quick ? this.#quickDeaths + 1 : 0;
    if (this.#quickDeaths >= childDefaults.quickDeathsMax) {
      return { type: "giveUp", why: `it died at once ${this.#quickDeaths} times in a row` };
    }
    const factor = 2 ** Math.max(this.#quickDeaths - 1, 0);
    const delayMs = Math.max(
      this.#restartAfterMs,
      Math.min(this.#restartAfterMs * factor, childDefaults.restartDelayMsMax),
    );
    return { type: "restart", delayMs };
  }
}

export interface ChildNodeOptions {
  readonly plan: NodePlan;
  /** What goes before the node's own flags: Node's, and the path of main. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** A whole line of its output. */
  readonly line: (stream: "stdout" | "stderr", line: string) => void;
  readonly ended: (end: ChildEnd) => void;
}

/** A node as a process of its own. It notices the end of this process by its IPC channel, and stops. */
export class ChildNode {
  readonly #child: ChildProcess;
  readonly #startedMs = performance.now();
  #ended = false;

  constructor({ plan, command, cwd, line, ended }: ChildNodeOptions) {
    this.#child = spawn(process.execPath, [...command, ...plan.args], {
      cwd,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: childEnvironment(process.env),
    });
    const end = (code: number | null, signal: string | null) => {
      if (this.#ended) return;
      this.#ended = true;
      ended({ code, signal, livedMs: performance.now() - this.#startedMs });
    };
    for (const stream of ["stdout", "stderr"] as const) {
      createInterface({ input: this.#child[stream] as Readable }).on("line", (text) => line(stream, text));
    }
    // `close`, not `exit`: its last line comes before the news of its end.
    this.#child.on("close", end);
    this.#child.on("error", (error) => {
      line("stderr", error.message);
      if (this.#child.pid === undefined) end(null, null);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#ended;
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    if (!this.#ended) this.#child.kill(signal);
  }
}

/** The starter has read TESTUDO_… for all nodes; a node shall not read it once more. */
function childEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(env).filter(([name]) => !name.startsWith("TESTUDO_"));
  // Colyseus reads .env files by dotenv, which tells of it on stderr: that is for what went wrong.
  const defaults = { UV_THREADPOOL_SIZE: String(childDefaults.threads), DOTENV_CONFIG_QUIET: "true" };
  return { ...defaults, ...Object.fromEntries(own) };
}
