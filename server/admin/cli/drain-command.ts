import { Command } from "commander";
import { z } from "zod";
import { drainTimeoutMsMax } from "../../cluster/options.ts";
import { type CliContext, type NodeFlags, show, withExample, withNode } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { membersListSchema } from "./members-schema.ts";
import { readId } from "./members-words.ts";
import { OperatorClient } from "./operator-client.ts";

interface DrainFlags extends NodeFlags {
  readonly timeoutMs?: string;
  readonly force?: boolean;
}

const statusSchema = z.object({
  node: z.string(),
  bootId: z.string(),
  state: z.string(),
  clients: z.number(),
  plainRooms: z.number(),
  leads: z.number(),
});
type Status = z.infer<typeof statusSchema>;
const roomsSchema = z.object({
  rooms: z.array(
    z.object({ roomId: z.string(), name: z.string(), pinned: z.boolean(), standing: z.unknown().nullable() }),
  ),
});

const pollMs = 200;
/** A node that no longer answers is closing its disk; the others see its link end with it. */
const endMsMax = 30_000;

/** `testudo drain NODE`: the node sends its clients to the others, hands over its leads, and ends. */
export function drainCommand(context: CliContext): Command {
  const command = new Command("drain")
    .description(
      "empty a node and end it, as SIGTERM does: leads are handed over, clients go to other nodes one by one, its process ends with 0",
    )
    .argument("<node>", "its id")
    .option(
      "--timeout-ms <ms>",
      "how long it may wait for clients and plain rooms; by default as it was started",
    )
    .option(
      "--force",
      "also if the nodes that are left have no majority, or lack a room that is pinned to it",
    );
  withExample(withNode(command), "drain n2 --secret-file data/secret");
  return command.action(async (word: string, flags: DrainFlags) => {
    const id = readId(word);
    const timeoutMs = readTimeout(flags.timeoutMs);
    const cluster = new Witnesses(flags, id);
    const url = await cluster.find();
    const client = new OperatorClient({ ...flags, url });
    if (flags.force !== true) await cluster.checkRooms(client);
    const body = { node: id, timeoutMs, force: flags.force === true };
    const begun = statusSchema.parse(await client.ask("POST", "drain", body));
    const begunMs = performance.now();
    const last = await watch({ client, begun, context });
    await cluster.ended(last);
    const tookMs = Math.round(performance.now() - begunMs);
    const { clients, plainRooms } = last;
    const closed = clients + plainRooms === 0 ? "" : `; ${leftWords(last)} when it was seen last`;
    show(context, flags.json, { node: id, tookMs, clients, plainRooms }, [
      `${id} has ended after ${tookMs} ms${closed}`,
    ]);
  });
}

function readTimeout(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = Number(text);
  if (/^\d+$/.test(text) && ms <= drainTimeoutMsMax) return ms;
  throw new CliError("OPTION_WRONG", `--timeout-ms ${text}: whole ms, 0 to ${drainTimeoutMsMax}`, 2);
}

/** Tells what is left, until the node answers no more, or as another process. */
async function watch({
  client,
  begun,
  context,
}: {
  readonly client: OperatorClient;
  readonly begun: Status;
  readonly context: CliContext;
}): Promise<Status> {
  let last = begun;
  let told = "";
  for (;;) {
    const line = `${last.node} is ${last.state}: ${leftWords(last)}\n`;
    if (line !== told) context.tell(line);
    told = line;
    await pause();
    let now: Status;
    try {
      now = statusSchema.parse(await client.ask("GET", "drain"));
    } catch (error) {
      if (error instanceof CliError && error.code === "NODE_UNREACHABLE") return last;
      throw error;
    }
    if (now.bootId !== begun.bootId) return last;
    last = now;
  }
}

function leftWords({ clients, plainRooms, leads }: Status): string {
  return `${clients} clients, ${plainRooms} plain rooms and ${leads} leads are left`;
}

/** The other nodes, which see the one end. */
class Witnesses {
  readonly #flags: NodeFlags;
  readonly #id: string;
  #urls: readonly string[] = [];

  constructor(flags: NodeFlags, id: string) {
    this.#flags = flags;
    this.#id = id;
  }

  /** Where the node that is meant answers itself. */
  async find(): Promise<string> {
    const { url } = this.#flags;
    const { node, members } = membersListSchema.parse(await this.#client(url).ask("GET", "members"));
    const meant = members.find((one) => one.node === this.#id);
    if (meant === undefined) {
      const known = members.map((one) => one.node).join(", ");
      throw new CliError("NODE_UNKNOWN", `${this.#id} is no member: the members are ${known}`);
    }
    const others = members.flatMap((one) =>
      one.node !== this.#id && one.node !== node && one.link === "up" ? (one.clientUrl ?? []) : [],
    );
    this.#urls = node === this.#id ? others : [url, ...others];
    if (node === this.#id) return url;
    if (meant.link !== "up" || meant.clientUrl === null)
      throw new CliError("NODE_UNREACHABLE", `${node} has no link to ${this.#id}: is it running?`);
    return meant.clientUrl;
  }

  /**
   * What is on no disk must be on another node.
   * @throws CliError ROOMS_LOST
   */
  async checkRooms(client: OperatorClient): Promise<void> {
    const pinned = (await servedBy(client)).filter((room) => room.pinned);
    const others = pinned.length === 0 ? [] : this.#urls.map((url) => this.#client(url));
    // One that does not answer is not counted on.
    const elsewhere = (await Promise.all(others.map((other) => servedBy(other).catch(() => [])))).flat();
    const lost = pinned.filter(({ roomId }) => elsewhere.every((room) => room.roomId !== roomId));
    if (lost.length === 0) return;
    const which = lost.map(({ roomId, name }) => `${roomId} (${name})`).join(", ");
    throw new CliError(
      "ROOMS_LOST",
      `no other node has room ${which}, which has long not been at rest and is on no disk: without ${this.#id} it is closed. Wait until it is at rest, or say --force`,
    );
  }

  /** @throws CliError NOT_ENDED if its links stay, and it is no other process */
  async ended({ node, bootId }: Status): Promise<void> {
    const untilMs = performance.now() + endMsMax;
    while (this.#urls.length > 0) {
      if (await this.#isGone(bootId)) return;
      if (performance.now() >= untilMs)
        throw new CliError(
          "NOT_ENDED",
          `${node} answers no more, but the other nodes have a link to it still`,
        );
      await pause();
    }
  }

  async #isGone(bootId: string): Promise<boolean> {
    for (const url of this.#urls) {
      try {
        const { members } = membersListSchema.parse(await this.#client(url).ask("GET", "members"));
        const seen = members.find((one) => one.node === this.#id);
        return seen === undefined || seen.link !== "up" || (await this.#isAnother(seen.clientUrl, bootId));
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
      }
    }
    return false;
  }

  async #isAnother(url: string | null, bootId: string): Promise<boolean> {
    if (url === null) return false;
    const status = await this.#client(url)
      .ask("GET", "drain")
      .catch(() => null);
    return statusSchema.safeParse(status).data?.bootId !== bootId && status !== null;
  }

  #client(url: string): OperatorClient {
    return new OperatorClient({ ...this.#flags, url });
  }
}

/** Rooms of which the node has a replica that serves. */
async function servedBy(client: OperatorClient): Promise<z.infer<typeof roomsSchema>["rooms"]> {
  const { rooms } = roomsSchema.parse(await client.ask("GET", "rooms"));
  return rooms.filter(({ standing }) => standing === null);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pollMs));
}
