import { check } from "./check.ts";
import type { Member } from "./configuration.ts";
import { promiseMs } from "./lease.ts";
import type { RaftMessage } from "./message.ts";
import { sameMember, voteResult, voters } from "./quorum.ts";
import type { Role } from "./ready.ts";
import type { Replica } from "./replica.ts";

type Message<T extends RaftMessage["type"]> = Extract<RaftMessage, { type: T }>;

/** A short retry grows by this factor of its base at most. */
const backOffFactorMax = 4;

/** Timers and votes of a replica that does not lead (Raft §5.2, §5.4.1; pre-vote: dissertation §9.6). */
export class Election {
  readonly #replica: Replica;
  #deadlineMs = 0;
  /** The timer expired once already, and waiting heartbeats have had their chance. */
  #graced = false;
  /** Campaigns since a leader was last heard. */
  #attempts = 0;
  /** The link to the leader closed: leases that others hold do not count. */
  #leaderLost = false;
  /** A transferred lead needs no pre-vote, and no lease holds it up. */
  #transferred = false;
  #leaderHeardMs: number;
  #votes: { readonly voter: Member; readonly granted: boolean }[] = [];

  constructor(replica: Replica) {
    this.#replica = replica;
    // A voter that starts does not know what it promised a leader just before: it keeps the promise as if it had.
    this.#leaderHeardMs = replica.options.fastFailover ? Number.NEGATIVE_INFINITY : this.#now;
    this.#armFully();
  }

  get #now(): number {
    return this.#replica.now.monotonicMs;
  }

  get #baseMs(): number {
    return this.#replica.options.electionBaseMs;
  }

  #uniform(fromMs: number, toMs: number): number {
    return fromMs + this.#replica.options.random() * (toMs - fromMs);
  }

  #arm(delayMs: number): void {
    this.#deadlineMs = this.#now + delayMs;
    this.#graced = false;
  }

  /** Each failed campaign widens what the next delay is drawn from, so that rivals drift apart. */
  #armFully(): void {
    const widenedMs = this.#baseMs * Math.min(this.#attempts, backOffFactorMax);
    this.#arm(this.#uniform(2 * this.#baseMs, 4 * this.#baseMs + widenedMs));
  }

  #armShortly(): void {
    const factor = Math.min(Math.max(this.#attempts, 1), backOffFactorMax);
    this.#arm(this.#uniform(this.#baseMs / 4, this.#baseMs * factor));
  }

  /** The leader of this term, or one that is being followed from now on, gave a sign of life: now, or so long ago. */
  leaderHeard(agoMs = 0): void {
    const heardMs = this.#now - agoMs;
    if (heardMs < this.#leaderHeardMs) return;
    this.#leaderHeardMs = heardMs;
    this.#attempts = 0;
    this.#leaderLost = false;
    this.#armFully();
    this.#deadlineMs -= agoMs;
  }

  /** No longer leading, or a term without a known leader: wait for one. */
  followedNobody(): void {
    this.#armFully();
  }

  /** Raft §6 and dissertation §4.2.3: whoever hears a live leader does not help to depose it. */
  #holdsLease(): boolean {
    const { role, leaderId, options } = this.#replica;
    if (role === "leader") return true;
    if (!options.fastFailover) return this.#isPromised();
    return leaderId !== null && this.#now - this.#leaderHeardMs < 2 * options.electionBaseMs;
  }

  /** Leaders answer reads by what their voters promised (see lease.ts), whether their links close meanwhile or not. */
  #isPromised(): boolean {
    return this.#now - this.#leaderHeardMs < promiseMs(this.#replica.options);
  }

  tick(): void {
    const { role, swapping, diskStalled, options } = this.#replica;
    if (role === "leader" || role === "learner" || swapping || diskStalled) return;
    if (this.#now < this.#deadlineMs) return;
    if (!this.#graced) {
      this.#arm(options.electionGraceMs);
      this.#graced = true;
      return;
    }
    this.#preVote();
  }

  linkDown(nodeId: string): void {
    const replica = this.#replica;
    if (replica.leaderId !== nodeId || replica.role === "leader") return;
    replica.leaderId = null;
    if (replica.role === "learner" || !replica.options.fastFailover) return;
    this.#leaderLost = true;
    this.#arm(this.#uniform(0, this.#baseMs / 2));
    // Its sockets are closed: no heartbeat can be waiting there.
    this.#graced = true;
  }

  /** Whoever campaigns gives up: its own vote does not get to the disk. */
  diskStalled(): void {
    const replica = this.#replica;
    replica.diskStalled = true;
    if (replica.role !== "preCandidate" && replica.role !== "candidate") return;
    replica.follow({ term: replica.term, leaderId: null });
    this.#armFully();
  }

  /** A voter that could not be asked can be asked now. */
  linkUp(nodeId: string): void {
    const { role, configuration } = this.#replica;
    if (role !== "preCandidate" && role !== "candidate") return;
    for (const voter of voters(configuration)) {
      if (voter.nodeId === nodeId && this.#voteOf(voter) === null) this.#ask(voter);
    }
  }

  #preVote(): void {
    this.#replica.leaderId = null;
    this.#transferred = false;
    this.#replica.changeRole({ type: "electionTimeout" });
    this.#begin();
  }

  #campaign(): void {
    check(this.#transferred || !this.#isPromised(), "a campaign while a leader relies on this voter");
    this.#replica.leaderId = null;
    this.#replica.changeRole({ type: "campaign" });
    this.#replica.nextTermVotingForSelf();
    this.#begin();
  }

  #begin(): void {
    const { options, configuration } = this.#replica;
    this.#attempts += 1;
    this.#armFully();
    this.#votes = [{ voter: options.self, granted: true }];
    if (this.#decide()) return;
    for (const voter of voters(configuration)) this.#ask(voter);
  }

  #ask(voter: Member): void {
    const { role, term, log, outbox, options } = this.#replica;
    if (voter.nodeId === options.self.nodeId) return;
    const last = { storeId: options.self.storeId, lastLogIndex: log.lastIndex, lastLogTerm: log.lastTerm };
    if (role === "preCandidate") {
      outbox.send(voter.nodeId, { type: "preVote", term: term + 1, ...last, leaderLost: this.#leaderLost });
    } else {
      // The own vote is counted, so it must be durable before any other is asked for; also when somebody is asked later,
      // while the save of that vote may still be under way.
      this.#replica.saveHardStateAgain();
      const cause = this.#transferred ? "transfer" : this.#leaderLost ? "leaderLost" : "timeout";
      outbox.sendAfterSave(voter.nodeId, { type: "requestVote", term, ...last, cause });
    }
  }

  #voteOf(voter: Member): boolean | null {
    return this.#votes.find((vote) => sameMember(vote.voter, voter))?.granted ?? null;
  }

  /** True if the round is over. */
  #decide(): boolean {
    const { configuration, role } = this.#replica;
    const result = voteResult(configuration, (voter) => this.#voteOf(voter));
    if (result === "won") {
      if (role === "preCandidate") this.#campaign();
      else this.#replica.changeRole({ type: "won" });
      return true;
    }
    if (result === "lost") {
      this.#replica.follow({ term: this.#replica.term, leaderId: null });
      this.#armAfterDefeat(role);
      return true;
    }
    return false;
  }

  /** Refused by whoever can be reached: when nobody leads, waiting a whole timeout would only prolong that. */
  #armAfterDefeat(role: Role): void {
    if (this.#leaderLost || role === "candidate") this.#armShortly();
    else this.#armFully();
  }

  #count(voter: Member, granted: boolean): void {
    if (this.#voteOf(voter) !== null) return;
    this.#votes.push({ voter, granted });
    if (this.#decide()) return;
    const { configuration, links, options, role } = this.#replica;
    const open = voters(configuration).filter((one) => links.has(one.nodeId) && this.#voteOf(one) === null);
    if (!granted && open.every((one) => one.nodeId === options.self.nodeId)) this.#armAfterDefeat(role);
  }

  onPreVote(from: Member, message: Message<"preVote">): void {
    const { term, log, outbox, options } = this.#replica;
    const granted =
      message.term > term &&
      log.isUpToDate(message.lastLogIndex, message.lastLogTerm) &&
      !this.#refusesPreVote(from, message);
    if (granted && this.#leaderLost) {
      // Somebody is ahead in replacing the lost leader: let that election be decided first.
      this.#arm(this.#uniform(this.#baseMs, 2 * this.#baseMs));
    }
    outbox.send(from.nodeId, {
      type: "preVoteResponse",
      term: granted ? message.term : term,
      storeId: options.self.storeId,
      granted,
    });
  }

  #refusesPreVote(from: Member, message: Message<"preVote">): boolean {
    const { role, log, options, term } = this.#replica;
    if (role === "leader") return true;
    if (this.#holdsLease() && !(message.leaderLost && options.fastFailover)) return true;
    // Of two equals that ask at the same moment one goes first, or they would split the vote.
    const rivals = role === "preCandidate" && message.term === term + 1;
    const equals = message.lastLogIndex === log.lastIndex && message.lastLogTerm === log.lastTerm;
    return rivals && equals && options.self.nodeId < from.nodeId;
  }

  onPreVoteResponse(from: Member, message: Message<"preVoteResponse">): void {
    const { role, term } = this.#replica;
    if (role !== "preCandidate") return;
    if (message.granted && message.term !== term + 1) return;
    this.#count(from, message.granted);
  }

  /** Before the term of a vote request is looked at: a live leader's followers are not to be disturbed by it. */
  ignoresVoteRequest(message: Message<"requestVote">): boolean {
    const { term, options } = this.#replica;
    const isForced = message.cause === "transfer" || (message.cause === "leaderLost" && options.fastFailover);
    // A promise holds in every term; without one, a vote in the present term disturbs nobody.
    const isNews = options.fastFailover ? message.term > term : message.term >= term;
    return !isForced && isNews && this.#holdsLease();
  }

  onRequestVote(from: Member, message: Message<"requestVote">): void {
    const replica = this.#replica;
    const { term, votedFor, log, outbox, options } = replica;
    const granted =
      message.term === term &&
      (votedFor === null || sameMember(votedFor, from)) &&
      log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
    if (granted) {
      replica.vote(from);
      this.#armFully();
    }
    outbox.sendAfterSave(from.nodeId, {
      type: "requestVoteResponse",
      term,
      storeId: options.self.storeId,
      granted,
    });
  }

  onRequestVoteResponse(from: Member, message: Message<"requestVoteResponse">): void {
    if (this.#replica.role !== "candidate" || message.term !== this.#replica.term) return;
    this.#count(from, message.granted);
  }

  /** Dissertation §3.10: the leader hands over the lead. */
  onTimeoutNow(from: string): void {
    const { role, leaderId, swapping, diskStalled } = this.#replica;
    if (role !== "follower" || leaderId !== from || swapping || diskStalled) {
      this.refuseLead(from);
      return;
    }
    this.#transferred = true;
    this.#campaign();
  }

  /** Proposals wait until the leader knows that it stays the leader. */
  refuseLead(from: string): void {
    const { term, outbox, options } = this.#replica;
    outbox.send(from, { type: "timeoutNowRefused", term, storeId: options.self.storeId });
  }
}
