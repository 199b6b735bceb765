import type { GroupStatus } from "../../server/group/group-status.ts";
import { leadDigest } from "../../server/group/lead-digest.ts";
import { decodeEnvelope } from "../../server/group/proposal-envelope.ts";
import type { PeerMessage, ProposalId } from "../../server/network/peer-message.ts";
import type { Configuration, Member } from "../../server/raft/configuration.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import { checksum } from "./checksum.ts";
import type { DiskShadow } from "./disk-shadow.ts";
import { describe, memberKey } from "./electorate.ts";
import { hasQuorum } from "./quorums.ts";
import { hold } from "./violation.ts";

type Message<T extends RaftMessage["type"]> = Extract<RaftMessage, { type: T }>;

type LeaderSaid = "appendEntries" | "installSnapshot" | "timeoutNow" | "confirmLead" | "readIndexResponse";

/** What is known of the groups apart from their messages. */
export interface GroupFacts {
  /** What the disk of `node` holds of a group now. */
  disk(node: string, group: number): DiskShadow;
  /** What the disk of a member holds, or held before it was lost or became an older one. */
  logsOf(member: Member, group: number): readonly DiskShadow[];
  /** Of what anybody has applied. */
  committedIndex(group: number): number;
  committedTermAt(group: number, index: number): number | null;
  hasLeader(group: number, term: number): boolean;
  /** What the disk of `node` calls itself. */
  storeOf(node: string): string | null;
  /** What `node` may go by just now. */
  configurations(node: string, group: number, now: readonly GroupStatus[]): readonly Configuration[];
  /** A leader of `term`, whose log is told by `termAt`, takes everything up to `commitIndex` for committed. */
  commits(
    node: string,
    group: number,
    lead: {
      term: number;
      commitIndex: number;
      termAt: (index: number) => number | null;
      configurations: () => readonly Configuration[];
    },
  ): void;
}

/** One message on its way out of a node. */
interface Sent {
  readonly from: string;
  readonly to: string;
  readonly group: number;
  /** Of the sender, as of now. */
  readonly disk: DiskShadow;
  /** What the sender goes by. */
  readonly configurations: () => readonly Configuration[];
  /** The sender is a candidate in that term; its disk may not know yet that it is no longer. */
  readonly campaigns: (term: number) => boolean;
}

interface Candidacy {
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
  readonly storeId: string;
  /** Members that granted it, and told so. The candidate itself is one of them. */
  readonly voters: Set<string>;
}

/** What is known of one term of one group. */
class Term {
  /** By who campaigned. */
  readonly candidacies = new Map<string, Candidacy>();
  /** By whoever would campaign: members that encouraged it. */
  readonly encouraged = new Map<string, Set<string>>();
  /** The leader of the term before asked it to. */
  readonly asked = new Set<string>();
  /** The leader's log, as far as it has told it: terms by index. */
  readonly told: number[] = [];
  /** Who was seen to have won it. */
  readonly elected = new Set<string>();
  /** By node: up to where it has told the leader that it has its log. */
  readonly vouched = new Map<string, number>();
}

/**
 * Whatever leaves a node rests on what that node's disk holds at that very moment (Raft figure 2): looked at message by
 * message, so that a promise which a crash could break is noticed without the crash.
 */
export class MessageLaws {
  readonly #facts: GroupFacts;
  /** By "group term". */
  readonly #terms = new Map<string, Term>();
  /** By digest: the leads that it stands for. */
  readonly #digests = new Map<number, string>();
  /** By group, who is asked, term and round of the asking leader: the term on that disk when it was asked first. */
  readonly #confirming = new Map<string, number>();
  /** By group, node and its number: what was committed when it asked for a read index. */
  readonly #asked = new Map<string, number>();
  /** By whose number: the one command that it names. */
  readonly #commands = new Map<string, number>();

  constructor(facts: GroupFacts) {
    this.#facts = facts;
  }

  #term(group: number, term: number): Term {
    const key = `${group} ${term}`;
    let known = this.#terms.get(key);
    if (known === undefined) {
      known = new Term();
      this.#terms.set(key, known);
    }
    return known;
  }

  /** The term of an entry that the leader of `term` has sent to anybody; null: none that is known. */
  told(group: number, term: number, index: number): number | null {
    return this.#term(group, term).told[index] ?? null;
  }

  /** `statuses`: of the sender's groups, as of now. */
  sent(from: string, to: string, message: PeerMessage, statuses: () => readonly GroupStatus[]): void {
    switch (message.type) {
      case "raft": {
        const { group } = message;
        const configurations = () => this.#facts.configurations(from, group, statuses());
        const disk = this.#facts.disk(from, group);
        const campaigns = (term: number) =>
          statuses().some((each) => each.id === group && each.role === "candidate" && each.term === term);
        this.#raft({ from, to, group, disk, configurations, campaigns }, message.message);
        return;
      }
      case "heartbeat":
        this.#heartbeat(from, to, message, statuses());
        return;
      case "propose":
        for (const [at, { id, data }] of message.proposals.entries()) {
          const before = message.proposals[at - 1]?.id.sequence ?? 0;
          hold(id.sequence > before, "X24", () => `${from} forwards number ${id.sequence} behind ${before}`);
          hold(id.nodeId === from, "X24", () => `${from} forwards a proposal of ${id.nodeId}`);
          this.#named(message.group, id, data);
        }
        return;
      case "leads":
      case "proposeRefused":
      case "found":
      case "founded":
      case "gossip":
        return;
    }
  }

  #raft(sent: Sent, message: RaftMessage): void {
    hold(
      message.storeId === this.#facts.storeOf(sent.from),
      "X21",
      () => `${sent.from} sends ${message.type} in the name of disk ${message.storeId}`,
    );
    switch (message.type) {
      case "preVote":
        return;
      case "preVoteResponse":
        this.#preVoteResponse(sent, message);
        return;
      case "requestVote":
        this.#requestVote(sent, message);
        return;
      case "requestVoteResponse":
        this.#requestVoteResponse(sent, message);
        return;
      case "appendEntries":
        this.#leads(sent, message);
        this.#appendEntries(sent, message);
        return;
      case "installSnapshot":
        this.#leads(sent, message);
        this.#pins(sent, message);
        return;
      case "timeoutNow":
        this.#leads(sent, message);
        this.#term(sent.group, message.term + 1).asked.add(sent.to);
        this.#hasAll(sent);
        return;
      case "timeoutNowRefused":
        hold(
          this.#term(sent.group, message.term + 1).asked.has(sent.from),
          "X56",
          () =>
            `${sent.from} refuses the lead of group ${sent.group} in term ${message.term}, which nobody offered`,
        );
        return;
      case "appendEntriesResponse":
        this.#savedTerm(sent, message);
        if (message.success) this.#vouches(sent, message, message.matchIndex);
        return;
      case "installSnapshotResponse":
        this.#savedTerm(sent, message);
        if (message.status === "installed") this.#vouches(sent, message, message.matchIndex);
        return;
      case "confirmLead":
        this.#leads(sent, message);
        this.#asksForConfirmation(sent, message);
        return;
      case "confirmLeadResponse":
        this.#confirms(sent, message);
        return;
      case "readIndex":
        this.#asksForIndex(sent, message);
        return;
      case "readIndexResponse":
        this.#leads(sent, message);
        this.#tellsIndex(sent, message);
        return;
      default:
        message satisfies never;
    }
  }

  /** Whoever speaks of a term has it on its disk. */
  #savedTerm({ from, group, disk }: Sent, { type, term }: RaftMessage): void {
    const saved = disk.hardState?.term ?? 0;
    hold(
      saved >= term,
      "X21",
      () => `${from} sends ${type} of term ${term} of group ${group} with term ${saved} on its disk`,
    );
  }

  /** Its disk says that it voted for that node, or the term has passed there. */
  #savedVote(sent: Sent, message: RaftMessage, candidate: { nodeId: string; storeId: string | null }): void {
    this.#savedTerm(sent, message);
    const { from, group, disk } = sent;
    const { term, votedFor } = disk.hardState ?? { term: 0, votedFor: null };
    const isSame =
      votedFor?.nodeId === candidate.nodeId &&
      (candidate.storeId === null || votedFor.storeId === candidate.storeId);
    hold(
      term > message.term || isSame,
      "X21",
      () =>
        `${from} sends ${message.type} of term ${message.term} of group ${group}, for ${candidate.nodeId}, with a vote for ${votedFor?.nodeId ?? "nobody"} on its disk`,
    );
  }

  // ── elections ────────────────────────────────────────────────────────────────────────────────────────────────────

  #preVoteResponse({ from, to, group }: Sent, { term, storeId, granted }: Message<"preVoteResponse">): void {
    if (!granted) return;
    const { encouraged } = this.#term(group, term);
    const by = encouraged.get(to) ?? new Set();
    encouraged.set(to, by.add(memberKey({ nodeId: from, storeId })));
  }

  #requestVote(sent: Sent, message: Message<"requestVote">): void {
    const { from, group, configurations } = sent;
    const { term, storeId, lastLogIndex, lastLogTerm } = message;
    this.#savedVote(sent, message, { nodeId: from, storeId });
    const { candidacies, encouraged, asked } = this.#term(group, term);
    const self = memberKey({ nodeId: from, storeId });
    const by = new Set(encouraged.get(from)).add(self);
    // Held up by the disk until that was over, it does nothing any more; and others may be members by now.
    const isLate = !sent.campaigns(term);
    hold(
      isLate || asked.has(from) || isQuorum(configurations(), by),
      "X22",
      () =>
        `${from} campaigns in term ${term} of group ${group}, encouraged by ${[...by].join()} of ${configurations().map(describe).join(" or ")}`,
    );
    const known = candidacies.get(from);
    if (known === undefined)
      candidacies.set(from, { lastLogIndex, lastLogTerm, storeId, voters: new Set([self]) });
    const isSame = known === undefined || known.storeId === storeId;
    hold(isSame, "X21", () => `${from} campaigns in term ${term} of group ${group} with two disks`);
  }

  #requestVoteResponse(sent: Sent, message: Message<"requestVoteResponse">): void {
    this.#savedTerm(sent, message);
    if (!message.granted) return;
    const { from, to, group, disk } = sent;
    const { term } = message;
    const candidacy = this.#term(group, term).candidacies.get(to);
    hold(
      candidacy !== undefined,
      "X22",
      () => `${from} votes for ${to} in term ${term} of group ${group}, unasked`,
    );
    this.#savedVote(sent, message, { nodeId: to, storeId: candidacy.storeId });
    // Once the term has a leader, the log here may be that leader's already.
    if (!this.#facts.hasLeader(group, term) && disk.hardState?.term === term) {
      const { lastLogIndex, lastLogTerm } = candidacy;
      const isUpToDate =
        lastLogTerm > disk.lastTerm || (lastLogTerm === disk.lastTerm && lastLogIndex >= disk.lastIndex);
      hold(
        isUpToDate,
        "X22",
        () =>
          `${from}, whose log ends at ${disk.lastIndex} of term ${disk.lastTerm}, votes for ${to}, whose ends at ${lastLogIndex} of term ${lastLogTerm} (group ${group}, term ${term})`,
      );
    }
    candidacy.voters.add(memberKey({ nodeId: from, storeId: message.storeId }));
  }

  /** Whoever leads has the term and its own vote on its disk, and was elected. */
  #leads(sent: Sent, message: Message<LeaderSaid>): void {
    const { from, group, disk, configurations } = sent;
    const { term, storeId } = message;
    const { hardState } = disk;
    hold(
      hardState?.term === term &&
        hardState.votedFor?.nodeId === from &&
        hardState.votedFor.storeId === storeId,
      "X21",
      () =>
        `${from} leads term ${term} of group ${group} with term ${hardState?.term ?? 0} and a vote for ${hardState?.votedFor?.nodeId ?? "nobody"} on its disk`,
    );
    this.elected(from, group, { term, configurations });
  }

  /** Judged when it is seen first: what it goes by may change from then on. */
  elected(
    node: string,
    group: number,
    { term, configurations }: { term: number; configurations: () => readonly Configuration[] },
  ): void {
    const { elected, candidacies } = this.#term(group, term);
    if (elected.has(node)) return;
    elected.add(node);
    const self = memberKey({ nodeId: node, storeId: this.#facts.storeOf(node) ?? "" });
    const voters = candidacies.get(node)?.voters ?? new Set([self]);
    hold(
      isQuorum(configurations(), voters),
      "X22",
      () =>
        `${node} leads term ${term} of group ${group} with votes of ${[...voters].join()}, by ${configurations().map(describe).join(" or ")}`,
    );
  }

  // ── replication ──────────────────────────────────────────────────────────────────────────────────────────────────

  #appendEntries({ from, group, disk, configurations }: Sent, message: Message<"appendEntries">): void {
    const { term, prevLogIndex, prevLogTerm, entries, commitIndex } = message;
    const { told } = this.#term(group, term);
    told[prevLogIndex] = prevLogTerm;
    for (const entry of entries) told[entry.index] = entry.term;
    this.#facts.commits(from, group, {
      term,
      commitIndex,
      termAt: (index) => told[index] ?? disk.termAt(index),
      configurations,
    });
  }

  /** What follows a snapshot that is under way is kept until it has arrived. */
  #pins({ from, to, group, disk }: Sent, { base }: Message<"installSnapshot">): void {
    hold(
      disk.baseIndex <= base.index,
      "X37",
      () =>
        `${from} sends ${to} a snapshot of group ${group} at ${base.index}, and has no log before ${disk.baseIndex}`,
    );
  }

  /** Up to there its disk holds what the leader's log does. */
  #vouches({ from, to, group, disk }: Sent, { type, term }: RaftMessage, matchIndex: number): void {
    // In a later term the disk may have lost it again, to that term's leader.
    if (disk.hardState?.term !== term || matchIndex <= disk.baseIndex) return;
    const { vouched } = this.#term(group, term);
    vouched.set(from, Math.max(vouched.get(from) ?? 0, matchIndex));
    const own = disk.termAt(matchIndex);
    const leaders =
      this.#term(group, term).told[matchIndex] ??
      this.#facts.committedTermAt(group, matchIndex) ??
      // An append behind it was taken, so what is before that agrees.
      this.#facts.disk(to, group).termAt(matchIndex);
    hold(
      own !== null && own === leaders,
      "X21",
      () =>
        `${from} sends ${type} for ${matchIndex} of group ${group} with ${own === null ? "no entry" : `one of term ${own}`} there on its disk; the leader of term ${term} has one of ${leaders}`,
    );
  }

  /** Who is asked to campaign at once has all that its leader has (dissertation §3.10). */
  #hasAll({ from, to, group, disk, configurations }: Sent): void {
    const voters = configurations().flatMap(({ voters }) => voters.filter(({ nodeId }) => nodeId === to));
    // Its disk may be lost since, or an older one, and nobody has noticed yet: what it had counts.
    const logs = voters.flatMap((voter) => this.#facts.logsOf(voter, group));
    hold(
      logs.some((log) => log.has(disk.lastIndex, disk.lastTerm)),
      "X43",
      () =>
        `${from} asks ${to} to campaign for group ${group}, whose log ends at ${logs.map((log) => log.lastIndex).join(" or ")}, its own at ${disk.lastIndex}`,
    );
  }

  /** A node's log up to there is counted on by this term's leader; 0: by nobody. */
  vouched(node: string, group: number, term: number): number {
    return this.#term(group, term).vouched.get(node) ?? 0;
  }

  // ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #asksForConfirmation({ to, group }: Sent, { term, round }: Message<"confirmLead">): void {
    const key = `${group} ${to} ${term} ${round}`;
    // Asked again it is still of the same moment.
    if (!this.#confirming.has(key))
      this.#confirming.set(key, this.#facts.disk(to, group).hardState?.term ?? 0);
  }

  /** The answer may have been held up by the disk: it says how things were at some time since the question. */
  #confirms({ from, group }: Sent, { term, round }: Message<"confirmLeadResponse">): void {
    const saved = this.#confirming.get(`${group} ${from} ${term} ${round}`);
    // Of another term than the question's: a refusal.
    if (saved === undefined) return;
    hold(
      saved <= term,
      "X16",
      () =>
        `${from} confirms the leader of term ${term} of group ${group}, and had term ${saved} on its disk when it was asked`,
    );
  }

  #asksForIndex({ from, group }: Sent, { id }: Message<"readIndex">): void {
    const key = `${group} ${from} ${id}`;
    // Asked again it is still of the same moment.
    if (!this.#asked.has(key)) this.#asked.set(key, this.#facts.committedIndex(group));
  }

  #tellsIndex({ from, to, group }: Sent, { id, index }: Message<"readIndexResponse">): void {
    const needed = this.#asked.get(`${group} ${to} ${id}`);
    hold(needed !== undefined, "X16", () => `${from} answers read ${id} of ${to}, which it never asked for`);
    hold(
      index >= needed,
      "X16",
      () => `${from} lets ${to} read at ${index} in group ${group}; ${needed} was committed before it asked`,
    );
  }

  // ── node to node ─────────────────────────────────────────────────────────────────────────────────────────────────

  #heartbeat(
    from: string,
    to: string,
    { digest, confirms }: Extract<PeerMessage, { type: "heartbeat" }>,
    statuses: readonly GroupStatus[],
  ): void {
    const leads = statuses
      .filter(({ role }) => role === "leader")
      .map(({ id, term }) => ({ group: id, term }));
    const believes = statuses
      .filter(({ leader }) => leader === to)
      .map(({ id, term }) => ({ group: id, term }));
    for (const each of [leads, believes]) this.#standsFor(each);
    hold(
      digest === leadDigest(leads),
      "X25",
      () => `${from} tells ${to} another digest than that of what it leads, ${JSON.stringify(leads)}`,
    );
    hold(
      confirms === 0 || confirms === leadDigest(believes),
      "X25",
      () =>
        `${from} confirms another digest than that of what it takes ${to} to lead, ${JSON.stringify(believes)}`,
    );
  }

  #standsFor(leads: readonly { readonly group: number; readonly term: number }[]): void {
    const digest = leadDigest(leads);
    const text = leads.map(({ group, term }) => `${group} ${term}`).join();
    const known = this.#digests.get(digest);
    if (known === undefined) this.#digests.set(digest, text);
    else hold(known === text, "X25", () => `digest ${digest} stands for "${known}" and for "${text}"`);
  }

  /** A node's number names one command, in what is forwarded and in every log. */
  #named(group: number, { nodeId, bootCount, sequence }: ProposalId, command: Uint8Array): void {
    const key = `${group} ${nodeId} ${bootCount} ${sequence}`;
    const sum = checksum(command);
    const known = this.#commands.get(key);
    if (known === undefined) this.#commands.set(key, sum);
    else hold(known === sum, "X24", () => `number ${key} names two commands`);
  }

  /** An entry that is seen for the first time. */
  entry(group: number, data: Uint8Array): void {
    const envelope = decodeEnvelope(data);
    hold(envelope !== null, "X24", () => `an entry of group ${group} is no proposal`);
    this.#named(group, envelope.id, envelope.command);
  }
}

function isQuorum(configurations: readonly Configuration[], members: ReadonlySet<string>): boolean {
  return configurations.some((configuration) =>
    hasQuorum(configuration, (voter) => members.has(memberKey(voter))),
  );
}
