import assert from "node:assert";
import type { Configuration } from "../../server/raft/configuration.ts";
import type { Entry } from "../../server/raft/entry.ts";
import type { RaftNode } from "./raft-node.ts";

function content({ type, logTimeMs, wallTimeMs, data }: Entry): string {
  return `${type} ${logTimeMs} ${wallTimeMs} ${Buffer.from(data).toString("hex")}`;
}

/** The Raft paper's figure 3, checked as a cluster goes. */
export class RaftLaws {
  readonly #configuration: Configuration;
  readonly #nodes: readonly RaftNode[];
  readonly #leaderOfTerm = new Map<number, string>();
  /** By "index term". */
  readonly #entries = new Map<string, string>();
  readonly #termBefore = new Map<string, number>();
  readonly #committed: Entry[] = [];
  /** Terms whose leader was seen already. */
  readonly #checkedTerms = new Set<number>();
  readonly #lastTerms = new Map<string, number>();

  constructor(configuration: Configuration, nodes: readonly RaftNode[]) {
    this.#configuration = configuration;
    this.#nodes = nodes;
  }

  get committedIndex(): number {
    return this.#committed.length;
  }

  /** Log matching: an index and a term name one entry, and one entry before it. */
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

  /** State machine safety, and durability: what anybody applies is on a majority's disks, in order, the same everywhere. */
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
    const holds = this.#configuration.voters.filter((voter) => {
      const { disk } = this.#nodes.find(({ id }) => id === voter.nodeId) ?? assert.fail();
      if (disk.base.index >= entry.index) return true;
      return disk.entries.some((one) => one.index === entry.index && one.term === entry.term);
    });
    const { length } = this.#configuration.voters;
    assert(
      holds.length * 2 > length,
      `entry ${entry.index} was committed on ${holds.length} of ${length} disks`,
    );
  }

  observe({ id, raft, self }: RaftNode): void {
    if (raft === null) return;
    const lastTerm = this.#lastTerms.get(id) ?? 0;
    this.#lastTerms.set(id, raft.term);
    assert(raft.commitIndex <= raft.lastIndex && raft.durableIndex <= raft.lastIndex);
    if (raft.role !== "leader") return;
    assert(raft.term >= lastTerm, "a running leader's term never goes back");
    const leader = this.#leaderOfTerm.get(raft.term);
    assert(
      leader === undefined || leader === id,
      `election safety: ${leader} and ${id} lead term ${raft.term}`,
    );
    this.#leaderOfTerm.set(raft.term, id);
    if (this.#checkedTerms.has(raft.term)) return;
    this.#checkedTerms.add(raft.term);
    assert(
      this.#configuration.voters.some((voter) => voter.nodeId === self.nodeId),
      "only voters lead",
    );
    // Leader completeness: at the start of its term it has all that was ever committed.
    assert(
      raft.lastIndex > this.#committed.length,
      `leader completeness: ${id} lacks committed entries in term ${raft.term}`,
    );
    for (const entry of this.#committed.slice(raft.base.index)) {
      const node = this.#nodes.find((one) => one.id === id) ?? assert.fail();
      const pending = node.writes.flatMap((write) => write.entries);
      const own = [...pending, ...node.disk.entries].find(
        (one) => one.index === entry.index && one.term === entry.term,
      );
      assert(
        own !== undefined,
        `leader completeness: ${id} has another entry ${entry.index} in term ${raft.term}`,
      );
    }
  }
}
