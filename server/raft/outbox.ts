import type { Envelope, RaftMessage } from "./message.ts";
import type { Ready } from "./ready.ts";

type ChunkWanted = Ready["chunksWanted"][number];
type ChunkReceived = Ready["chunksReceived"][number];
type TransferRefusal = Ready["transfersRefused"][number];
type Read = Ready["reads"][number];

/** What has gathered for the next Ready, apart from the log and the hard state. Handed out, and emptied, at every `ready()`. */
export class Outbox {
  #messages: Envelope[] = [];
  #messagesAfterSave: Envelope[] = [];
  #chunksWanted: ChunkWanted[] = [];
  #snapshotsEnded: number[] = [];
  #chunksReceived: ChunkReceived[] = [];
  #transfersRefused: TransferRefusal[] = [];
  #reads: Read[] = [];

  /** For what rests on nothing that is yet to be saved here. */
  send(to: string, message: RaftMessage): void {
    this.#messages.push({ to, message });
  }

  /** For votes, vouching for entries, and whatever else a crash must not make untrue. */
  sendAfterSave(to: string, message: RaftMessage): void {
    this.#messagesAfterSave.push({ to, message });
  }

  wantChunk(chunk: ChunkWanted): void {
    this.#chunksWanted.push(chunk);
  }

  endSnapshot(snapshotId: number): void {
    this.#chunksWanted = this.#chunksWanted.filter((wanted) => wanted.snapshotId !== snapshotId);
    this.#snapshotsEnded.push(snapshotId);
  }

  stageChunk(chunk: ChunkReceived): void {
    this.#chunksReceived.push(chunk);
  }

  refuseTransfer(refusal: TransferRefusal): void {
    this.#transfersRefused.push(refusal);
  }

  answerRead(read: Read): void {
    this.#reads.push(read);
  }

  get isEmpty(): boolean {
    return (
      this.#messages.length === 0 &&
      this.#messagesAfterSave.length === 0 &&
      this.#chunksWanted.length === 0 &&
      this.#snapshotsEnded.length === 0 &&
      this.#chunksReceived.length === 0 &&
      this.#transfersRefused.length === 0 &&
      this.#reads.length === 0
    );
  }

  take(): Omit<Ready, "hardState" | "entries" | "committed"> {
    const taken = {
      messages: this.#messages,
      messagesAfterSave: this.#messagesAfterSave,
      chunksWanted: this.#chunksWanted,
      snapshotsEnded: this.#snapshotsEnded,
      chunksReceived: this.#chunksReceived,
      transfersRefused: this.#transfersRefused,
      reads: this.#reads,
    };
    this.#messages = [];
    this.#messagesAfterSave = [];
    this.#chunksWanted = [];
    this.#snapshotsEnded = [];
    this.#chunksReceived = [];
    this.#transfersRefused = [];
    this.#reads = [];
    return taken;
  }
}
