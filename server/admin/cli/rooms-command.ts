import { Command } from "commander";
import { z } from "zod";
import { type CliContext, type NodeFlags, show, table, withExample, withNode } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { OperatorClient } from "./operator-client.ts";
import { exportCommand } from "./rooms-export-command.ts";

const hashes = z.array(z.tuple([z.string(), z.string()]));

const roomsSchema = z.object({
  node: z.string(),
  rooms: z.array(
    z.looseObject({
      roomId: z.string(),
      name: z.string(),
      group: z.number(),
      seats: z.number(),
      pinned: z.boolean(),
      restlessBecause: z.string().nullable(),
      notUpgraded: z.string().nullable().default(null),
      standing: z
        .looseObject({ type: z.string(), hashes: hashes.optional(), code: z.string().optional() })
        .nullable(),
    }),
  ),
});

const thawedSchema = z.object({ roomId: z.string(), index: z.number(), hash: z.string(), hashes });

const switchedSchema = z.object({
  rooms: z.array(
    z.object({
      roomId: z.string(),
      from: z.string(),
      to: z.string(),
      tookMs: z.number().nullable(),
      why: z.string().nullable(),
    }),
  ),
});

/** `testudo rooms …`: what an operator has to decide about rooms. */
export function roomsCommand(context: CliContext): Command {
  const command = new Command("rooms").description("the rooms: list, export, thaw, switch");
  withExample(command, "rooms thaw Ev1_AWqyA n2 --url http://localhost:2568 --secret-file data/secret");
  for (const made of [listCommand, exportCommand, thawCommand, switchCommand])
    command.addCommand(made(context));
  return command;
}

function listCommand(context: CliContext): Command {
  const command = new Command("list").description("one node's replicas, and why it does not speak for one");
  withExample(withNode(command), "rooms list --secret-file data/secret");
  return command.action(async (flags: NodeFlags) => {
    const told = roomsSchema.parse(await new OperatorClient(flags).ask("GET", "rooms"));
    const rows = told.rooms.map((room) =>
      [room.roomId, room.name, room.group, room.seats, roomWords(room)].map(String),
    );
    show(context, flags.json, told, table([["room", "name", "group", "seats", `on ${told.node}`], ...rows]));
  });
}

type Room = z.infer<typeof roomsSchema>["rooms"][number];
type Standing = NonNullable<Room["standing"]>;

function roomWords({ standing, pinned, restlessBecause, notUpgraded }: Room): string {
  const stands = standing === null ? "serving" : standingWords(standing);
  const words = notUpgraded === null ? stands : `${stands}, not brought over: ${notUpgraded}`;
  return pinned ? `${words}, pinned: ${restlessBecause ?? "not saved since"}` : words;
}

function standingWords({ type, code, hashes: known = [] }: Standing): string {
  if (type === "foreign") return `foreign: under code ${JSON.stringify(code)}`;
  return type === "frozen" ? `frozen: ${holdersWords(known)}` : type;
}

/** `n1, n3 (6ff9c4a5) against n2 (c180261c)` */
function holdersWords(known: z.infer<typeof hashes>): string {
  const byHash = Map.groupBy(known, ([, hash]) => hash);
  return [...byHash]
    .map(([hash, holders]) => `${holders.map(([node]) => node).join(", ")} (${hash.slice(0, 8)})`)
    .join(" against ");
}

function thawCommand(context: CliContext): Command {
  const command = new Command("thaw")
    .description(
      "a room that stands still, since its replicas differ, goes on with the state that one node has",
    )
    .argument("<room>")
    .argument(
      "<node>",
      "whose state it is, and which must be asked itself; the replicas that have another are replaced by it",
    );
  withExample(
    withNode(command),
    "rooms thaw Ev1_AWqyA n2 --url http://localhost:2568 --secret-file data/secret",
  );
  return command.action(async (roomId: string, holder: string, flags: NodeFlags) => {
    const client = new OperatorClient(flags);
    const told = thawedSchema.parse(await client.ask("POST", "rooms/thaw", { roomId, holder }));
    show(context, flags.json, told, [
      `room ${roomId} goes on with what ${holder} has (hash ${told.hash} at entry ${told.index})`,
      ...told.hashes
        .filter(([, hash]) => hash !== told.hash)
        .map(([node, hash]) => `${node} had another (${hash}), and gets it`),
    ]);
  });
}

function switchCommand(context: CliContext): Command {
  const command = new Command("switch")
    .description("rooms go on under the version of the game's code that the asked node has (--code)")
    .argument("[room]", "one room; else --all")
    .option("--all", "all rooms that run under another version");
  withExample(withNode(command), "rooms switch --all --url http://localhost:2568 --secret-file data/secret");
  return command.action(async (roomId: string | undefined, flags: NodeFlags & { readonly all?: boolean }) => {
    if ((roomId === undefined) !== (flags.all === true))
      throw new CliError("OPTION_WRONG", "switch: give either a room or --all", 2);
    const client = new OperatorClient(flags);
    const told = switchedSchema.parse(await client.ask("POST", "rooms/switch", { roomId: roomId ?? null }));
    const words = told.rooms.map(({ roomId: id, from, to, tookMs, why }) =>
      why === null
        ? `room ${id} went from code "${from}" to "${to}" in ${tookMs} ms`
        : `room ${id} is not switched: ${why}`,
    );
    show(context, flags.json, told, words.length === 0 ? ["no room runs under another code"] : words);
    const left = told.rooms.filter(({ why }) => why !== null).length;
    if (left > 0)
      throw new CliError("NOT_SWITCHED", `${left} of ${told.rooms.length} rooms are not switched: try again`);
  });
}
