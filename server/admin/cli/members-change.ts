import { z } from "zod";
import type { MembersRequest } from "../../cluster/members.ts";
import type { NodeFlags } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { membersListSchema } from "./members-schema.ts";
import { OperatorClient } from "./operator-client.ts";

const progressSchema = z.object({
  outcomes: z.array(
    z.object({
      group: z.number(),
      outcome: z.looseObject({
        type: z.string(),
        code: z.string().optional(),
        message: z.string().optional(),
      }),
    }),
  ),
  isDone: z.boolean(),
});

export type Progress = z.infer<typeof progressSchema>;

const pollMs = 300;

/** Sees a change of the members through, at whichever node still answers. */
export class ClusterChange {
  readonly #flags: NodeFlags;
  readonly #request: MembersRequest;
  /** The nodes that may be asked, by their URLs, the best first. */
  #urls: readonly string[] = [];

  constructor(flags: NodeFlags, request: MembersRequest) {
    this.#flags = flags;
    this.#request = request;
  }

  /** @throws CliError if it is refused: then nothing was begun */
  async begin(): Promise<Progress> {
    const { url } = this.#flags;
    const { node, members } = membersListSchema.parse(await this.#client(url).ask("GET", "members"));
    const staying = members.filter((one) => one.votes > 0 && !this.#request.remove.includes(one.node));
    const others = staying.flatMap(({ node: id, link, clientUrl }) =>
      id !== node && link === "up" ? (clientUrl ?? []) : [],
    );
    // Who is to be removed is not there at the end, to say that it is done.
    const isStaying = staying.some((one) => one.node === node);
    this.#urls = isStaying || others.length === 0 ? [url, ...others] : others;
    return await this.#beginAt(this.#urls);
  }

  /** A node that dies while it is asked may have begun it: another one goes on. */
  async #beginAt([url = "", ...others]: readonly string[], again = false): Promise<Progress> {
    try {
      return await this.#ask(url, { again });
    } catch (error) {
      const hasDied = error instanceof CliError && error.code === "NODE_UNREACHABLE";
      if (!hasDied || others.length === 0) throw error;
      this.#urls = others;
      return await this.#beginAt(others, true);
    }
  }

  /**
   * Asks again and again, since a change that waits for another one is not begun by itself.
   * @throws CliError NOT_DONE once `untilMs` (performance.now) is over, with what was in the way
   */
  async seeThrough(begun: Progress, untilMs: number, tell: (progress: Progress) => void): Promise<Progress> {
    let progress = begun;
    let trouble: CliError | null = null;
    while (!progress.isDone) {
      if (performance.now() >= untilMs) throw notDone(progress, trouble);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
      try {
        progress = await this.#ask(this.#urls[0] ?? "", { again: true });
        trouble = null;
        tell(progress);
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        trouble = error;
        const [first, ...rest] = this.#urls;
        this.#urls = [...rest, ...(first === undefined ? [] : [first])];
      }
    }
    return progress;
  }

  async #ask(url: string, { again }: { again: boolean }): Promise<Progress> {
    const body: MembersRequest = { ...this.#request, again };
    return progressSchema.parse(await this.#client(url).ask("POST", "members", body));
  }

  #client(url: string): OperatorClient {
    return new OperatorClient({ ...this.#flags, url });
  }
}

function notDone({ outcomes }: Progress, trouble: CliError | null): CliError {
  const waiting = outcomes.flatMap(({ group, outcome: { type, message } }) =>
    type === "refused" ? `group ${group}: ${message}` : [],
  );
  const why = trouble?.message ?? waiting[0] ?? "the new members are still catching up";
  return new CliError(
    "NOT_DONE",
    `not done yet (${why}). What was begun goes on by itself: testudo members list; the same command again waits on; testudo members cancel takes back what waits for new members`,
  );
}
