import { Command } from "commander";
import { type CliContext, type NodeFlags, show, withExample, withNode } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { groupsSchema } from "./groups-command.ts";
import { membersListSchema } from "./members-schema.ts";
import { readId } from "./members-words.ts";
import { OperatorClient } from "./operator-client.ts";

/** A lead moves while it is asked for: whoever has it now is asked again so often. */
const triesMax = 5;
const retryMs = 200;
/** The lead has gone, or goes, somewhere else: whoever has it then is asked. */
const passing: ReadonlySet<string> = new Set(["NOT_LEADER", "TRANSFERRING", "LEAD_LOST"]);

interface Transferred {
  readonly group: number;
  readonly from: string | null;
  readonly outcome: "done" | "leads already" | { readonly code: string; readonly message: string };
}

/** `testudo transfer GROUP|all NODE`: a node is given leads, without an election. */
export function transferCommand(context: CliContext): Command {
  const command = new Command("transfer")
    .description(
      "hand the lead of a group, or of all, to a node; in time a lead goes by itself where --home-region and --lead-priority say",
    )
    .argument("<group>", "its number, or all")
    .argument("<node>", "a voter that is linked and has caught up");
  withExample(withNode(command), "transfer all n2 --secret-file data/secret");
  return command.action(async (group: string, to: string, flags: NodeFlags) => {
    const wanted = readGroup(group);
    const leads = new Leads(flags, readId(to));
    const groups = wanted === "all" ? await leads.groups() : [wanted];
    const told: Transferred[] = [];
    for (const id of groups) told.push(await leads.transfer(id));
    show(context, flags.json, told, told.map(lineOf));
    const failed = told.filter(({ outcome }) => typeof outcome === "object");
    if (failed.length > 0)
      throw new CliError("NOT_DONE", `${failed.length} of ${told.length} leads did not go to ${to}`);
  });
}

function readGroup(text: string): number | "all" {
  if (text === "all") return "all";
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new CliError("OPTION_WRONG", `"${text}" is no group: its number, or all`, 2);
}

/** The leads of a cluster. Each is handed over by whoever has it. */
class Leads {
  readonly #flags: NodeFlags;
  readonly #to: string;

  constructor(flags: NodeFlags, to: string) {
    this.#flags = flags;
    this.#to = to;
  }

  async groups(): Promise<number[]> {
    return (await this.#seen()).groups.map(({ id }) => id);
  }

  async transfer(group: number): Promise<Transferred> {
    let from: string | null = null;
    let refused = new CliError("LEADERLESS", `nobody leads group ${group} now: try again soon`);
    for (let tried = 0; tried < triesMax; tried++) {
      if (tried > 0) await new Promise((resolve) => setTimeout(resolve, retryMs));
      const { node, groups } = await this.#seen();
      const leader = groups.find(({ id }) => id === group)?.leader;
      if (leader === undefined) throw unknownGroup(group, groups.length);
      from = leader;
      if (leader === this.#to) return { group, from, outcome: "leads already" };
      if (leader === null) continue;
      try {
        const client = new OperatorClient({ ...this.#flags, url: await this.#urlOf(leader, node) });
        await client.ask("POST", "transfer", { group, to: this.#to });
        return { group, from, outcome: "done" };
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        refused = error;
        if (!passing.has(error.code)) break;
      }
    }
    return { group, from, outcome: { code: refused.code, message: refused.message } };
  }

  async #seen() {
    return groupsSchema.parse(await new OperatorClient(this.#flags).ask("GET", "groups"));
  }

  async #urlOf(leader: string, asked: string): Promise<string> {
    if (leader === asked) return this.#flags.url;
    const list = membersListSchema.parse(await new OperatorClient(this.#flags).ask("GET", "members"));
    const url = list.members.find(({ node, clientUrl }) => node === leader && clientUrl !== null)?.clientUrl;
    if (typeof url === "string") return url;
    throw new CliError("NODE_UNREACHABLE", `nobody has told where ${leader}, which leads, is reached`);
  }
}

function unknownGroup(group: number, groups: number): CliError {
  const allowed = groups === 0 ? "there are none yet" : `they are 0 to ${groups - 1}`;
  return new CliError("GROUP_UNKNOWN", `there is no group ${group}: ${allowed}`);
}

function lineOf({ group, from, outcome }: Transferred): string {
  if (outcome === "done") return `group ${group}: from ${from}`;
  if (outcome === "leads already") return `group ${group}: ${from} leads already`;
  return `group ${group}: ${outcome.code}: ${outcome.message}`;
}
