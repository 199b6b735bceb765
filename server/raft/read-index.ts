import { check } from "./check.ts";
import type { Member } from "./configuration.ts";
import { Lease, promiseMs } from "./lease.ts";
import type { RaftMessage } from "./message.ts";
import { isQuorum, sameMember, voters } from "./quorum.ts";
import type { Replica } from "./replica.ts";

type Message<T extends RaftMessage["type"]> = Extract<RaftMessage, { type: T }>;

/** Another member's request. Each has one under way, so a newer one takes the place of an older. */
interface Asker {
  readonly member: Member;
  readonly id: number;
}

/** Whether this replica still leads, asked of all voters at once: for all reads that came before. */
interface Round {
  readonly number: number;
  /** The commit index as the round began. */
  readonly index: number;
  /** The own reads up to this ticket. */
  readonly ticket: number;
  readonly askers: readonly Asker[];
  readonly begunMs: number;
  readonly confirmed: Member[];
  /** When it was asked last. */
  askedMs: number;
}

const ticketsMax = 4_294_967_296;

/**
 * Linearizable reads without an entry in the log (dissertation §6.4): the leader notes its commit index, makes sure with
 * a quorum that it still leads, and whoever has applied as far may read. Others ask the leader for such an index.
 *
 * One round and one request are under way at most, and whoever comes meanwhile shares the next: so there is nothing
 * here that grows with the number of reads.
 */
export class ReadIndex {
  readonly #replica: Replica;
  readonly #lease: Lease;
  /** Of the own reads: the last ticket given out, the last one that left, and the last one answered; null before the first. */
  #tickets: { given: number; sent: number; answered: number } | null = null;
  /** Whom the request under way was sent to, and when; null if it must be sent (again). */
  #asked: { readonly leaderId: string; readonly atMs: number } | null = null;
  #round: Round | null = null;
  #rounds = 0;
  /** For the next round. */
  #askers: Asker[] = [];
  #renewsLease = false;

  constructor(replica: Replica) {
    this.#replica = replica;
    this.#lease = new Lease(replica);
  }

  get #nowMs(): number {
    return this.#replica.now.monotonicMs;
  }

  /** The ticket of a read that begins now. It is answered through the outbox, whatever happens to leaders meanwhile. */
  read(): number {
    // An answer to a request of this replica's last start must not look like one to a request of this one.
    this.#tickets ??= this.#firstTickets();
    if (this.#tickets.given === this.#tickets.sent) this.#tickets.given += 1;
    return this.#tickets.given;
  }

  #firstTickets(): { given: number; sent: number; answered: number } {
    const before = Math.floor(this.#replica.options.random() * ticketsMax);
    return { given: before, sent: before, answered: before };
  }

  /** Once for each Ready, so that one round serves all that a drain brought. */
  flush(): void {
    if (this.#replica.role === "leader") this.#beginRound();
    else this.#askLeader();
  }

  /** No read waits here, for anybody. */
  get isIdle(): boolean {
    const isAnswered = this.#tickets === null || this.#tickets.given === this.#tickets.answered;
    return isAnswered && this.#round === null && this.#askers.length === 0 && !this.#renewsLease;
  }

  tick(): void {
    const { probeTimeoutMs } = this.#replica.options;
    if (this.#asked !== null && this.#nowMs - this.#asked.atMs >= probeTimeoutMs) this.#asked = null;
    const round = this.#round;
    if (round === null || this.#nowMs - round.askedMs < probeTimeoutMs) return;
    round.askedMs = this.#nowMs;
    for (const voter of voters(this.#replica.configuration)) this.#ask(voter, round);
    // A configuration that changed meanwhile may need less.
    this.#decide();
  }

  linkUp(nodeId: string): void {
    if (this.#asked?.leaderId === nodeId) this.#asked = null;
    const round = this.#round;
    if (round === null) return;
    for (const voter of voters(this.#replica.configuration))
      if (voter.nodeId === nodeId) this.#ask(voter, round);
  }

  /** No longer leading: what others wait for they ask of the next leader, and so does this replica. */
  stop(): void {
    this.#round = null;
    this.#askers = [];
    this.#renewsLease = false;
    this.#lease.end();
  }

  // ── leading ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #beginRound(): void {
    const tickets = this.#tickets;
    const isAsked = tickets !== null && tickets.given > tickets.answered;
    if (this.#round !== null || !(isAsked || this.#askers.length > 0 || this.#renewsLease)) return;
    if (!this.#knowsCommitIndex()) return;
    if (tickets !== null) tickets.sent = tickets.given;
    this.#asked = null;
    this.#rounds += 1;
    this.#round = {
      number: this.#rounds,
      index: this.#replica.commitIndex,
      ticket: tickets?.given ?? 0,
      askers: this.#askers,
      begunMs: this.#nowMs,
      confirmed: [],
      askedMs: this.#nowMs,
    };
    this.#askers = [];
    this.#renewsLease = false;
    for (const voter of voters(this.#replica.configuration)) this.#ask(voter, this.#round);
    this.#decide();
  }

  /** §6.4, step 1: what earlier terms committed is known to a leader only once it has committed in its own. */
  #knowsCommitIndex(): boolean {
    const { log, commitIndex, term } = this.#replica;
    return log.termAt(commitIndex) === term;
  }

  #ask(voter: Member, { number, confirmed }: Round): void {
    const { outbox, term, options } = this.#replica;
    if (voter.nodeId === options.self.nodeId || confirmed.some((one) => sameMember(one, voter))) return;
    const { storeId } = options.self;
    outbox.send(voter.nodeId, { type: "confirmLead", term, storeId, round: number });
  }

  /** A request of a member. */
  onReadIndex(member: Member, { id }: Message<"readIndex">): void {
    if (this.#replica.role !== "leader") return;
    // Asked again: the answer is on its way already.
    if (this.#round?.askers.some((asker) => asker.id === id && sameMember(asker.member, member))) return;
    this.#askers = this.#askers.filter((asker) => !sameMember(asker.member, member));
    this.#askers.push({ member, id });
  }

  /** A voter follows this leader, in its present term. */
  onConfirmed(member: Member, { round: number, leaseMs }: Message<"confirmLeadResponse">): void {
    const round = this.#round;
    if (round === null || round.number !== number) return;
    this.#lease.promised(member, { askedMs: round.begunMs, leaseMs });
    if (!round.confirmed.some((one) => sameMember(one, member))) round.confirmed.push(member);
    this.#decide();
  }

  #decide(): void {
    const round = this.#round;
    const { configuration, outbox, term, options } = this.#replica;
    const isConfirmed = (voter: Member) =>
      this.#replica.isSelf(voter) || round?.confirmed.some((one) => sameMember(one, voter)) === true;
    if (round === null || !isQuorum(configuration, isConfirmed)) return;
    this.#round = null;
    const { index } = round;
    this.#answer(round.ticket, index);
    const { storeId } = options.self;
    for (const { member, id } of round.askers)
      outbox.send(member.nodeId, { type: "readIndexResponse", term, storeId, id, index });
  }

  /**
   * The commit index, if this replica knows without asking that nobody can have taken its place: only where the group
   * gives up its fast failover for that (§6.4.1).
   */
  leaseIndex(): number | null {
    const { role, options, commitIndex } = this.#replica;
    if (role !== "leader" || options.fastFailover || !this.#knowsCommitIndex()) return null;
    if (!this.#lease.holdsAt(this.#nowMs)) return null;
    // Renewed in time, a lease that is used does not end.
    if (!this.#lease.holdsAt(this.#nowMs + promiseMs(options) / 2)) this.#renewsLease = true;
    return commitIndex;
  }

  // ── following ────────────────────────────────────────────────────────────────────────────────────────────────────

  #askLeader(): void {
    const tickets = this.#tickets;
    const { leaderId, outbox, term, options } = this.#replica;
    if (tickets === null || tickets.given === tickets.answered || leaderId === null) return;
    if (this.#asked?.leaderId === leaderId) return;
    // What is asked again, of whomever, was asked after all of its reads began; the next ones wait for its answer.
    if (tickets.sent === tickets.answered) tickets.sent = tickets.given;
    this.#asked = { leaderId, atMs: this.#nowMs };
    const { storeId } = options.self;
    outbox.send(leaderId, { type: "readIndex", term, storeId, id: tickets.sent });
  }

  /** Of the present term's leader. */
  onReadIndexResponse({ id, index }: Message<"readIndexResponse">): void {
    const tickets = this.#tickets;
    if (tickets === null || id !== tickets.sent) return;
    this.#asked = null;
    this.#answer(id, index);
  }

  /** Of the present term's leader, which wants to know whether it still is one. Nothing here rests on the disk. */
  onConfirmLead(from: string, { round }: Message<"confirmLead">): void {
    const { outbox, term, options } = this.#replica;
    const { storeId } = options.self;
    const leaseMs = promiseMs(options);
    outbox.send(from, { type: "confirmLeadResponse", term, storeId, round, leaseMs });
  }

  /** To a leader of an older term, which learns of its end by it. */
  refuseStale(from: string, { round }: Message<"confirmLead">): void {
    const { outbox, term, options } = this.#replica;
    const { storeId } = options.self;
    outbox.sendAfterSave(from, { type: "confirmLeadResponse", term, storeId, round, leaseMs: 0 });
  }

  #answer(ticket: number, index: number): void {
    const tickets = this.#tickets;
    if (tickets === null || ticket <= tickets.answered) return;
    check(ticket <= tickets.sent, `read ${ticket} was answered before it was asked`);
    tickets.answered = ticket;
    this.#replica.outbox.answerRead({ ticket, index });
  }
}
