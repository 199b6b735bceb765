import { Command } from "commander";
import type { MembersRequest } from "../../cluster/members.ts";
import type { ListedMember, MembersList } from "../../cluster/members-list.ts";
import { type CliContext, type NodeFlags, show, table, withExample, withNode } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { ClusterChange, type Progress } from "./members-change.ts";
import { membersListSchema } from "./members-schema.ts";
import { describeRequest, readId, readMembers } from "./members-words.ts";
import { OperatorClient } from "./operator-client.ts";

interface ChangeFlags extends NodeFlags {
  readonly dryRun?: boolean;
  readonly wait: string;
  readonly learner?: boolean;
}

const waitSecondsMax = 86_400;

/** `testudo members …`: who the nodes of the cluster are, changed while it runs. */
export function membersCommand(context: CliContext): Command {
  const command = new Command("members").description("the nodes of the cluster: list, add, remove, replace");
  withExample(command, "members add n4=10.0.0.4:2667 n5=10.0.0.5:2667 --secret-file data/secret");
  for (const make of [listCommand, addCommand, removeCommand, replaceCommand, cancelCommand])
    command.addCommand(make(context));
  return command;
}

function listCommand(context: CliContext): Command {
  const command = new Command("list").description(
    "the members, as one node sees them, and who waits to be one",
  );
  withExample(withNode(command), "members list --secret-file data/secret");
  return command.action(async (flags: NodeFlags) => {
    const told = membersListSchema.parse(await new OperatorClient(flags).ask("GET", "members"));
    show(context, flags.json, told, listLines(told));
  });
}

function addCommand(context: CliContext): Command {
  const command = new Command("add")
    .description("make running nodes members, in one step; also one that has lost its disk, with its new one")
    .argument(
      "<node=host:port...>",
      "where the others reach each (its --peer-port); none for one that is known",
    )
    .option("--learner", "they get everything, but do not vote");
  withExample(withChange(command), "members add n4=10.0.0.4:2667 --secret-file data/secret");
  return command.action(async (words: string[], flags: ChangeFlags) => {
    const members = readMembers(words, flags.learner === true ? "learner" : "voter");
    await change(context, flags, { members });
  });
}

function removeCommand(context: CliContext): Command {
  const command = new Command("remove")
    .description("nodes are members no longer: they send their clients elsewhere, and end with exit code 4")
    .argument("<nodes...>", "running or not");
  withExample(withChange(command), "members remove n2 --secret-file data/secret");
  return command.action(async (nodes: string[], flags: ChangeFlags) => {
    await change(context, flags, { remove: nodes.map(readId) });
  });
}

function replaceCommand(context: CliContext): Command {
  const command = new Command("replace")
    .description("one node takes the place of another, in one step")
    .argument("<old>", "the member that goes, running or not")
    .argument("<new...>", "the running node that comes: NODE=HOST:PORT");
  withExample(withChange(command), "members replace n2 n4=10.0.0.4:2667 --secret-file data/secret");
  return command.action(async (old: string, words: string[], flags: ChangeFlags) => {
    const members = readMembers(words, "voter");
    if (members.length !== 1) throw new CliError("OPTION_WRONG", "replace: one node by one node", 2);
    if (members[0]?.node === old)
      throw new CliError("OPTION_WRONG", `${old} with another disk is added: testudo members add ${old}`, 2);
    await change(context, flags, { members, remove: [readId(old)] });
  });
}

function cancelCommand(context: CliContext): Command {
  const command = new Command("cancel").description(
    "take back changes that still wait for new members to catch up",
  );
  withExample(withChange(command), "members cancel --secret-file data/secret");
  return command.action(async (flags: ChangeFlags) => {
    await change(context, flags, { cancel: true });
  });
}

function withChange(command: Command): Command {
  return withNode(command)
    .option("--dry-run", "only say whether it would be taken, and why not")
    .option("--wait <seconds>", "for it to be done; 0: only begin it", "60");
}

async function change(
  context: CliContext,
  flags: ChangeFlags,
  wanted: Partial<Pick<MembersRequest, "members" | "remove" | "cancel">>,
): Promise<void> {
  const { dryRun = false, json } = flags;
  const waitMs = 1_000 * readSeconds(flags.wait);
  const request = { members: [], remove: [], cancel: false, again: false, dryRun, ...wanted };
  const what = describeRequest(request);
  const untilMs = performance.now() + waitMs;
  const changing = new ClusterChange(flags, request);
  let progress = await changing.begin();
  if (dryRun) return show(context, json, progress, [`This would be taken: ${what}. Nothing was begun.`]);
  if (waitMs > 0) {
    const tell = teller(context);
    tell(progress);
    progress = await changing.seeThrough(progress, untilMs, tell);
  }
  show(context, json, progress, [`${progress.isDone ? "Done" : "Begun"}: ${what}.`]);
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds <= waitSecondsMax) return seconds;
  throw new CliError("OPTION_WRONG", `--wait ${text}: whole seconds, 0 to ${waitSecondsMax}`, 2);
}

/** Says what is waited for, each time that it is something else. */
function teller(context: CliContext): (progress: Progress) => void {
  let last = "";
  return ({ outcomes, isDone }) => {
    const held = outcomes.filter(({ outcome: { type } }) => type === "refused").map(({ group }) => group);
    const line =
      held.length === 0
        ? "taken by every group: waiting until it is done\n"
        : `group ${held.join(", ")}: waiting for what is under way\n`;
    if (!isDone && line !== last) context.tell(line);
    last = line;
  };
}

function listLines(told: MembersList): string[] {
  const rows = told.members.map((member) => [
    member.node,
    roleOf(member, told.groups),
    String(member.leads),
    member.link,
    member.url ?? "-",
    member.storeId,
  ]);
  const head = ["node", "role", "leads", `link from ${told.node}`, "address", "store"];
  const { changing } = told;
  return [
    `cluster ${told.clusterId}, ${told.groups} groups${changing.length === 0 ? "" : `; members of group ${changing.join(", ")} are changing`}`,
    ...table([head, ...rows]),
  ];
}

function roleOf({ votes, learns }: ListedMember, groups: number): string {
  if (votes === groups) return "voter";
  if (learns === groups) return "learner";
  if (votes + learns === 0) return "no member: waits, or leaves";
  return `voter of ${votes}, learner of ${learns} of ${groups} groups`;
}
