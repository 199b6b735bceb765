import type { Base } from "../raft/entry.ts";
import type { RaftEvent, Ready } from "../raft/ready.ts";
import type { Checkpoint, CheckpointMark, GroupSave } from "../storage/storage.ts";
import type { GroupHost } from "./group-host.ts";
import { type ReceivedChunk, SnapshotReceiver } from "./snapshot-receiver.ts";
import { SnapshotSender } from "./snapshot-sender.ts";

interface GroupSnapshotsParts {
  readonly group: number;
  readonly host: GroupHost;
  /** The newest base that durable checkpoints allow. */
  readonly base: () => Base;
  readonly step: (event: RaftEvent) => void;
  /** The batch that replaces the old state by the new one: `save` is completed with the hard state; `done` once durable. */
  readonly swapIn: (save: Pick<GroupSave, "reset" | "base" | "checkpoints">, done: () => void) => void;
  readonly swappedIn: (base: Base, checkpoints: ReadonlyMap<string, CheckpointMark>) => void;
}

/** Snapshots of one group, both ways: to followers that are too far behind, and from a leader (design 5.5). */
export class GroupSnapshots {
  readonly #parts: GroupSnapshotsParts;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;

  constructor(parts: GroupSnapshotsParts) {
    this.#parts = parts;
    this.#receiver = new SnapshotReceiver(parts.host.engine);
    this.#sender = this.#makeSender();
  }

  #makeSender(): SnapshotSender {
    const { group, host, base, step } = this.#parts;
    const { engine, bufferedBytes, log } = host;
    return new SnapshotSender({
      ...engine,
      base,
      readCheckpoints: (snapshotId) => this.#readAll(snapshotId),
      bufferedBytes,
      step,
      tooLarge: (bytes) =>
        log.error({ group, bytes, bytesMax: engine.snapshotBytesMax }, "a snapshot is too large to be sent"),
    });
  }

  /** The log may not be cut beyond this: `Infinity` if nothing is being sent. */
  get pinnedIndex(): number {
    return this.#sender.pinnedIndex;
  }

  /** What a Ready asks for. */
  carryOut({ snapshotsEnded, chunksWanted, chunksReceived }: Ready): void {
    this.#sender.ended(snapshotsEnded);
    for (const wanted of chunksWanted) this.#sender.want(wanted);
    for (const received of chunksReceived) this.#receive(received);
  }

  /** Chunks that waited for room in a link's buffer. */
  poll(): void {
    this.#sender.poll();
  }

  #readAll(snapshotId: number): void {
    const { group, host } = this.#parts;
    host.listCheckpoints(group, (marks) => {
      const all = { keys: [...marks.keys()], bytesMax: Number.POSITIVE_INFINITY };
      host.readCheckpoints(group, all, (read) => {
        const checkpoints = new Map<string, Checkpoint>();
        for (const [key, checkpoint] of read) if (checkpoint !== null) checkpoints.set(key, checkpoint);
        this.#sender.read(snapshotId, checkpoints);
      });
    });
  }

  #receive(received: ReceivedChunk): void {
    const { group, host, step } = this.#parts;
    const { from, snapshotId, chunk, base } = received;
    const outcome = this.#receiver.receive(received);
    switch (outcome.type) {
      case "received":
        step({ type: "chunkStored", from, snapshotId, chunk, base, status: "received" });
        return;
      case "refused":
        host.log.warn({ group, from, chunk, reason: outcome.reason }, "a snapshot was refused");
        step({ type: "chunkStored", from, snapshotId, chunk, base, status: "refused" });
        return;
      case "complete":
        this.#swapIn(received, outcome.checkpoints);
        return;
    }
  }

  /** One batch replaces the old state by the new one; memory follows once it is durable. */
  #swapIn(
    { from, snapshotId, chunk, base }: ReceivedChunk,
    checkpoints: ReadonlyMap<string, Checkpoint>,
  ): void {
    const { group, host, step, swapIn, swappedIn } = this.#parts;
    swapIn({ reset: true, base, checkpoints }, () => {
      step({ type: "chunkStored", from, snapshotId, chunk, base, status: "installed" });
      const marks = new Map<string, CheckpointMark>();
      for (const [key, { index, bytes }] of checkpoints) marks.set(key, { index, sizeBytes: bytes.length });
      swappedIn(base, marks);
      host.log.info({ group, from, baseIndex: base.index }, "a snapshot was installed");
    });
  }
}
