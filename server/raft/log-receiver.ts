import { check } from "./check.ts";
import type { RaftMessage } from "./message.ts";
import type { Replica } from "./replica.ts";

type AppendEntries = Extract<RaftMessage, { type: "appendEntries" }>;

/** To the leader of a term: this log agrees with its up to here. */
interface Answer {
  readonly to: string;
  readonly term: number;
  readonly receivedIndex: number;
}

/** A replica's side of log replication: figure 2, "AppendEntries RPC, receiver implementation". */
export class LogReceiver {
  readonly #replica: Replica;
  /** Several appends of one drain get one answer. */
  #answer: Answer | null = null;
  /** The last receipt (see #tellReceived). */
  #told: Answer | null = null;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** Of the present term's leader. */
  onAppendEntries(from: string, message: AppendEntries): void {
    const { log, swapping, commitIndex } = this.#replica;
    // What is appended now would be swept away with the log that the snapshot replaces.
    if (swapping) return;
    const { prevLogIndex, prevLogTerm, entries } = message;
    const lastNewIndex = prevLogIndex + entries.length;
    if (prevLogIndex < commitIndex) {
      // Leader completeness (Raft §5.4.3): what is committed here is in every leader's log. Only the rest is news.
      if (lastNewIndex > commitIndex) this.#append(entries.slice(commitIndex - prevLogIndex), commitIndex);
    } else if (log.matches(prevLogIndex, prevLogTerm)) {
      this.#append(entries, prevLogIndex);
    } else {
      this.reject(from, message);
      return;
    }
    this.#commit(message.commitIndex, lastNewIndex);
    this.#accept(from, Math.max(lastNewIndex, Math.min(commitIndex, log.lastIndex)));
  }

  #append(entries: AppendEntries["entries"], after: number): void {
    const { log, commitIndex } = this.#replica;
    check(
      entries[0] === undefined || entries[0].index === after + 1,
      "an append does not begin after its own prevLogIndex",
    );
    const firstNew = entries.findIndex((entry) => !log.matches(entry.index, entry.term));
    if (firstNew === -1) return;
    const news = entries.slice(firstNew);
    const index = after + 1 + firstNew;
    if (index <= log.lastIndex) {
      check(index > commitIndex, `the committed entry ${index} would be overwritten`);
      log.truncateFrom(index);
    }
    log.append(news);
  }

  #commit(leaderCommitIndex: number, lastNewIndex: number): void {
    this.#replica.raiseCommitIndex(
      Math.max(this.#replica.commitIndex, Math.min(leaderCommitIndex, lastNewIndex)),
    );
  }

  #accept(to: string, index: number): void {
    const { term } = this.#replica;
    this.#answer = { to, term, receivedIndex: Math.max(index, this.#indexOf(this.#answer, to)) };
  }

  #indexOf(answer: Answer | null, to: string): number {
    return answer?.to === to && answer.term === this.#replica.term ? answer.receivedIndex : 0;
  }

  /** Also to a leader of an older term, which learns of its end by it (Raft §5.1). */
  reject(from: string, { prevLogIndex, prevLogTerm }: AppendEntries): void {
    const { log, outbox, term, options } = this.#replica;
    const conflictIndex = log.lastIndexWithTermAtMost(prevLogTerm, prevLogIndex);
    outbox.sendAfterSave(from, {
      type: "appendEntriesResponse",
      term,
      storeId: options.self.storeId,
      success: false,
      rejectedIndex: prevLogIndex,
      conflictIndex,
      conflictTerm: log.termAt(conflictIndex) ?? 0,
    });
  }

  get hasAnswer(): boolean {
    return this.#answer !== null;
  }

  /**
   * Puts the answer into the outbox. If this Ready saves something, the answer leaves behind that save and all before
   * it. If not, entries may still be on their way to the disk by an earlier one, whose own answer vouches for them.
   */
  takeAnswer(saves: boolean): void {
    const answer = this.#answer;
    this.#answer = null;
    const { log, term, role } = this.#replica;
    if (answer === null || answer.term !== term || role === "leader") return;
    this.#tellReceived(answer);
    const { to, receivedIndex } = answer;
    const matchIndex = saves ? receivedIndex : Math.min(receivedIndex, log.durableIndex);
    this.#replica.outbox.sendAfterSave(to, this.#accepted(receivedIndex, matchIndex));
  }

  #accepted(receivedIndex: number, matchIndex: number): RaftMessage {
    const { term, commitIndex, options } = this.#replica;
    const { storeId } = options.self;
    return {
      type: "appendEntriesResponse",
      term,
      storeId,
      success: true,
      receivedIndex,
      matchIndex,
      commitIndex,
    };
  }

  /**
   * Much that waits for the disk is told beside the save: the leader's window is for what is on its way, so a slow disk
   * does not make it wait. What is little is not worth a message; the answer behind the save covers it.
   */
  #tellReceived(answer: Answer): void {
    const { log, term, outbox, options } = this.#replica;
    const { to, receivedIndex } = answer;
    const durableIndex = Math.min(receivedIndex, log.durableIndex);
    const from = Math.max(durableIndex, this.#indexOf(this.#told, to)) + 1;
    const isMuch =
      receivedIndex - from + 1 >= options.receiptEntriesMin ||
      log.bytesBetween(from, receivedIndex) >= options.receiptBytesMin;
    // Even this much is said in a term that is on the disk only.
    if (!isMuch || log.termAt(log.durableIndex) !== term) return;
    this.#told = answer;
    outbox.send(to, this.#accepted(receivedIndex, durableIndex));
  }
}
