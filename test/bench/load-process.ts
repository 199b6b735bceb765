import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { LoadJob, LoadResult } from "./load-job.ts";

const script = fileURLToPath(new URL("load-main.ts", import.meta.url));

/** The process that makes the load: one for each set of connections. */
export class LoadProcess {
  readonly #child: ChildProcess = fork(script, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  #stderr = "";

  constructor() {
    this.#child.stderr?.on("data", (bytes: Buffer) => {
      this.#stderr += bytes.toString("utf8");
    });
  }

  static async withRooms(urls: readonly string[]): Promise<LoadProcess> {
    const load = new LoadProcess();
    await load.#ask({ type: "openRooms", urls });
    return load;
  }

  static async withEtcd(ports: readonly number[]): Promise<LoadProcess> {
    const load = new LoadProcess();
    await load.#ask({ type: "openEtcd", ports });
    return load;
  }

  async run(inFlight: number, durationMs: number): Promise<LoadResult> {
    return (await this.#ask({ type: "run", inFlight, durationMs })) as LoadResult;
  }

  async end(): Promise<void> {
    await this.#ask({ type: "close" });
    this.#child.disconnect();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async #ask(job: LoadJob): Promise<LoadResult | null> {
    return await new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error(`the load process ended: ${this.#stderr}`));
      this.#child.once("exit", ended);
      this.#child.once("message", (result) => {
        this.#child.off("exit", ended);
        resolve(result as LoadResult | null);
      });
      this.#child.send(job);
    });
  }
}
