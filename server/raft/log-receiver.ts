import { check } from "./check.ts";
import type { RaftMessage } from "./message.ts";
import type { Replica } from "./replica.ts";

type AppendEntries = Extract<RaftMessage, { type: "appendEntries" }>;

/** A replica's side of log replication: figure 2, "AppendEntries RPC, receiver implementation". */
export class LogReceiver {
  readonly #replica: Replica;
  /** Several appends of one drain get one answer. */
  #answer: { readonly to: string; readonly term: number; matchIndex: number } | null = null;

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

  #accept(to: string, matchIndex: number): void {
    const { term } = this.#replica;
    const merged = this.#answer?.to === to && this.#answer.term === term ? this.#answer.matchIndex : 0;
    this.#answer = { to, term, matchIndex: Math.max(matchIndex, merged) };
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
    const { log, outbox, term, commitIndex, options, role } = this.#replica;
    if (answer === null || answer.term !== term || role === "leader") return;
    const matchIndex = saves ? answer.matchIndex : Math.min(answer.matchIndex, log.durableIndex);
    const { storeId } = options.self;
    outbox.sendAfterSave(answer.to, {
      type: "appendEntriesResponse",
      term,
      storeId,
      success: true,
      matchIndex,
      commitIndex,
    });
  }
}
