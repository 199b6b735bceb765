import { members, voters } from "../../raft/quorum.ts";
import type { Checkpoint } from "../../storage/storage.ts";
import type { RoomReplica } from "../room-replica.ts";
import type { SessionMachine } from "../session-machine.ts";
import { sessionMenu } from "../session-menu.ts";
import { DivergenceBook, type DivergenceLog } from "./divergence-book.ts";
import type { DivergenceGroup } from "./divergence-group.ts";
import { Endings } from "./endings.ts";
import { HashTally } from "./hash-tally.ts";
import { Healings } from "./healings.ts";
import type { OddReplica } from "./odd-replica.ts";
import type { RoomNotice } from "./odd-rooms.ts";
import { decodeWord, encodeWord, type PeerWord, statementsPerMessageMax } from "./peer-words.ts";
import { RoomCopies } from "./room-copies.ts";
import { type Statement, statementOf, statementOfEnded } from "./statement.ts";
import { TrialCopies } from "./trial-copies.ts";
import { type Verdict, verdictsPerEntryMax } from "./verdict.ts";

export const divergenceTimes = Object.freeze({
  /** What no verdict has covered is said again: a message may be lost. */
  restateMs: 3_000,
  /** Verdicts that nobody contests are agreed so often at most, many in one entry. */
  agreementMs: 5_000,
  /** For so long those are waited for who are silent, while the others differ and have no majority. */
  splitPatienceMs: 3_000,
});

export interface DivergenceWatchParts {
  readonly group: number;
  readonly nodeId: string;
  readonly machine: SessionMachine;
  readonly log: DivergenceLog;
  readonly nowMs: () => number;
  readonly link: DivergenceGroup;
}

/**
 * Compares the replicas of one group's rooms through its log: every node states its hashes to the leader, the leader has
 * the verdicts agreed, and whoever differs from one has its replica replaced (design 5.5).
 */
export class DivergenceWatch {
  readonly book: DivergenceBook;
  readonly #parts: DivergenceWatchParts;
  readonly #tally = new HashTally();
  readonly #copies: RoomCopies;
  readonly #healings: Healings;
  readonly #trials: TrialCopies;
  readonly #endings: Endings;
  /** Rooms that have just left this node's code, to be told to the others. */
  #handedOver: OddReplica[] = [];
  /** Rooms with something to state. */
  readonly #unstated = new Set<string>();
  /** Rooms that had ended here when it was looked at last, and were listed still. */
  #endedBefore: ReadonlySet<string> = new Set();
  /** By room: verdicts that nobody contests, for the next entry of theirs. */
  readonly #agreements = new Map<string, Verdict>();
  /** Since when a room's replicas differ without a majority. */
  readonly #splitSinceMs = new Map<string, number>();
  /** Rooms with a verdict on its way. */
  readonly #underWay = new Set<string>();
  #lead: { readonly leaderId: string | null; readonly term: number } = { leaderId: null, term: 0 };
  #nextRestateMs = 0;
  #nextAgreementMs = 0;

  constructor(parts: DivergenceWatchParts) {
    const { machine, link, nodeId, log, nowMs, group } = parts;
    const tell = (to: string, word: PeerWord) => this.#tell(to, word);
    this.#parts = parts;
    this.book = new DivergenceBook({ group, log });
    this.#copies = new RoomCopies({ machine, tell, isBusy: (to) => link.isBusy(to) });
    let request = 0;
    const asking = { others: () => this.#others(), nextRequest: () => ++request, tell, nowMs };
    this.#healings = new Healings({ machine, log, ...asking });
    this.#trials = new TrialCopies({ code: machine.code, ...asking });
    this.#endings = new Endings({ nodeId, machine, link, tell });
  }

  /** Learners, too: the state that was agreed may be theirs alone. */
  #others(): readonly string[] {
    const { link, nodeId } = this.#parts;
    return members(link.configuration())
      .map((member) => member.nodeId)
      .filter((id) => id !== nodeId);
  }

  #tell(to: string, word: PeerWord): void {
    this.#parts.link.tell(to, encodeWord(word));
  }

  noticed(notice: RoomNotice): void {
    this.book.noticed(notice);
    this.#healings.noticed(notice);
    if (notice.type === "absent" && notice.odd.handover !== null) {
      this.#handedOver.push(notice.odd);
      this.#endings.handedOver(this.#others());
    }
    if (notice.type === "pointTaken") this.#unstated.add(notice.replica.roomId);
    else if (notice.type === "agreed") this.#tally.concluded(notice.verdict);
  }

  /** From another node's session layer. In a macrotask of the group's. */
  heard(from: string, body: Uint8Array): void {
    const word = decodeWord(body);
    if (word === null)
      return this.#parts.log.warn(
        { from, bytes: body.length },
        "what a node says about its rooms is garbled",
      );
    switch (word.type) {
      case "statements":
        return this.#listen(from, word.statements);
      case "ended":
        return this.#endings.heard(from, word);
      case "copyWanted":
        return this.#copies.wanted(from, word, this.#parts.nowMs());
      case "handedOver":
        return this.#healings.offered(from, word);
      case "copyChunk":
      case "copyRefused":
        this.#trials.heard(from, word);
        this.#healings.heard(from, word);
        return this.#endings.healed();
    }
  }

  /** All that was committed is applied for now. In a macrotask of the group's. */
  drained(): void {
    this.#healings.drained();
    this.#endings.healed();
    // A link is busy for milliseconds: whoever waits for a chunk may have clients that wait for the room.
    this.#copies.tick(this.#parts.nowMs());
    for (const { divergence, foreign } of this.#handedOver.splice(0)) {
      const { roomId } = divergence;
      for (const to of this.#others())
        this.#tell(to, { type: "handedOver", roomId, code: foreign?.code ?? "" });
    }
  }

  /** A few times a second. */
  tick(): void {
    const nowMs = this.#parts.nowMs();
    const lead = this.#parts.link.lead();
    if (lead.leaderId !== this.#lead.leaderId || lead.term !== this.#lead.term) {
      this.#lead = lead;
      this.#nextRestateMs = nowMs;
      for (const known of [this.#tally, this.#agreements, this.#splitSinceMs, this.#endings]) known.clear();
    }
    if (nowMs >= this.#nextRestateMs) this.#restate(nowMs);
    this.#state();
    this.#endings.tick();
    if (lead.leaderId === this.#parts.nodeId) this.#conclude(nowMs);
    this.#copies.tick(nowMs);
    this.#healings.tick();
    this.#trials.tick();
  }

  /** A room of another code as it is now, for this node's to be tried on: see TrialCopies. */
  async trialCopy(roomId: string): Promise<Checkpoint> {
    const odd = this.#parts.machine.odd.get(roomId);
    if (odd === undefined) throw new Error("it is here");
    return await this.#trials.take(odd);
  }

  /** For the leader: the node has said that it lacks rooms. */
  isLacking(nodeId: string): boolean {
    return this.#endings.isLacking(nodeId);
  }

  /** For the leader: rooms that have ended, by what a quorum says, and are listed still. */
  get ended(): Iterable<string> {
    return this.#endings.agreed();
  }

  /** For the leader: rooms that no member has any more. */
  get lost(): Iterable<string> {
    return this.#endings.lost();
  }

  // ── what this node has to say ────────────────────────────────────────────────────────────────────────────────────

  #restate(nowMs: number): void {
    const { machine } = this.#parts;
    this.#nextRestateMs = nowMs + divergenceTimes.restateMs;
    for (const { roomId, witness } of machine.rooms.values())
      if (witness.open.length > 0) this.#unstated.add(roomId);
    // One that all have seen the end of is forgotten long before: here the others may have gone on.
    for (const roomId of machine.ended.keys()) if (this.#endedBefore.has(roomId)) this.#unstated.add(roomId);
    this.#endedBefore = new Set(machine.ended.keys());
    this.#endings.sayAgain();
    this.#tally.keepOnly((roomId) => machine.lists(roomId));
  }

  #state(): void {
    const { link, nodeId } = this.#parts;
    const { leaderId } = this.#lead;
    if (leaderId === null || this.#unstated.size === 0) return;
    if (leaderId !== nodeId && link.isBusy(leaderId)) return;
    const statements: Statement[] = [];
    for (const roomId of this.#unstated) {
      this.#unstated.delete(roomId);
      const statement = this.#statement(roomId);
      if (statement === null) continue;
      statements.push(statement);
      if (statements.length >= statementsPerMessageMax) break;
    }
    if (statements.length === 0) return;
    if (leaderId === nodeId) this.#listen(nodeId, statements);
    else link.tell(leaderId, encodeWord({ type: "statements", statements }));
  }

  #statement(roomId: string): Statement | null {
    const { machine } = this.#parts;
    const ended = machine.ended.get(roomId);
    if (ended !== undefined) return statementOfEnded(roomId, ended.witness, machine.appliedIndex);
    const replica = this.#spokenFor(roomId);
    return replica === undefined ? null : statementOf(replica);
  }

  /** A replica that is known to differ has no say, nor one that is passed over; one that stands still has. */
  #spokenFor(roomId: string): RoomReplica | undefined {
    const { machine } = this.#parts;
    const standing = machine.standing(roomId);
    return standing === undefined || standing.type === "frozen" ? machine.rooms.get(roomId) : undefined;
  }

  // ── what the leader makes of it ──────────────────────────────────────────────────────────────────────────────────

  #listen(from: string, statements: readonly Statement[]): void {
    const { machine, link, nodeId } = this.#parts;
    if (link.lead().leaderId !== nodeId) return;
    if (!voters(link.configuration()).some((voter) => voter.nodeId === from)) return;
    for (const statement of statements)
      if (machine.lists(statement.roomId)) this.#tally.hear(from, statement);
  }

  #conclude(nowMs: number): void {
    const configuration = this.#parts.link.configuration();
    // Alone it could only agree with itself.
    if (voters(configuration).length < 2) return;
    const urgent = [...this.#endings.orphaned()].flatMap((roomId): Verdict[] => {
      const odd = this.#parts.machine.odd.get(roomId);
      const index = odd?.divergence.index;
      return index === undefined
        ? []
        : [{ roomId, index: Math.max(1, index), hash: null, hashes: [], anew: true }];
    });
    for (const roomId of new Set([...this.#tally.takeChanged(), ...this.#splitSinceMs.keys()])) {
      const conclusion = this.#tally.conclude(roomId, configuration);
      if (conclusion.type !== "split") this.#splitSinceMs.delete(roomId);
      if (conclusion.type === "none") continue;
      if (conclusion.type === "split") {
        const sinceMs = this.#splitSinceMs.get(roomId) ?? nowMs;
        this.#splitSinceMs.set(roomId, sinceMs);
        if (conclusion.isFinal || nowMs - sinceMs >= divergenceTimes.splitPatienceMs)
          urgent.push(conclusion.verdict);
      } else if (conclusion.isContested) urgent.push(conclusion.verdict);
      else this.#agreements.set(roomId, conclusion.verdict);
    }
    this.#propose(urgent, true);
    if (this.#agreements.size === 0 || nowMs < this.#nextAgreementMs) return;
    this.#nextAgreementMs = nowMs + divergenceTimes.agreementMs;
    const agreements = [...this.#agreements.values()];
    this.#agreements.clear();
    this.#propose(agreements, false);
  }

  /** What was decided by somebody else. */
  async agree(verdict: Verdict): Promise<void> {
    await this.#parts.link.propose(sessionMenu.encode("verdicts", { verdicts: [verdict] }), true);
  }

  #propose(verdicts: readonly Verdict[], urgent: boolean): void {
    const due = verdicts.filter(({ roomId }) => !this.#underWay.has(roomId));
    for (let at = 0; at < due.length; at += verdictsPerEntryMax) {
      const some = due.slice(at, at + verdictsPerEntryMax);
      for (const { roomId } of some) this.#underWay.add(roomId);
      this.#parts.link
        .propose(sessionMenu.encode("verdicts", { verdicts: some }), urgent)
        // What is still true will be said again.
        .catch(() => {})
        .finally(() => {
          for (const { roomId } of some) this.#underWay.delete(roomId);
        });
    }
  }
}
