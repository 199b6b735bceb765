import assert from "node:assert";
import type { Configuration, Member } from "../../server/raft/configuration.ts";
import { decodeConfiguration } from "../../server/raft/configuration-codec.ts";
import type { Base, Entry, HardState, PersistedState } from "../../server/raft/entry.ts";
import type { Envelope } from "../../server/raft/message.ts";
import type { Raft } from "../../server/raft/raft.ts";
import type { RaftEvent, Ready } from "../../server/raft/ready.ts";

/** One write on its way to a node's disk, and what waits behind it. */
interface Write {
  readonly hardState: HardState | null;
  readonly entries: readonly Entry[];
  readonly afterSave: Envelope[];
  readonly base: Base | null;
  readonly swap: {
    readonly event: RaftEvent;
    readonly base: Base;
    readonly applied: readonly Entry[];
  } | null;
}

interface Pinned {
  readonly base: Base;
  readonly bytes: Uint8Array;
}

/** A replica under test, with its disk and its machine. */
export class RaftNode {
  readonly self: Member;
  raft: Raft | null = null;
  disk: { hardState: HardState; base: Base; entries: readonly Entry[]; applied: readonly Entry[] };
  writes: Write[] = [];
  /** What the machine has been given: its whole state. */
  applied: Entry[] = [];
  pinned = new Map<number, Pinned>();
  staged: Uint8Array[] = [];
  installs = 0;
  /** The next Readys, as they were handed out. */
  readys: Ready[] = [];
  /** The answers to its reads, as they came. */
  reads: Ready["reads"][number][] = [];

  constructor(self: Member, configuration: Configuration) {
    const base = { index: 0, term: 0, logTimeMs: 0, wallTimeMs: 0, configuration };
    this.self = self;
    this.disk = { hardState: { term: 0, votedFor: null, commitIndex: 0 }, base, entries: [], applied: [] };
  }

  get id(): string {
    return this.self.nodeId;
  }

  get up(): Raft {
    assert(this.raft !== null, `${this.id} is down`);
    return this.raft;
  }

  /** All that its log brings, saved or not. */
  get configurations(): readonly Configuration[] {
    const entries = [...this.disk.entries, ...this.writes.flatMap((write) => write.entries)];
    return [
      this.disk.base.configuration,
      ...entries.flatMap(({ type, data }) => (type === "configuration" ? [decodeConfiguration(data)] : [])),
      ...(this.raft === null ? [] : [this.raft.configuration]),
    ];
  }

  get persisted(): PersistedState {
    const { hardState, base, entries } = this.disk;
    return { hardState, base, entries };
  }
}
