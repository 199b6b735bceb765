import { Command } from "commander";
import { z } from "zod";
import type { LevelStatus } from "../../group/group-status.ts";
import { type CliContext, type NodeFlags, show, table, withExample, withNode } from "./cli-context.ts";
import { OperatorClient } from "./operator-client.ts";

export const groupsSchema = z.object({
  node: z.string(),
  groups: z.array(
    z.looseObject({
      id: z.number(),
      role: z.string(),
      term: z.number(),
      leader: z.string().nullable(),
      commitIndex: z.number(),
      appliedIndex: z.number(),
      level: z.object({
        agreed: z.number(),
        heldBackBy: z.array(z.object({ nodeId: z.string(), levelMax: z.number().nullable() })),
      }),
    }),
  ),
});

/** `testudo groups`: the groups as one node sees them. */
export function groupsCommand(context: CliContext): Command {
  const command = new Command("groups").description("the groups, as one node sees them");
  withExample(withNode(command), "groups --secret-file data/secret");
  return command.action(async (flags: NodeFlags) => {
    const told = groupsSchema.parse(await new OperatorClient(flags).ask("GET", "groups"));
    const rows = told.groups.map(({ id, role, term, leader, commitIndex, appliedIndex, level }) =>
      [id, role, term, leader ?? "-", commitIndex, appliedIndex, levelWords(level)].map(String),
    );
    const head = ["group", `role of ${told.node}`, "term", "leader", "committed", "applied", "level"];
    show(context, flags.json, told, table([head, ...rows]));
  });
}

/** What is agreed on, and for whom the group waits before it agrees on more. */
function levelWords({ agreed, heldBackBy }: LevelStatus): string {
  const waits = heldBackBy.map(({ nodeId, levelMax }) =>
    levelMax === null ? `${nodeId}, which is not there` : `${nodeId}, which knows only ${levelMax}`,
  );
  return waits.length === 0 ? `${agreed}` : `${agreed}, waiting for ${waits.join("; ")}`;
}
