import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Client } from "@colyseus/sdk";
import { until } from "../e2e/cluster.ts";
import { type Line, readHistory } from "./history.ts";

export interface PlayersPlan {
  /** What they saw is written here. */
  readonly file: string;
  /** The nodes that they begin at. */
  readonly urls: readonly string[];
  readonly rooms: number;
  readonly stock: number;
  readonly wrapper: number;
  /** Requests a second, all players together. */
  readonly rate: number;
}

type Answer = { readonly order: string; readonly answered?: number };

const playersScript = fileURLToPath(new URL("players.ts", import.meta.url));

/** The process of players.ts. */
export class PlayerProcess {
  readonly #child: ChildProcess;
  readonly #file: string;
  readonly #answers: Answer[] = [];
  readonly #lines: string[] = [];

  constructor({ file, urls, rooms, stock, wrapper, rate }: PlayersPlan) {
    this.#file = file;
    const args = [playersScript, file, urls.join(), rooms, stock, wrapper, rate].map(String);
    this.#child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe", "ipc"] });
    this.#child.on("message", (message) => this.#answers.push(message as Answer));
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (bytes: Buffer) => this.#lines.push(bytes.toString("utf8")));
  }

  async joined(): Promise<void> {
    await this.#answer("joined");
  }

  async progress(): Promise<{ answered: number }> {
    this.#child.send("progress");
    const { answered = 0 } = await this.#answer("progress");
    return { answered };
  }

  /** Waits until some requests have been answered since the call: the load goes on. */
  async answersAgain(): Promise<void> {
    const { answered } = await this.progress();
    await until(
      "the players are answered again",
      async () => (await this.progress()).answered > answered + 100,
    );
  }

  /** Whoever has to go elsewhere goes to one of these. */
  async goTo(urls: readonly string[]): Promise<void> {
    this.#child.send({ urls });
    await this.#answer("urls");
  }

  /** Nobody asks any more, and everything was answered, or never will be. */
  async pause(): Promise<void> {
    this.#child.send("pause");
    await this.#answer("pause");
  }

  history(): Line[] {
    return readHistory(readFileSync(this.#file, "utf8"));
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  async #answer(order: string): Promise<Answer> {
    return await until(`the players' answer "${order}"`, () => {
      if (this.#child.exitCode !== null) throw new Error(`the players have ended:\n${this.#lines.join("")}`);
      const at = this.#answers.findIndex((answer) => answer.order === order);
      return at < 0 ? null : (this.#answers.splice(at, 1)[0] ?? null);
    });
  }
}

/** By node: the adds of every seat of every room, as somebody is told who has just come there. */
export async function finalCounts(
  nodes: ReadonlyMap<string, string>,
  lines: readonly Line[],
): Promise<Map<string, Record<string, number>>> {
  const roomIds = new Set(lines.flatMap((line) => (line.type === "joined" ? line.roomId : [])));
  const counts = new Map<string, Record<string, number>>();
  for (const [id, url] of nodes) {
    const all: Record<string, number> = {};
    for (const roomId of roomIds)
      Object.assign(
        all,
        await until(`a witness is told of room ${roomId} on ${id}`, () =>
          countsOf(url, roomId).catch(() => null),
        ),
      );
    counts.set(id, all);
  }
  return counts;
}

async function countsOf(url: string, roomId: string): Promise<Record<string, number>> {
  const witness = await new Client(url).joinById(roomId);
  // One that is sent elsewhere asks anew, here.
  witness.reconnection.enabled = false;
  const counts = await witness.request<unknown, Record<string, number>>("counts");
  await witness.leave();
  return counts;
}
