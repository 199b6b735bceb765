import type { GroupStatus, MembersNotice } from "../../server/group/group-status.ts";
import type { AppliedCommand } from "../../server/group/machine.ts";
import { type Configuration, emptyConfiguration, type Member } from "../../server/raft/configuration.ts";
import { decodeConfiguration } from "../../server/raft/configuration-codec.ts";
import type { Entry } from "../../server/raft/entry.ts";
import type { Checkpoint, SaveBatch, StorageContents } from "../../server/storage/storage.ts";
import { CallLaws } from "./call-laws.ts";
import { checksum } from "./checksum.ts";
import type { Coverage } from "./coverage.ts";
import { DiskShadow } from "./disk-shadow.ts";
import { describe, isSameConfiguration, memberKey, membersOf } from "./electorate.ts";
import { LeaseLaws } from "./lease-laws.ts";
import { type GroupFacts, MessageLaws } from "./message-laws.ts";
import { PartLaws } from "./part-laws.ts";
import { hasQuorum } from "./quorums.ts";
import { ReadLaws } from "./read-laws.ts";
import type { Schedule } from "./schedule.ts";
import { hold } from "./violation.ts";
import { WholeLaws } from "./whole-laws.ts";

const blank = new DiskShadow();

/** The fastest clock of a simulated node. */
const clockRateMax = 1.03;
const stampSlackMs = 50;

interface Known {
  readonly digest: string;
  /** Of the entry before it; null while nobody has said. */
  termBefore: number | null;
}

/** Everything that is known of one group, by whoever said it first. */
class GroupLaws {
  readonly leaderOfTerm = new Map<number, string>();
  /** By "index term". */
  readonly entries = new Map<string, Known>();
  /** The term of the entry that was committed at each index. */
  readonly committed: number[] = [];
  /** The term of who committed it. */
  readonly committedIn: number[] = [];
  readonly applied = new Map<number, string>();
  /** Of the last command that anybody has applied. */
  stamps = { index: 0, logTimeMs: 0, wallTimeMs: 0 };
  readonly openedTerms = new Set<number>();
  /** By "index term". */
  readonly configurations = new Map<string, Configuration>();
  /** Nobody can take it back. */
  committedConfiguration = emptyConfiguration;
  /** Disks that were members once, and then not, by what nobody can take back. They may have been made members again. */
  readonly removed = new Set<string>();
}

interface DiskContents {
  readonly storeId: string | null;
  readonly shadows: ReadonlyMap<number, DiskShadow>;
}

interface Seen {
  readonly term: number;
  readonly appliedIndex: number;
  readonly role: GroupStatus["role"];
  readonly members: MembersNotice;
}

/** The safety properties of the Raft paper's figure 3, checked as whole nodes go, from what they save, send and apply. */
export class Laws implements GroupFacts {
  readonly #coverage: Coverage;
  readonly #schedule: Schedule;
  #busyMs = 0;
  readonly #groups = new Map<number, GroupLaws>();
  /** By "node group": what is durable, and what will be once the save in flight is. */
  readonly #durable = new Map<string, DiskShadow>();
  readonly #pending = new Map<string, DiskShadow>();
  /** By node: what its disk calls itself, once somebody has read it. */
  readonly #stores = new Map<string, string>();
  /** By "node store group": what was durable there before the disk was lost, or became an older one. */
  readonly #lost = new Map<string, DiskShadow>();
  /** By "node group", of the process that runs now. */
  readonly #seen = new Map<string, Seen>();

  readonly messages: MessageLaws;
  readonly calls: CallLaws;
  readonly leases: LeaseLaws;
  readonly reads: ReadLaws;
  readonly parts = new PartLaws();
  readonly wholes = new WholeLaws();

  constructor({ coverage, schedule }: { coverage: Coverage; schedule: Schedule }) {
    this.#schedule = schedule;
    this.calls = new CallLaws({ facts: this, schedule });
    const goesBy = (nodeId: string, now: GroupStatus) => this.configurations(nodeId, now.id, [now]);
    this.leases = new LeaseLaws(schedule, goesBy);
    this.reads = new ReadLaws(schedule, goesBy);
    this.messages = new MessageLaws(this);
    this.#coverage = coverage;
  }

  #group(id: number): GroupLaws {
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = new GroupLaws();
      this.#groups.set(id, group);
    }
    return group;
  }

  committedIndex(group: number): number {
    return this.#group(group).committed.length;
  }

  committedTermAt(group: number, index: number): number | null {
    return this.#group(group).committed[index - 1] ?? null;
  }

  /** Null: nobody has read it yet. */
  storeOf(node: string): string | null {
    return this.#stores.get(node) ?? null;
  }

  committedConfiguration(group: number): Configuration {
    return this.#group(group).committedConfiguration;
  }

  /** With the disk that it has now. */
  isCommittedMember(nodeId: string, group: number): boolean {
    const storeId = this.storeOf(nodeId);
    return membersOf(this.#group(group).committedConfiguration).some(
      (member) => member.nodeId === nodeId && member.storeId === storeId,
    );
  }

  /** Whoever ends for that reason was a member of the group no longer, or not yet. */
  endsAsRemoved(nodeId: string, group: number): void {
    const { removed } = this.#group(group);
    const key = memberKey({ nodeId, storeId: this.storeOf(nodeId) ?? "" });
    hold(
      removed.has(key) || !this.isCommittedMember(nodeId, group),
      "X35",
      () => `${nodeId} ends as removed, but is a member of group ${group}, and was one all along`,
    );
  }

  /** What a node may go by within one turn: what it went by before, and what it does now. */
  configurations(node: string, group: number, now: readonly GroupStatus[]): readonly Configuration[] {
    const members = [
      this.#seen.get(`${node} ${group}`)?.members,
      now.find(({ id }) => id === group)?.members,
    ];
    return members.flatMap((notice) => notice?.configuration ?? []);
  }

  hasLeader(group: number, term: number): boolean {
    return this.#group(group).leaderOfTerm.has(term);
  }

  /** What the disk of `node` holds of a group now. */
  disk(node: string, group: number): DiskShadow {
    return this.#durable.get(`${node} ${group}`) ?? blank;
  }

  /** What the disk of a member holds of a group, or held before it was lost or became an older one. */
  logsOf(member: Member, group: number): readonly DiskShadow[] {
    const lost = this.#lost.get(`${memberKey(member)} ${group}`);
    const isThere = this.storeOf(member.nodeId) === member.storeId;
    return [...(isThere ? [this.disk(member.nodeId, group)] : []), ...(lost === undefined ? [] : [lost])];
  }

  // ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A batch is on its way to the disk of `node`. */
  saving(node: string, batch: SaveBatch): void {
    for (const [id, save] of batch.groups) {
      const group = this.#group(id);
      const key = `${node} ${id}`;
      const before = this.#durable.get(key) ?? new DiskShadow();
      const after = before.copy();
      const { hardState } = before;
      if (save.hardState !== undefined && hardState !== null) {
        const next = save.hardState;
        hold(next.term >= hardState.term, "X2", () => `${node}'s term of group ${id} goes back on disk`);
        const same = next.term === hardState.term && hardState.votedFor !== null;
        hold(
          !same || next.votedFor?.nodeId === hardState.votedFor?.nodeId,
          "X2",
          () => `${node} votes twice in term ${next.term} of group ${id}`,
        );
      }
      const vouched = this.messages.vouched(node, id, (save.hardState ?? hardState)?.term ?? 0);
      after.save(save, (index, term) => {
        this.#coverage.hit("truncations");
        const isCommitted = group.committed[index - 1] === term && (save.base?.index ?? 0) < index;
        // Word of a leader that comes late, of a term that has passed already, knows nothing of what was committed since.
        const lost =
          isCommitted && (group.committedIn[index - 1] as number) <= (save.entries?.at(-1)?.term ?? 0);
        const kept = save.entries?.find((entry) => entry.index === index)?.term === term;
        hold(
          index > vouched || kept,
          "X21",
          () =>
            `${node} cuts entry ${index} of group ${id}, having told this term's leader that it has all to ${vouched}`,
        );
        hold(
          !lost || kept,
          "X6",
          () => `${node} cuts entry ${index} (term ${term}) of group ${id}, which is committed`,
        );
      });
      if (save.base?.index === 0 && group.committed.length === 0)
        group.committedConfiguration = save.base.configuration;
      if (save.base !== undefined) {
        this.#coverage.hit(save.reset ? "installs" : "compactions");
        this.parts.cut(node, id, after);
      }
      this.#pending.set(key, after);
      if (save.entries !== undefined) this.#said(id, save.entries, before, node);
      for (const entry of save.entries ?? []) this.#opened(node, id, entry, after);
    }
  }

  /** A start of `node` has read its disk: everything that was durable is there, and nothing else. */
  opened(node: string, { identity, groups }: Pick<StorageContents, "identity" | "groups">): void {
    this.#stores.set(node, identity.storeId);
    const known = [...this.#durable.keys()].filter((key) => key.startsWith(`${node} `));
    for (const key of known) {
      const id = Number(key.slice(node.length + 1));
      const contents = groups.get(id);
      hold(contents !== undefined, "X26", () => `${node} finds nothing of group ${id} on its disk`);
      const difference = this.disk(node, id).differenceTo(contents);
      hold(difference === null, "X26", () => `${node} finds on its disk, of group ${id}, ${difference}`);
      let termBefore: number | null = contents.base.term;
      for (const entry of contents.entries) {
        this.entry(id, entry, termBefore, node);
        termBefore = entry.term;
      }
    }
    hold(groups.size === known.length, "X26", () => `${node} finds groups ${[...groups.keys()]} on its disk`);
  }

  /** What is on the disk of `node`, which no process has. */
  image(node: string): DiskContents {
    const shadows = new Map<number, DiskShadow>();
    for (const [key, shadow] of this.#durable)
      if (key.startsWith(`${node} `)) shadows.set(Number(key.slice(node.length + 1)), shadow);
    return { storeId: this.storeOf(node), shadows };
  }

  /** Something else is on the disk of `node` now, which no process has: what there was counts for what was promised on it. */
  restored(node: string, { storeId, shadows }: DiskContents): void {
    for (const [id, shadow] of this.image(node).shadows) {
      this.#lost.set(`${node} ${this.storeOf(node)} ${id}`, shadow);
      this.#durable.delete(`${node} ${id}`);
    }
    for (const [id, shadow] of shadows) this.#durable.set(`${node} ${id}`, shadow);
    if (storeId === null) this.#stores.delete(node);
    else this.#stores.set(node, storeId);
  }

  /** Nothing is left of the disk of `node`. */
  lost(node: string): void {
    this.restored(node, { storeId: null, shadows: new Map() });
  }

  /** What a node reads of its checkpoints is what it saved, before or with the batch in flight. */
  read(node: string, id: number, checkpoints: ReadonlyMap<string, Checkpoint | null>): void {
    const logs = [this.disk(node, id), this.#log(node, id)];
    hold(
      logs.some((disk) => [...checkpoints].every(([key, checkpoint]) => disk.holds(key, checkpoint))),
      "X26",
      () => `${node} reads other checkpoints of group ${id} than it saved: ${[...checkpoints.keys()]}`,
    );
  }

  /** The batch in flight is durable, all of it, or (after a crash) none. */
  settled(node: string, isKept: boolean): void {
    for (const [key, shadow] of this.#pending) {
      if (!key.startsWith(`${node} `)) continue;
      if (isKept) this.#durable.set(key, shadow);
      this.#pending.delete(key);
    }
  }

  /** The entry's content and its predecessor's term are the same wherever index and term are (log matching). */
  #said(id: number, entries: readonly Entry[], before: DiskShadow, node: string): void {
    let termBefore = before.termAt((entries[0]?.index ?? 1) - 1);
    for (const entry of entries) {
      this.entry(id, entry, termBefore, node);
      termBefore = entry.term;
    }
  }

  entry(id: number, entry: Entry, termBefore: number | null, node: string): void {
    const { entries } = this.#group(id);
    const key = `${entry.index} ${entry.term}`;
    const digest = digestOf(entry);
    const known = entries.get(key);
    if (known === undefined) {
      entries.set(key, { digest, termBefore });
      if (entry.type === "command") this.messages.entry(id, entry.data);
      if (entry.type === "configuration")
        this.#group(id).configurations.set(key, decodeConfiguration(entry.data));
      return;
    }
    hold(
      known.digest === digest,
      "X3",
      () => `${node} has another entry at (index, term) ${key} of group ${id}`,
    );
    const agrees = known.termBefore === null || termBefore === null || known.termBefore === termBefore;
    hold(
      agrees,
      "X3",
      () =>
        `${node} has an entry of term ${termBefore} before ${key} of group ${id}, others ${known.termBefore}`,
    );
    known.termBefore ??= termBefore;
  }

  /** Leader completeness, as the no-op of a new term is written by its leader. */
  #opened(node: string, id: number, entry: Entry, log: DiskShadow): void {
    const group = this.#group(id);
    if (entry.type !== "noop" || group.openedTerms.has(entry.term)) return;
    group.openedTerms.add(entry.term);
    const { committed } = group;
    for (let index = log.baseIndex + 1; index <= committed.length; index++) {
      const term = committed[index - 1] as number;
      // A leader that comes late, of a term that has passed already, need not have what was committed since.
      if ((group.committedIn[index - 1] as number) >= entry.term) continue;
      const own = log.termAt(index);
      hold(
        index < entry.index && own === term,
        "X5",
        () =>
          `${node} leads term ${entry.term} of group ${id} with term ${own} at ${index}, where term ${term} is committed`,
      );
    }
  }

  // ── messages and machines ────────────────────────────────────────────────────────────────────────────────────────

  leads(node: string, id: number, term: number): void {
    const { leaderOfTerm } = this.#group(id);
    const known = leaderOfTerm.get(term);
    if (known === undefined) {
      this.#coverage.hit("elections");
      leaderOfTerm.set(term, node);
    }
    hold(
      known === undefined || known === node,
      "X1",
      () => `${known} and ${node} lead term ${term} of group ${id}`,
    );
  }

  started(node: string): void {
    this.calls.started(node);
    for (const key of [...this.#seen.keys()]) if (key.startsWith(`${node} `)) this.#seen.delete(key);
  }

  /** Looks at a node after each of its events. */
  observe(node: string, statuses: readonly GroupStatus[]): void {
    for (const status of statuses) {
      const { id, role, term, appliedIndex, commitIndex, members } = status;
      const key = `${node} ${id}`;
      const seen = this.#seen.get(key);
      if (seen === undefined) {
        const durable = this.#durable.get(key)?.hardState?.term ?? 0;
        hold(term >= durable, "X2", () => `${node} forgot term ${durable} of group ${id}`);
      } else {
        hold(term >= seen.term, "X2", () => `${node}'s term of group ${id} goes back`);
      }
      if (role === "leader") {
        this.leads(node, id, term);
        this.messages.elected(node, id, {
          term,
          configurations: () => this.configurations(node, id, statuses),
        });
        this.#goesBy(node, status);
      }
      if (!this.#commitsAsLeader(node, status, statuses)) {
        const { committed } = this.#group(id);
        hold(
          commitIndex <= committed.length,
          "X23",
          () => `${node} takes ${commitIndex} of group ${id} for committed, ${committed.length} are`,
        );
      }
      if (seen === undefined || appliedIndex !== seen.appliedIndex)
        this.#advanced(node, id, { from: seen?.appliedIndex ?? 0, to: appliedIndex });
      const isSame =
        appliedIndex === seen?.appliedIndex &&
        term === seen.term &&
        role === seen.role &&
        members.configuration === seen.members.configuration;
      if (!isSame) this.#seen.set(key, { term, appliedIndex, role, members });
    }
  }

  /**
   * Who leads goes by the last configuration in its log, committed or not, and has appended it only when the one before
   * was committed (Raft §6). Its log may be ahead of its disk.
   */
  #goesBy(node: string, { id, term, commitIndex, members: { index, configuration } }: GroupStatus): void {
    const log = this.#log(node, id);
    const last = log.configurations.at(-1);
    const before = log.configurations.at(-2);
    if (last === undefined || index > log.lastIndex) return;
    hold(
      isSameConfiguration(configuration, last.configuration),
      "X35",
      () =>
        `${node} leads group ${id} by ${describe(configuration)} of ${index}, but its log has ${describe(last.configuration)} at ${last.index}`,
    );
    const isOwn = log.termAt(last.index) === term && last.index > log.baseIndex;
    hold(
      !isOwn || before === undefined || before.index <= commitIndex,
      "X35",
      () =>
        `${node} appends a configuration of group ${id} at ${last.index}, before that of ${before?.index} is committed`,
    );
  }

  /** A process ends, in the middle of a turn: what it has committed in that turn may be on its disk already. */
  ending(node: string, statuses: readonly GroupStatus[]): void {
    for (const status of statuses) this.#commitsAsLeader(node, status, statuses);
  }

  /** False: it did not lead. In one turn a leader may commit, and hear that it leads no longer. */
  #commitsAsLeader(node: string, status: GroupStatus, statuses: readonly GroupStatus[]): boolean {
    const { id, role, term, commitIndex } = status;
    const seen = this.#seen.get(`${node} ${id}`);
    if (role !== "leader" && seen?.role !== "leader") return false;
    const own = this.#log(node, id);
    const ledTerm = role === "leader" ? term : (seen?.term ?? term);
    this.commits(node, id, {
      ...{ term: ledTerm, commitIndex },
      // The others may have made it a quorum before its own disk was even given the entry.
      termAt: (index) => own.termAt(index) ?? this.messages.told(id, ledTerm, index),
      configurations: () => this.configurations(node, id, statuses),
    });
    return true;
  }

  /** As it will be once the save in flight is durable. */
  #log(node: string, id: number): DiskShadow {
    return this.#pending.get(`${node} ${id}`) ?? this.disk(node, id);
  }

  /**
   * A leader takes everything up to `commitIndex` for committed: each entry is on the disks of a quorum of what it goes
   * by, a joint one if it is joint, and the last of what is new is of the leader's own term (Raft §5.4.2, §6).
   */
  commits(
    node: string,
    id: number,
    {
      term,
      commitIndex,
      termAt,
      configurations,
    }: {
      term: number;
      commitIndex: number;
      termAt: (index: number) => number | null;
      configurations: () => readonly Configuration[];
    },
  ): void {
    const group = this.#group(id);
    const { committed, committedIn } = group;
    if (commitIndex <= committed.length) return;
    hold(
      termAt(commitIndex) === term,
      "X23",
      () =>
        `${node} commits ${commitIndex} of group ${id} in term ${term}, an entry of term ${termAt(commitIndex)}`,
    );
    for (let index = committed.length + 1; index <= commitIndex; index++) {
      const own = termAt(index);
      const holds = (member: Member) => this.logsOf(member, id).some((log) => log.has(index, own));
      hold(
        own !== null && configurations().some((configuration) => hasQuorum(configuration, holds)),
        "X6",
        () =>
          `entry ${index} (term ${own}) of group ${id} is committed without a quorum of ${configurations().map(describe).join(" or ")} that holds it`,
      );
      committed.push(own);
      committedIn.push(term);
      const configuration = group.configurations.get(`${index} ${own}`);
      if (configuration !== undefined) this.#changed(group, configuration);
    }
  }

  #changed(group: GroupLaws, configuration: Configuration): void {
    const are = new Set(membersOf(configuration).map(memberKey));
    for (const key of membersOf(group.committedConfiguration).map(memberKey))
      if (!are.has(key)) group.removed.add(key);
    group.committedConfiguration = configuration;
  }

  /** Whatever anybody applies is committed, the same everywhere, and durable here. */
  #advanced(node: string, id: number, { from, to }: { from: number; to: number }): void {
    const { committed } = this.#group(id);
    const own = this.disk(node, id);
    for (let index = Math.max(from, own.baseIndex) + 1; index <= to; index++) {
      const term = own.termAt(index);
      hold(term !== null, "X6", () => `${node} applies ${index} of group ${id} before it is on its own disk`);
      const known = committed[index - 1];
      hold(known !== undefined, "X6", () => `${node} applies ${index} of group ${id} before it is committed`);
      hold(
        known === term,
        "X4",
        () => `${node} applies the entry of term ${term} at ${index} of group ${id}, others that of ${known}`,
      );
    }
  }

  applied(node: string, id: number, command: AppliedCommand): void {
    const { applied } = this.#group(id);
    const { index, term, logTimeMs, wallTimeMs, id: from } = command;
    const digest = `${term} ${logTimeMs} ${wallTimeMs} ${from.nodeId} ${from.bootCount} ${from.sequence} ${checksum(command.command)}`;
    const known = applied.get(index);
    if (known === undefined) {
      applied.set(index, digest);
      this.#stamped(id, { index, logTimeMs, wallTimeMs });
    }
    hold(
      known === undefined || known === digest,
      "X4",
      () => `${node} applies ${digest} at ${index} of group ${id}, others ${known}`,
    );
  }

  /** So much more time has passed for a busy node than for the others. */
  busy(ms: number): void {
    this.#busyMs += ms;
  }

  /** Clocks of the log never go back, and its time is the leaders' monotonic time: it never runs ahead of all that passed. */
  #stamped(id: number, stamps: GroupLaws["stamps"]): void {
    const group = this.#group(id);
    const { logTimeMs, wallTimeMs } = group.stamps;
    if (stamps.index < group.stamps.index) return;
    hold(
      stamps.logTimeMs >= logTimeMs && stamps.wallTimeMs >= wallTimeMs,
      "X11",
      () => `${JSON.stringify(stamps)} in the log of group ${id} after ${JSON.stringify(group.stamps)}`,
    );
    const passedMs = this.#schedule.nowMs * clockRateMax + this.#busyMs + stampSlackMs;
    hold(
      stamps.logTimeMs <= passedMs,
      "X11",
      () => `log time ${stamps.logTimeMs} of group ${id} after ${passedMs} ms in all`,
    );
    group.stamps = stamps;
  }
}

function digestOf({ type, logTimeMs, wallTimeMs, data }: Entry): string {
  return `${type} ${logTimeMs} ${wallTimeMs} ${data.length} ${checksum(data)}`;
}
