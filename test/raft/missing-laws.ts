import assert from "node:assert";
import type { Entry } from "../../server/raft/entry.ts";
import type { Raft } from "../../server/raft/raft.ts";
import type { RaftNode } from "./raft-node.ts";

/** A leader has written down that a node has applied nothing behind `atMost`. */
interface Missing {
  readonly nodeId: string;
  /** The process that it is about. */
  readonly raft: Raft | null;
  readonly by: Raft;
  readonly term: number;
  readonly atMost: number;
  /** Of the entry that says so. */
  readonly index: number;
  /** What makes it untrue, should that entry ever be committed. */
  broken: string | null;
  /** Its leader has let the node go on. */
  isOver: boolean;
}

/** What a leader knows of nodes that it cannot reach. */
export class MissingLaws {
  readonly #missing: Missing[] = [];
  /** Of entries that nodes were handed out without word of being missing, though they stood before it: none, if all is well. */
  held = 0;

  /** Nobody of the leader's term, or of an earlier one, takes more for committed than the leader has named. */
  observe(leader: RaftNode, nodes: Iterable<RaftNode>): void {
    const { up } = leader;
    for (const { id, raft } of nodes) {
      if (raft === null || raft === up || raft.term > up.term) continue;
      const atMost = up.told.atMost(id);
      assert(
        raft.commitIndex <= atMost,
        `${id} takes ${raft.commitIndex} for committed, its leader ${leader.id} names ${atMost}`,
      );
    }
  }

  said(missing: Omit<Missing, "broken" | "isOver">): void {
    this.#missing.push({ ...missing, broken: null, isOver: false });
  }

  /** Whoever gets one entry that lies between the bound and the word of it gets that word with it. */
  handedOut(node: RaftNode, entries: readonly Entry[]): void {
    const [first, last] = [entries[0], entries.at(-1)];
    if (first === undefined || last === undefined) return;
    for (const missing of this.#missing) {
      if (missing.nodeId !== node.id || missing.raft !== node.raft) continue;
      if (last.index <= missing.atMost || first.index > missing.index) continue;
      if (node.up.commitIndex >= missing.index) this.held += 1;
      else
        missing.broken ??= `${node.id} applies ${last.index}, and was said to have applied ${missing.atMost} at most by entry ${missing.index} of term ${missing.term}`;
    }
  }

  /** An entry that never came to be says nothing. */
  check(committedTermAt: (index: number) => number | null): void {
    for (const { broken, index, term } of this.#missing)
      assert(broken === null || committedTermAt(index) !== term, broken ?? "");
  }

  /** The leader has seen to the end all that it wrote of that node: the node goes on. */
  letOn(leader: RaftNode): void {
    const { up } = leader;
    const applied = leader.applied.at(-1)?.index ?? 0;
    const own = this.#missing.filter(({ by, term }) => by === up && term === up.term);
    const waiting = new Set(own.filter(({ index }) => index > applied).map(({ nodeId }) => nodeId));
    for (const one of own) {
      if (one.isOver || waiting.has(one.nodeId)) continue;
      one.isOver = true;
      up.told.letOn(one.nodeId, up.lastIndex);
    }
  }
}
