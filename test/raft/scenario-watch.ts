import type { Entry } from "../../server/raft/entry.ts";
import type { Packet, RaftCluster } from "./raft-cluster.ts";
import type { RaftNode } from "./raft-node.ts";
import {
  configurationWords,
  entriesWords,
  hardStateWords,
  messageWords,
  progressWords,
} from "./scenario-words.ts";

interface Seen {
  readonly standing: string;
  readonly commitIndex: number;
  readonly applied: number;
  /** In effect. */
  readonly members: string;
  readonly readsAnswered: number;
  /** By follower. */
  readonly progress: ReadonlyMap<string, string>;
}

const nothing: Seen = {
  standing: "",
  commitIndex: 0,
  applied: 0,
  members: "",
  readsAnswered: 0,
  progress: new Map(),
};

/** Tells what has changed in a cluster since it looked last, a line for each thing. */
export class ScenarioWatch {
  readonly #cluster: RaftCluster;
  readonly #seen = new Map<string, Seen>();
  #packets = new Set<Packet>();

  constructor(cluster: RaftCluster) {
    this.#cluster = cluster;
  }

  /** What changed, in the order of cause: standing, messages, commitment, progress. */
  look(): string[] {
    const nodes = [...this.#cluster.nodes.values()];
    const changes = nodes.map((node) => ({
      before: this.#seen.get(node.id) ?? nothing,
      now: see(node),
      node,
    }));
    for (const { node, now } of changes) this.#seen.set(node.id, now);
    return [
      ...changes.flatMap(({ node, before, now }) =>
        before.standing === now.standing || now.standing === "down" ? [] : `${node.id} is ${now.standing}`,
      ),
      ...changes.flatMap(({ node, before, now }) =>
        before.members === now.members || before.members === "" || now.members === ""
          ? []
          : `${node.id} goes by ${now.members}`,
      ),
      ...this.#sent(),
      ...changes.flatMap(({ node, before, now }) => this.#committed(node, before, now)),
      ...changes.flatMap(({ node, before, now }) =>
        node.reads
          .slice(before.readsAnswered, now.readsAnswered)
          .map(({ index }) => `${node.id} may answer its reads as of ${index}`),
      ),
      ...changes.flatMap(({ node, before, now }) =>
        [...now.progress]
          .filter(([follower, words]) => before.progress.get(follower) !== words)
          .map(([follower, words]) => `${node.id} on ${follower}: ${words}`),
      ),
    ];
  }

  #sent(): string[] {
    const fresh = this.#cluster.packets.filter((packet) => !this.#packets.has(packet));
    this.#packets = new Set(this.#cluster.packets);
    const lines: { from: string; to: string[]; words: string }[] = [];
    for (const { from, to, message } of fresh) {
      const words = messageWords(message);
      const last = lines.at(-1);
      if (last?.from === from && last.words === words) last.to.push(to);
      else lines.push({ from, to: [to], words });
    }
    return lines.map(({ from, to, words }) => `${from} sends ${to.join(", ")}: ${words}`);
  }

  #committed({ id, applied }: RaftNode, before: Seen, now: Seen): string[] {
    const lines: string[] = [];
    if (now.standing !== "down" && now.commitIndex > before.commitIndex)
      lines.push(`${id} commits up to ${now.commitIndex}`);
    if (now.applied > before.applied)
      lines.push(`${id} applies ${entriesWords(applied.slice(before.applied))}`);
    return lines;
  }

  /** Before it lands. */
  write(id: string): string {
    const { writes, disk } = this.#cluster.node(id);
    const [write] = writes;
    if (write === undefined) throw new Error(`${id} has nothing to save`);
    const { hardState, entries, base, swap } = write;
    const first = entries[0]?.index ?? Number.POSITIVE_INFINITY;
    const dropped: readonly Entry[] = disk.entries.filter(({ index }) => index >= first);
    const parts = [
      ...(hardState === null ? [] : [hardStateWords(hardState)]),
      ...(entries.length === 0 ? [] : [entriesWords(entries)]),
      ...(dropped.length === 0 ? [] : [`in place of ${entriesWords(dropped)}`]),
      ...(base === null ? [] : [`a checkpoint in place of everything up to ${base.index}`]),
      ...(swap === null ? [] : [`the snapshot up to ${swap.base.index} in place of everything`]),
    ];
    return `${id} saves ${parts.join("; ")}`;
  }

  /** Everything about a node, in one line, and a line for each follower if it leads. */
  show(id: string): string[] {
    const node = this.#cluster.node(id);
    if (node.raft === null) {
      const { hardState, base, entries } = node.disk;
      return [
        `${id} is down; on its disk: ${hardStateWords(hardState)}, log ${logWords(base.index, entries)}`,
      ];
    }
    const { raft } = node;
    const followers = raft.status().followers.map((one) => `  on ${one.nodeId}: ${progressWords(one)}`);
    const { votedFor, commitIndex } = raft.status();
    return [
      `${id} is ${standing(node)}, vote ${votedFor?.nodeId ?? "none"}, commit ${commitIndex}, log ${logWords(raft.base.index, logOf(node))}`,
      ...followers,
    ];
  }
}

/** On the disk, and on its way there. */
function logOf({ disk, writes }: RaftNode): readonly Entry[] {
  let log = disk.entries;
  for (const { entries } of writes) {
    const first = entries[0]?.index;
    if (first !== undefined) log = [...log.filter(({ index }) => index < first), ...entries];
  }
  return log;
}

function logWords(baseIndex: number, entries: readonly Entry[]): string {
  const kept = entries.filter(({ index }) => index > baseIndex);
  const words = kept.length === 0 ? "empty" : entriesWords(kept);
  return baseIndex === 0 ? words : `behind ${baseIndex}: ${words}`;
}

/** The role, with the leader if one is known. */
function standing({ raft, id }: RaftNode): string {
  if (raft === null) return "down";
  const { role, term, leaderId } = raft;
  const article = role === "leader" ? "the" : "a";
  const of = leaderId === null || leaderId === id ? "" : ` of ${leaderId}`;
  return `${article} ${role}${of} in term ${term}`;
}

function see(node: RaftNode): Seen {
  const { raft, applied, disk, reads } = node;
  if (raft === null) return { ...nothing, standing: "down", applied: disk.applied.length };
  const progress = raft
    .status()
    .followers.map(
      (one) => [one.nodeId, one.state === "replicating" ? "replicating" : progressWords(one)] as const,
    );
  return {
    standing: standing(node),
    commitIndex: raft.commitIndex,
    applied: applied.length,
    members: configurationWords(raft.configuration),
    readsAnswered: reads.length,
    progress: new Map(progress),
  };
}
