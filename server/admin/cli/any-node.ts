import type { NodeFlags } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { membersListSchema } from "./members-schema.ts";
import { OperatorClient } from "./operator-client.ts";

/** For a command that takes its time: it goes on at another node when the one that it talks to is gone. */
export class AnyNode {
  readonly #flags: NodeFlags;
  /** The first one is asked. */
  #urls: readonly string[];

  constructor(flags: NodeFlags) {
    this.#flags = flags;
    this.#urls = [flags.url];
  }

  get client(): OperatorClient {
    return new OperatorClient({ ...this.#flags, url: this.#urls[0] as string });
  }

  get count(): number {
    return this.#urls.length;
  }

  /** Learns where the others are. @throws CliError */
  async meet(): Promise<void> {
    const { node, members } = membersListSchema.parse(await this.client.ask("GET", "members"));
    const others = members.flatMap((one) => (one.node === node ? [] : (one.clientUrl ?? [])));
    this.#urls = [this.#flags.url, ...new Set(others)];
  }

  /** From now on the next one is asked. */
  next(): void {
    const [first = "", ...others] = this.#urls;
    this.#urls = [...others, first];
  }

  /**
   * Asks the nodes, one after the other, until one answers: only what may be done twice.
   * @param answerMsMax of each
   * @throws CliError of the last one, or of the one that refuses it
   */
  async post(path: string, body: unknown, answerMsMax: number): Promise<unknown> {
    for (let left = this.count - 1; ; left--) {
      try {
        const answer = await this.client.open("POST", path, body, AbortSignal.timeout(answerMsMax));
        return await answer.json();
      } catch (error) {
        if (left === 0 || !isGone(error)) throw error;
        this.next();
      }
    }
  }
}

/** Another node may still do it. What is no CliError is an answer that was cut off. */
export function isGone(error: unknown): boolean {
  const goneCodes = ["NODE_UNREACHABLE", "STOPPED", "TIMEOUT", "KEEPER_NOT_RUNNING", "NOT_SERVING"];
  return error instanceof CliError ? goneCodes.includes(error.code) : true;
}
