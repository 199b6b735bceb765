import { check } from "./check.ts";
import type { Member } from "./configuration.ts";
import type { Entry } from "./entry.ts";
import type { RaftMessage } from "./message.ts";
import { Progress } from "./progress.ts";
import { isQuorum, members, quorumIndex, sameMember } from "./quorum.ts";
import type { RaftEvent } from "./ready.ts";
import type { Replica } from "./replica.ts";
import { SendWindow } from "./send-window.ts";
import { SnapshotSender } from "./snapshot-sender.ts";
import { ToldCommits } from "./told-commits.ts";

type AppendResponse = Extract<RaftMessage, { type: "appendEntriesResponse" }>;
type SnapshotResponse = Extract<RaftMessage, { type: "installSnapshotResponse" }>;

interface Leaving {
  readonly progress: Progress;
  /** Of the entry that removed it. */
  readonly index: number;
}

/** A leader's view of its followers: replication, commitment and check-quorum (Raft §5.3, §5.4.2; dissertation §6.2). */
export class Replication {
  readonly #replica: Replica;
  readonly #snapshots: SnapshotSender;
  readonly #window: SendWindow;
  readonly told = new ToldCommits();
  #followers: readonly Progress[] = [];
  /** No members any more: they are told that it is so, by the entry that says it and its commitment, if they are there. */
  #leaving: readonly Leaving[] = [];
  /** No quorum was heard once already, and waiting answers have had their chance. */
  #graced = false;

  constructor(replica: Replica) {
    this.#replica = replica;
    this.#snapshots = new SnapshotSender(replica);
    this.#window = new SendWindow(replica.options);
  }

  get followers(): readonly Progress[] {
    return this.#followers;
  }

  get #nowMs(): number {
    return this.#replica.now.monotonicMs;
  }

  /** Called before the term's no-op is appended, so that the first probe carries it. */
  start(): void {
    const { configuration, log } = this.#replica;
    const others = members(configuration).filter((member) => !this.#replica.isSelf(member));
    const nextIndex = log.lastIndex + 1;
    this.told.begin(nextIndex);
    this.#followers = others.map((member) => new Progress(member, { nextIndex, nowMs: this.#nowMs }));
    this.#leaving = [];
    this.#graced = false;
  }

  stop(): void {
    for (const progress of this.all) this.#snapshots.end(progress);
    this.#followers = [];
    this.#leaving = [];
  }

  /** The log's last entry brought another configuration. */
  configurationChanged(): void {
    const { configuration, log } = this.#replica;
    const others = members(configuration).filter((member) => !this.#replica.isSelf(member));
    const index = log.lastIndex;
    const isMember = (progress: Progress) => others.some((member) => sameMember(member, progress.member));
    for (const progress of this.#followers.filter((one) => !isMember(one))) {
      if (progress.state.type === "replicating") this.#leaving = [...this.#leaving, { progress, index }];
      else this.#snapshots.end(progress);
    }
    const known = this.#followers.filter(isMember);
    this.#letGo(({ progress }) => isMember(progress));
    this.#followers = others.map(
      (member) =>
        known.find((progress) => sameMember(progress.member, member)) ??
        new Progress(member, { nextIndex: index, nowMs: this.#nowMs }),
    );
  }

  #letGo(isOver: (leaving: Leaving) => boolean): void {
    for (const leaving of this.#leaving.filter(isOver)) this.#snapshots.end(leaving.progress);
    this.#leaving = this.#leaving.filter((leaving) => !isOver(leaving));
  }

  get all(): readonly Progress[] {
    if (this.#leaving.length === 0) return this.#followers;
    return [...this.#followers, ...this.#leaving.map(({ progress }) => progress)];
  }

  /** Also one that leaves. */
  follower(nodeId: string, storeId: string): Progress | null {
    return this.all.find(({ member }) => member.nodeId === nodeId && member.storeId === storeId) ?? null;
  }

  // ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Everything that may be sent now. Once for each Ready, so that one append carries all that a drain brought. */
  flush(): void {
    if (!this.#mayLead()) return;
    for (const progress of this.all) {
      // Another disk of this very node, or of one that has answered with its other disk: nobody to talk to.
      if (progress.member.nodeId === this.#replica.options.self.nodeId || this.#isOutdone(progress)) continue;
      if (progress.state.type === "probing") this.#probe(progress);
      else if (progress.state.type === "replicating") this.#pipeline(progress);
    }
  }

  /** While a node's disk is replaced it is a member twice; which one is there, its answers say. */
  #isOutdone({ member, confirmed }: Progress): boolean {
    return !confirmed && this.#twins(member).some((twin) => twin.confirmed);
  }

  #twins(member: Member): readonly Progress[] {
    return this.#followers.filter(
      (one) => one.member.nodeId === member.nodeId && one.member.storeId !== member.storeId,
    );
  }

  /**
   * Others' votes are asked for only once the own is durable, so a leader by others' votes leads a durable term. One
   * that its own vote sufficed for must wait for its disk, or after a crash it could lead the same term a second time.
   */
  #mayLead(): boolean {
    const { configuration, log, term } = this.#replica;
    const alone = isQuorum(configuration, (voter) => this.#replica.isSelf(voter));
    return !alone || log.termAt(log.durableIndex) === term;
  }

  #probe(progress: Progress): void {
    const { state } = progress;
    if (state.type !== "probing" || this.#nowMs < state.dueMs) return;
    const { log, options } = this.#replica;
    const dueMs = this.#nowMs + options.probeTimeoutMs;
    if (state.nextIndex > log.base.index) {
      this.#append(progress, state.nextIndex, { bytesMax: options.appendBytesMax });
      progress.state = { ...state, dueMs };
    } else if (this.isHeard(progress) && (progress.confirmed || this.#twins(progress.member).length === 0)) {
      this.#snapshots.begin(progress);
    } else {
      // A snapshot is read only for somebody who is there to take it: ask first.
      const nextIndex = log.base.index + 1;
      this.#append(progress, nextIndex, { bytesMax: 0, entriesMax: 0 });
      progress.state = { type: "probing", nextIndex, dueMs };
    }
  }

  #pipeline(progress: Progress): void {
    const { log, options } = this.#replica;
    const replicating = this.all.filter(({ state }) => state.type === "replicating");
    while (progress.state.type === "replicating" && progress.state.nextIndex <= log.lastIndex) {
      if (progress.state.nextIndex <= log.base.index) {
        progress.probe({ nextIndex: progress.matchIndex + 1, dueMs: this.#nowMs });
        return;
      }
      const allowance = this.#window.allowanceFor(progress, replicating);
      if (allowance === null) break;
      const bytesMax = Math.min(allowance.bytesMax, options.appendBytesMax);
      const { entriesMax } = allowance;
      const entries = this.#append(progress, progress.state.nextIndex, { bytesMax, entriesMax });
      const bytes = entries.reduce((sum, entry) => sum + entry.data.length, 0);
      const lastIndex = progress.state.nextIndex + entries.length - 1;
      progress.sent({ lastIndex, bytes, nowMs: this.#nowMs });
    }
    // A commit index that moved is news of its own; and the last news may have been lost on its way.
    const tellable = this.#tellable(progress);
    const isNews = progress.toldCommitIndex < tellable;
    const isUnanswered =
      progress.knownCommitIndex < tellable && this.#nowMs - progress.lastSentMs >= options.idleAppendMs;
    if (progress.state.type === "replicating" && (isNews || isUnanswered)) {
      this.#append(progress, progress.state.nextIndex, { bytesMax: 0, entriesMax: 0 });
    }
  }

  /** Nothing new to who is not heard: it may be dead, and what it was told counts as applied. */
  #tellable(progress: Progress): number {
    const matchIndex = this.isHeard(progress) ? progress.matchIndex : 0;
    return this.told.tellable(progress.member.nodeId, { matchIndex, commitIndex: this.#replica.commitIndex });
  }

  #append(
    progress: Progress,
    nextIndex: number,
    { bytesMax, entriesMax = Number.POSITIVE_INFINITY }: { bytesMax: number; entriesMax?: number },
  ): readonly Entry[] {
    const { log, outbox, term, options } = this.#replica;
    const commitIndex = this.#tellable(progress);
    const prevLogIndex = nextIndex - 1;
    const prevLogTerm = log.termAt(prevLogIndex);
    check(prevLogTerm !== null, `no entry ${prevLogIndex} to append after`);
    const limit = Math.min(entriesMax, options.appendEntriesMax);
    const entries = log.take({ from: nextIndex, entriesMax: limit, bytesMax });
    const { storeId } = options.self;
    outbox.send(progress.member.nodeId, {
      type: "appendEntries",
      term,
      storeId,
      prevLogIndex,
      prevLogTerm,
      commitIndex,
      entries,
    });
    progress.toldCommitIndex = commitIndex;
    this.told.tell(progress.member.nodeId, Math.min(commitIndex, prevLogIndex + entries.length));
    progress.lastSentMs = this.#nowMs;
    return entries;
  }

  // ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** It confirmed this leader's term. */
  heard(progress: Progress): void {
    progress.heardMs = this.#nowMs;
    progress.confirmed = true;
  }

  onAppendResponse(progress: Progress, message: AppendResponse): void {
    if (!message.success) {
      this.#rejected(progress, message);
      return;
    }
    progress.knownCommitIndex = Math.max(progress.knownCommitIndex, message.commitIndex);
    this.#accepted(progress, message);
  }

  #accepted(
    progress: Progress,
    { matchIndex, receivedIndex }: { matchIndex: number; receivedIndex: number },
  ): void {
    const { log } = this.#replica;
    check(
      matchIndex <= receivedIndex && receivedIndex <= log.lastIndex,
      `${progress.member.nodeId} claims entries ${matchIndex} and ${receivedIndex} of ${log.lastIndex}`,
    );
    const advanced = progress.acknowledged({ matchIndex, receivedIndex, nowMs: this.#nowMs });
    if (progress.state.type === "installing" && progress.matchIndex >= log.base.index)
      this.#snapshots.end(progress);
    this.#snapshots.caughtUp(progress);
    if (progress.state.type !== "replicating" && progress.matchIndex >= log.base.index) {
      const received = Math.max(receivedIndex, progress.matchIndex);
      const unsavedBytes = log.bytesBetween(progress.matchIndex + 1, received);
      progress.replicate({ receivedIndex: received, unsavedBytes });
    }
    if (advanced) this.advanceCommitIndex();
  }

  #rejected(progress: Progress, message: Extract<AppendResponse, { success: false }>): void {
    const { state } = progress;
    const { rejectedIndex, conflictIndex, conflictTerm } = message;
    if (state.type === "installing" || rejectedIndex <= progress.matchIndex) return;
    // A probe is answered by its own refusal only; an older one's says nothing new.
    if (state.type === "probing" && rejectedIndex !== state.nextIndex - 1) return;
    const { log } = this.#replica;
    // Raft §5.3's back-up by whole terms: above this index no entry of this log can agree with the follower's.
    const agreedMax = log.lastIndexWithTermAtMost(conflictTerm, conflictIndex);
    // Below the base the log knows no terms: what the follower offers there is taken as it is, and a snapshot follows.
    const hint = conflictIndex < log.base.index ? conflictIndex : agreedMax;
    const nextIndex = Math.max(Math.min(rejectedIndex, hint + 1), progress.matchIndex + 1);
    progress.probe({ nextIndex, dueMs: this.#nowMs });
  }

  onSnapshotResponse(progress: Progress, message: SnapshotResponse): void {
    if (!this.#snapshots.response(progress, message)) return;
    progress.probe({ nextIndex: progress.matchIndex + 1, dueMs: this.#nowMs });
    this.#accepted(progress, { matchIndex: message.matchIndex, receivedIndex: message.matchIndex });
  }

  onSnapshotChunk(event: Extract<RaftEvent, { type: "snapshotChunk" }>): void {
    const progress = this.#installing(event.to, event.snapshotId);
    if (progress === null) return;
    this.told.sendBase(event.to, event.base.index);
    this.#snapshots.chunk(progress, event);
  }

  onSnapshotFailed(event: Extract<RaftEvent, { type: "snapshotFailed" }>): void {
    const progress = this.#installing(event.to, event.snapshotId);
    if (progress !== null) this.#snapshots.fail(progress);
  }

  #installing(nodeId: string, snapshotId: number): Progress | null {
    const found = this.#followers.find(
      ({ member, state }) =>
        member.nodeId === nodeId && state.type === "installing" && state.snapshotId === snapshotId,
    );
    return found ?? null;
  }

  // ── commitment and quorum ────────────────────────────────────────────────────────────────────────────────────────

  /** Raft §5.4.2: only entries of the own term are committed by counting; earlier ones come along with them. */
  advanceCommitIndex(): void {
    const { configuration, log, term, commitIndex } = this.#replica;
    const index = quorumIndex(configuration, (voter) => {
      if (this.#replica.isSelf(voter)) return log.durableIndex;
      return this.#followers.find(({ member }) => sameMember(member, voter))?.matchIndex ?? 0;
    });
    if (index > commitIndex && log.termAt(index) === term) this.#replica.raiseCommitIndex(index);
  }

  /** It has confirmed this term not too long ago. */
  isHeard(progress: Progress): boolean {
    return this.#nowMs - progress.heardMs < this.#replica.options.quorumTimeoutMs;
  }

  get #hasQuorum(): boolean {
    return isQuorum(this.#replica.configuration, (voter) => {
      if (this.#replica.isSelf(voter)) return true;
      const progress = this.#followers.find(({ member }) => sameMember(member, voter));
      return progress !== undefined && this.isHeard(progress);
    });
  }

  /** False if no quorum has confirmed this term for too long: then this leader may have been replaced. */
  tick(): boolean {
    for (const progress of this.all) this.#tickFollower(progress);
    const hasQuorum = this.#hasQuorum;
    this.#letGo(({ progress, index }) => {
      const isTold = progress.matchIndex >= index && progress.toldCommitIndex >= index;
      return isTold || !this.isHeard(progress);
    });
    // Once behind a poll of the sockets: after a pause of this process the answers may be waiting there.
    const holds = hasQuorum || !this.#graced;
    this.#graced = !hasQuorum;
    return holds;
  }

  #tickFollower(progress: Progress): void {
    const { state } = progress;
    this.#snapshots.tick(progress);
    if (!this.isHeard(progress) && state.type !== "installing") this.#snapshots.end(progress);
    if (state.type !== "replicating" || state.waitingSinceMs === null) return;
    if (this.#nowMs - state.waitingSinceMs < this.#replica.options.answerTimeoutMs) return;
    if (progress.inFlightEntries > 0 || state.nextIndex <= this.#replica.log.base.index) {
      progress.probe({ nextIndex: progress.matchIndex + 1, dueMs: this.#nowMs });
      return;
    }
    // It has everything, and its disk is slow, or the answer was lost that told of it: it is asked, and sent nothing again.
    state.waitingSinceMs = this.#nowMs;
    this.#append(progress, state.nextIndex, { bytesMax: 0, entriesMax: 0 });
  }

  followerAlive(nodeId: string, agoMs: number): void {
    for (const progress of this.#followers) {
      if (progress.member.nodeId !== nodeId || !progress.confirmed) continue;
      progress.heardMs = Math.max(progress.heardMs, this.#nowMs - agoMs);
    }
  }

  /** A quorum is heard, and whoever can be reached has everything and has said that it knows it to be committed. */
  get isQuiet(): boolean {
    return (
      this.#leaving.length === 0 && this.#hasQuorum && this.#followers.every((one) => this.#isQuiet(one))
    );
  }

  #isQuiet(progress: Progress): boolean {
    const { log, links, commitIndex, options } = this.#replica;
    const { member, state, matchIndex, knownCommitIndex, confirmed } = progress;
    if (state.type === "installing") return false;
    if (!links.has(member.nodeId) || member.nodeId === options.self.nodeId || this.#isOutdone(progress))
      return true;
    const hasAll = matchIndex === log.lastIndex && knownCommitIndex === commitIndex;
    return state.type === "replicating" && hasAll && confirmed;
  }

  linkUp(nodeId: string): void {
    for (const progress of this.#ofNode(nodeId)) {
      if (progress.state.type === "installing") this.#snapshots.linkUp(progress);
      else this.#probeAgain(progress);
    }
  }

  linkDown(nodeId: string): void {
    for (const progress of this.#ofNode(nodeId))
      if (progress.state.type === "replicating") this.#probeAgain(progress);
  }

  /** Whatever answers on this link from now on may be another disk. */
  #ofNode(nodeId: string): readonly Progress[] {
    const progresses = this.all.filter(({ member }) => member.nodeId === nodeId);
    for (const progress of progresses) {
      progress.confirmed = false;
      progress.knownCommitIndex = 0;
    }
    return progresses;
  }

  #probeAgain(progress: Progress): void {
    const nextIndex = progress.state.type === "probing" ? progress.state.nextIndex : progress.matchIndex + 1;
    progress.probe({ nextIndex, dueMs: this.#nowMs });
  }

  /** Whether a follower that is there still lacks entries up to `index`. */
  isLackedUpTo(index: number): boolean {
    return this.#followers.some((progress) => this.isHeard(progress) && progress.matchIndex < index);
  }
}
