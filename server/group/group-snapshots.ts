import type { Base } from "../raft/entry.ts";
import type { RaftEvent, Ready } from "../raft/ready.ts";
import type { CheckpointMark, GroupSave } from "../storage/storage.ts";
import type { GroupHost } from "./group-host.ts";
import { type ReceivedChunk, type ReceivingStatus, SnapshotReceiver } from "./snapshot-receiver.ts";
import { SnapshotSender } from "./snapshot-sender.ts";

/** What a replica's machine is made of. */
export interface RestoredFrom {
  readonly base: Base;
  readonly checkpoints: ReadonlyMap<string, CheckpointMark>;
  /** None had gone later than this entry; by default the base. */
  readonly throughIndex?: number;
}

interface GroupSnapshotsParts {
  readonly group: number;
  readonly host: GroupHost;
  /** Staged by an earlier start. */
  readonly staged: ReadonlyMap<string, CheckpointMark>;
  readonly commitIndex: () => number;
  readonly appliedIndex: () => number;
  /** Where the log begins now: durable checkpoints hold everything up to there. */
  readonly base: () => Base;
  /** More of the log than this could go if nothing pinned it. */
  readonly isPinnedBeyond: (limits: { entriesMax: number; bytesMax: number }) => boolean;
  readonly cutLog: () => void;
  readonly step: (event: RaftEvent) => void;
  /** The batch that replaces the old state by the new one: `save` is completed with the hard state; `done` once durable. */
  readonly swapIn: (save: Pick<GroupSave, "reset" | "base" | "staged">, done: () => void) => void;
  readonly swappedIn: (snapshot: RestoredFrom) => void;
}

/** Snapshots of one group, both ways: to followers that are too far behind, and from a leader (design 5.5). */
export class GroupSnapshots {
  readonly #parts: GroupSnapshotsParts;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;

  constructor(parts: GroupSnapshotsParts) {
    const { host, staged, commitIndex } = parts;
    this.#parts = parts;
    this.#receiver = new SnapshotReceiver(host.engine, { staged, commitIndex: commitIndex() });
    this.#sender = this.#makeSender();
  }

  #makeSender(): SnapshotSender {
    const { group, host, base, step, appliedIndex } = this.#parts;
    const { engine, bufferedBytes, log } = host;
    return new SnapshotSender({
      ...engine,
      base,
      appliedIndex,
      list: (snapshotId) => host.listCheckpoints(group, (parts) => this.#sender.listed(snapshotId, parts)),
      read: (snapshotId, read) =>
        host.readCheckpoints(group, read, (checkpoints) => this.#sender.read(snapshotId, checkpoints)),
      bufferedBytes,
      step,
      failed: (to, reason) => log.warn({ group, to, reason }, "a snapshot was given up by its sender"),
    });
  }

  /** The log may not be cut beyond this: `Infinity` if nothing is being sent. */
  get pinnedIndex(): number {
    return this.#sender.pinnedIndex;
  }

  /** How many are being sent. */
  get sending(): number {
    return this.#sender.count;
  }

  get receiving(): ReceivingStatus | null {
    return this.#receiver.status;
  }

  /** None is on its way to anybody, nor from anybody. */
  get isIdle(): boolean {
    return this.#sender.count === 0 && this.#receiver.status === null;
  }

  /** What a Ready asks for. */
  carryOut({ snapshotsEnded, chunksWanted, chunksReceived }: Ready): void {
    this.#sender.ended(snapshotsEnded);
    for (const wanted of chunksWanted) this.#sender.want(wanted);
    for (const received of chunksReceived) this.#receive(received);
  }

  tick(): void {
    const { group, host, commitIndex } = this.#parts;
    this.#sender.poll();
    if (this.#sender.count > 0) this.#boundLog();
    const dropped = this.#receiver.look(commitIndex());
    if (dropped !== null) host.saver.gather(group, { staged: dropped });
  }

  #boundLog(): void {
    const { snapshotLogEntriesMax, snapshotLogBytesMax } = this.#parts.host.engine;
    const limits = { entriesMax: snapshotLogEntriesMax, bytesMax: snapshotLogBytesMax };
    if (!this.#parts.isPinnedBeyond(limits)) return;
    this.#sender.giveUpOldest();
    this.#parts.cutLog();
  }

  #receive(received: ReceivedChunk): void {
    const { group, host } = this.#parts;
    const { from, chunk } = received;
    const outcome = this.#receiver.receive(received);
    const { staged } = outcome;
    switch (outcome.type) {
      case "received":
        if (outcome.answer.length > 0) this.#tellOfManifest(from);
        this.#stage(staged, () => this.#stored(received, "received", outcome.answer));
        return;
      case "refused":
        host.log.warn({ group, from, chunk, reason: outcome.reason }, "a snapshot was refused");
        this.#stage(staged, () => this.#stored(received, "refused"));
        return;
      case "complete":
        this.#swapIn(received, outcome);
        return;
    }
  }

  #tellOfManifest(from: string): void {
    const { group, host } = this.#parts;
    const { parts = 0, missing = 0 } = this.#receiver.status ?? {};
    host.log.info({ group, from, parts, held: parts - missing }, "a snapshot is coming");
  }

  /** The sender goes on once it is durable: a slow disk is not flooded. */
  #stage(staged: Required<GroupSave>["staged"], done: () => void): void {
    const { group, host } = this.#parts;
    if (staged.size === 0) done();
    else host.saver.gather(group, { staged }, done);
  }

  #stored(
    { from, snapshotId, chunk, base }: ReceivedChunk,
    status: Extract<RaftEvent, { type: "chunkStored" }>["status"],
    answer: Uint8Array = nothing,
  ): void {
    this.#parts.step({ type: "chunkStored", from, snapshotId, chunk, base, status, answer });
  }

  /** One batch replaces the old state by the new one; memory follows once it is durable. */
  #swapIn(
    received: ReceivedChunk,
    { staged, throughIndex }: { staged: Required<GroupSave>["staged"]; throughIndex: number },
  ): void {
    const { group, host, swapIn, swappedIn } = this.#parts;
    const { from, base } = received;
    swapIn({ staged, reset: true, base }, () => {
      const checkpoints = this.#receiver.swappedIn();
      this.#stored(received, "installed");
      swappedIn({ base, checkpoints, throughIndex });
      const facts = { group, from, baseIndex: base.index, parts: checkpoints.size };
      host.log.info(facts, "a snapshot was installed");
    });
  }
}

const nothing = new Uint8Array(0);
