import { Command } from "commander";
import { z } from "zod";
import { AnyNode, isGone } from "./any-node.ts";
import { type CliContext, type NodeFlags, withExample, withNode } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { readWhole, shownValue } from "./kv-words.ts";

const lineSchema = z.union([
  z.strictObject({ after: z.number() }),
  z.strictObject({ error: z.object({ code: z.string(), message: z.string() }) }),
  z.object({ key: z.string(), type: z.string(), value: z.json(), version: z.number() }),
  z.strictObject({ alive: z.literal(true) }),
]);
type Change = { key: string; type: string; value: unknown; version: number };

interface WatchFlags extends NodeFlags {
  readonly after?: string;
  readonly count?: string;
}

/** Several times what a node says at least that it lives by. */
const silenceMsMax = 10_000;
const retryMs = 250;
/** Nodes that are gone, in a row: then nobody is there. */
const roundsMax = 20;

/** `testudo kv watch PREFIX`: it goes on at another node, with nothing left out and nothing told twice. */
export function watchCommand(context: CliContext): Command {
  const command = new Command("watch")
    .description("tells of each change of the keys that begin with a prefix, until it is interrupted")
    .argument("<prefix>", '"" means all keys')
    .option("--after <version>", "go on behind this version, as a change or a read gave it")
    .option("--count <n>", "end with 0 after so many changes");
  withExample(withNode(command), "kv watch invite/ --secret-file data/secret");
  return command.action(async (prefix: string, flags: WatchFlags) => {
    await new Watching(context, flags, prefix).run();
  });
}

class Watching {
  readonly #context: CliContext;
  readonly #flags: WatchFlags;
  readonly #prefix: string;
  readonly #node: AnyNode;
  #after: number | null;
  #left: number;
  /** What was told of the last version: one command may change several keys, and one that has just expired. */
  #told: { version: number; changes: Set<string> } | null = null;
  #failures = 0;

  constructor(context: CliContext, flags: WatchFlags, prefix: string) {
    this.#context = context;
    this.#flags = flags;
    this.#prefix = prefix;
    this.#node = new AnyNode(flags);
    this.#after = readWhole("--after", flags.after) ?? null;
    this.#left = readWhole("--count", flags.count) ?? Number.POSITIVE_INFINITY;
  }

  async run(): Promise<void> {
    await this.#node.meet();
    while (this.#left > 0) {
      try {
        await this.#listen();
      } catch (error) {
        this.#failures += 1;
        if (!isGone(error) || this.#failures >= roundsMax * this.#node.count) throw gone(error);
        this.#node.next();
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  /** @throws CliError, or what its stream ended by */
  async #listen(): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMsMax);
    const query = new URLSearchParams({ prefix: this.#prefix });
    if (this.#after !== null) query.set("after", String(this.#after));
    try {
      const { body } = await this.#node.client.open("GET", `kv/watch?${query}`, undefined, silence.signal);
      for await (const line of linesOf(body as ReadableStream<Uint8Array>)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMsMax);
        this.#take(lineSchema.parse(JSON.parse(line)));
        if (this.#left <= 0) return;
      }
      throw new CliError("NODE_UNREACHABLE", "the node has ended its answer");
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  #take(line: z.infer<typeof lineSchema>): void {
    this.#failures = 0;
    if ("error" in line) throw new CliError(line.error.code, line.error.message);
    if ("after" in line) this.#after ??= line.after;
    else if ("key" in line) this.#tell(line);
  }

  #tell(change: Change): void {
    const { key, type, value, version } = change;
    if (this.#told?.version !== version) this.#told = { version, changes: new Set() };
    if (this.#told.changes.has(`${type} ${key}`) || this.#left <= 0) return;
    this.#told.changes.add(`${type} ${key}`);
    // Not behind it: a node may have died in the middle of a transaction's changes.
    this.#after = version - 1;
    this.#left -= 1;
    const words = type === "put" ? `= ${shownValue(value)}` : type;
    this.#context.write(this.#flags.json ? `${JSON.stringify(change)}\n` : `${version} ${key} ${words}\n`);
  }
}

/** What was cut off in the middle of a line is not told. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() as string;
    yield* lines;
  }
}

function gone(error: unknown): unknown {
  if (error instanceof CliError) return error;
  return new CliError("NODE_UNREACHABLE", `no node tells of changes any more (${String(error)})`);
}
