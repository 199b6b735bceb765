import assert from "node:assert";
import type { Configuration, Member } from "../../server/raft/configuration.ts";
import type { Entry } from "../../server/raft/entry.ts";
import { isQuorum, isVoter, sameMember } from "../../server/raft/quorum.ts";
import type { Ready } from "../../server/raft/ready.ts";
import type { RaftNode } from "./raft-node.ts";

function content({ type, logTimeMs, wallTimeMs, data }: Entry): string {
  return `${type} ${logTimeMs} ${wallTimeMs} ${Buffer.from(data).toString("hex")}`;
}

interface Leading {
  readonly term: number;
  readonly commitIndex: number;
  readonly configuration: Configuration;
}

/** The Raft paper's figure 3, checked as a cluster goes. */
export class RaftLaws {
  /** All disks that there ever were: what one held when it was lost was held. */
  readonly #nodes: readonly RaftNode[];
  readonly #leaderOfTerm = new Map<number, string>();
  /** By "index term". */
  readonly #entries = new Map<string, string>();
  readonly #termBefore = new Map<string, number>();
  readonly #committed: Entry[] = [];
  /** By index: the term of the leader that committed it. */
  readonly #committedIn: number[] = [];
  /** What each leader was when it was looked at last. */
  readonly #leading = new Map<RaftNode, Leading>();
  /** Up to here some leader has committed. */
  #committedByLeaders = 0;
  /** Terms whose leader was seen already. */
  readonly #checkedTerms = new Set<number>();
  readonly #lastTerms = new Map<RaftNode, number>();
  /** By node and ticket: what the answer must reach. */
  readonly #reads = new Map<string, Map<number, number>>();
  readsAnswered = 0;
  leaseReadsAnswered = 0;

  constructor(nodes: readonly RaftNode[]) {
    this.#nodes = nodes;
  }

  get committedIndex(): number {
    return this.#committed.length;
  }

  committedTermAt(index: number): number | null {
    return this.#committed[index - 1]?.term ?? null;
  }

  /** Log matching: an index and a term name one entry, and one entry before it, on every disk and in every message. */
  appended(entries: readonly Entry[]): void {
    let before: Entry | null = null;
    for (const entry of entries) {
      const key = `${entry.index} ${entry.term}`;
      const known = this.#entries.get(key);
      assert(
        known === undefined || known === content(entry),
        `log matching: two entries are (index, term) ${key}`,
      );
      this.#entries.set(key, content(entry));
      if (before !== null) {
        const term = this.#termBefore.get(key);
        assert(term === undefined || term === before.term, `log matching: two entries come before ${key}`);
        this.#termBefore.set(key, before.term);
      }
      before = entry;
    }
  }

  /** State machine safety: what anybody applies was committed by a leader, is on its own disk, in order, the same everywhere. */
  committed(node: RaftNode, entry: Entry): void {
    const previous = node.applied.at(-2);
    assert.equal(entry.index, (previous?.index ?? 0) + 1, `${node.id} applies in order`);
    if (previous !== undefined) {
      assert(
        entry.logTimeMs >= previous.logTimeMs && entry.wallTimeMs >= previous.wallTimeMs,
        "stamps never go back",
      );
    }
    const isOnDisk = node.disk.entries.some((one) => one.index === entry.index && one.term === entry.term);
    assert(isOnDisk, `${node.id} applies ${entry.index} before it is on its own disk`);
    assert(
      entry.index <= this.#committedByLeaders,
      `${node.id} applies ${entry.index}, which no leader committed`,
    );
    const known = this.#committed[entry.index - 1];
    if (known !== undefined) {
      assert.equal(
        entry.term,
        known.term,
        `state machine safety: ${node.id} applies another entry at ${entry.index}`,
      );
      assert.equal(content(entry), content(known), `state machine safety at ${entry.index}`);
      return;
    }
    assert.equal(entry.index, this.#committed.length + 1);
    this.#committed.push(entry);
  }

  /** A test speaks as a leader that is not there. */
  vouch(commitIndex: number): void {
    this.#committedByLeaders = Math.max(this.#committedByLeaders, commitIndex);
  }

  observe(node: RaftNode): void {
    const { raft } = node;
    if (raft === null) return;
    const lastTerm = this.#lastTerms.get(node) ?? 0;
    this.#lastTerms.set(node, raft.term);
    assert(raft.commitIndex <= raft.lastIndex && raft.durableIndex <= raft.lastIndex);
    this.#checkCommit(node);
    if (raft.role === "leader") this.#observeLeader(node, lastTerm);
    else this.#leading.delete(node);
    assert(
      raft.commitIndex <= this.#committedByLeaders,
      `${node.id} takes ${raft.commitIndex} for committed, leaders have committed ${this.#committedByLeaders}`,
    );
  }

  readBegan({ id }: RaftNode, ticket: number): void {
    const reads = this.#reads.get(id) ?? new Map<number, number>();
    this.#reads.set(id, reads.set(ticket, this.committedIndex));
  }

  /** Dissertation §6.4: a read sees everything that was applied anywhere before it began. */
  readAnswered({ id }: RaftNode, { ticket, index }: Ready["reads"][number]): void {
    for (const [began, committedIndex] of this.#reads.get(id) ?? []) {
      if (began > ticket) continue;
      assert(
        index >= committedIndex,
        `${id} reads at ${index} what was applied up to ${committedIndex} before`,
      );
      this.#reads.get(id)?.delete(began);
      this.readsAnswered += 1;
    }
  }

  /** §6.4.1: so does one that a lease answers. */
  leaseAnswered(id: string, index: number | null): void {
    if (index === null) return;
    this.leaseReadsAnswered += 1;
    const { committedIndex } = this;
    assert(
      index >= committedIndex,
      `${id}'s lease answers ${index} when ${committedIndex} was applied before`,
    );
  }

  /** Its process ended: nobody waits any more. */
  readsEnded({ id }: RaftNode): void {
    this.#reads.delete(id);
  }

  #observeLeader(node: RaftNode, lastTerm: number): void {
    const { id, up: raft } = node;
    assert(raft.term >= lastTerm, "a running leader's term never goes back");
    const { term, commitIndex, configuration } = raft;
    this.#leading.set(node, { term, commitIndex, configuration });
    // One that its own vote sufficed for leads nobody before that is on its disk: until then it may lead the term again.
    if (node.disk.hardState.term < term) return;
    const leader = this.#leaderOfTerm.get(raft.term);
    assert(
      leader === undefined || leader === id,
      `election safety: ${leader} and ${id} lead term ${raft.term}`,
    );
    this.#leaderOfTerm.set(raft.term, id);
    if (!this.#checkedTerms.has(term)) this.#checkOpening(node);
  }

  /** Also of one that stepped down at once, since what it committed was its own removal. */
  #checkCommit(node: RaftNode): void {
    const before = this.#leading.get(node);
    const { term, commitIndex, configuration } = node.up;
    if (before?.term === term && commitIndex > before.commitIndex)
      this.#checkQuorum(node, [before.configuration, configuration]);
  }

  /** What a leader commits is on the disks of a quorum, by its configuration as it was or is now. */
  #checkQuorum(node: RaftNode, configurations: readonly Configuration[]): void {
    const { commitIndex: index, term } = node.up;
    const isHeld = configurations.some((one) => isQuorum(one, (voter) => this.#holds(voter, index, term)));
    assert(isHeld, `${node.id} commits ${index} in term ${term}, which no quorum's disks hold`);
    for (let at = this.#committedByLeaders; at < index; at += 1) this.#committedIn[at] = term;
    this.#committedByLeaders = Math.max(this.#committedByLeaders, index);
  }

  #holds(voter: Member, index: number, term: number): boolean {
    const node = this.#nodes.find(({ self }) => sameMember(self, voter));
    if (node === undefined) return false;
    const { base, entries } = node.disk;
    return base.index >= index || entries.some((one) => one.index === index && one.term === term);
  }

  /** Leader completeness: at the start of its term it has all that was ever committed before. */
  #checkOpening(node: RaftNode): void {
    const { id, up: raft } = node;
    this.#checkedTerms.add(raft.term);
    // The last one may be to remove it, and not be committed yet (dissertation §4.2.2).
    assert(
      node.configurations.some((one) => isVoter(one, node.self)),
      "only voters begin to lead",
    );
    for (const entry of this.#committed) {
      if ((this.#committedIn[entry.index - 1] as number) >= raft.term) break;
      if (entry.index <= raft.base.index) continue;
      const pending = node.writes.flatMap((write) => write.entries);
      const own = [...pending, ...node.disk.entries].find(
        (one) => one.index === entry.index && one.term === entry.term,
      );
      assert(own !== undefined, `leader completeness: ${id} lacks entry ${entry.index} in term ${raft.term}`);
    }
  }
}
