import type { Configuration, Member } from "./configuration.ts";
import { encodeConfiguration } from "./configuration-codec.ts";
import type { Entry } from "./entry.ts";
import type { Progress } from "./progress.ts";
import type { ProposeResult, TransferRefusal } from "./ready.ts";
import type { Replica } from "./replica.ts";
import type { Replication } from "./replication.ts";

/** What a leader does besides replicating, for as long as its term lasts: stamping, limits, handing over. */
export class Lead {
  readonly #replica: Replica;
  readonly #replication: Replication;
  readonly #startedMs: number;
  readonly #startedLogTimeMs: number;
  /** Until when who refused the lead is not asked again, by node. */
  readonly #notBeforeMs = new Map<string, number>();
  /** Of the entries that are not committed yet, or not on this leader's own disk. */
  #openBytes: number;
  #countedIndex: number;
  #transfer: { readonly to: string; readonly deadlineMs: number; readonly asked: boolean } | null = null;
  /** Somebody was asked to take over. That may arrive late, so it stands for the rest of the term. */
  #hasHandedOver = false;

  /** Begins the term with its no-op (Raft §8). */
  constructor(replica: Replica, replication: Replication) {
    this.#replica = replica;
    this.#replication = replication;
    const { log, committableIndex, now, options } = replica;
    this.#startedMs = now.monotonicMs;
    this.#startedLogTimeMs = log.last.logTimeMs;
    this.#countedIndex = committableIndex;
    this.#openBytes = log.bytesBetween(committableIndex + 1, log.lastIndex);
    replica.leaderId = options.self.nodeId;
    replication.start();
    log.append([this.#entry("noop", new Uint8Array(0))]);
  }

  /** Design 5.1: the last stamp before this term, and the time since; nothing here reads a wall clock. */
  get logTimeMs(): number {
    const { log, now } = this.#replica;
    const sinceMs = now.monotonicMs - this.#startedMs;
    return Math.max(log.last.logTimeMs, Math.floor(this.#startedLogTimeMs + sinceMs));
  }

  #entry(type: Entry["type"], data: Uint8Array): Entry {
    const { log, term, now } = this.#replica;
    const wallTimeMs = Math.max(log.last.wallTimeMs, Math.floor(now.wallMs));
    return { index: log.lastIndex + 1, term, type, logTimeMs: this.logTimeMs, wallTimeMs, data };
  }

  propose(data: readonly Uint8Array[]): ProposeResult {
    if (this.#transfer !== null) return { type: "refused", reason: "TRANSFERRING" };
    const { log, term, options, committableIndex } = this.#replica;
    this.#countCommitted();
    const bytes = data.reduce((sum, one) => sum + one.length, 0);
    // The others alone may commit, so a leader whose disk stalls would gather without end what it has to save.
    const openEntries = log.lastIndex - committableIndex;
    if (
      openEntries + data.length > options.uncommittedEntriesMax ||
      this.#openBytes + bytes > options.uncommittedBytesMax
    ) {
      return { type: "refused", reason: "OVERLOADED" };
    }
    const firstIndex = log.lastIndex + 1;
    for (const one of data) log.append([this.#entry("command", one)]);
    this.#openBytes += bytes;
    return { type: "appended", firstIndex, lastIndex: log.lastIndex, term };
  }

  /** Counts from now on (Raft §6). Its index; the caller sees to it that the last one is committed. */
  appendConfiguration(configuration: Configuration): number {
    const { log } = this.#replica;
    const data = encodeConfiguration(configuration);
    log.append([this.#entry("configuration", data)]);
    this.#openBytes += data.length;
    this.#replication.configurationChanged();
    return log.lastIndex;
  }

  #countCommitted(): void {
    const { log, committableIndex } = this.#replica;
    this.#openBytes -= log.bytesBetween(this.#countedIndex + 1, committableIndex);
    this.#countedIndex = committableIndex;
  }

  /** To be called before the log forgets entries. */
  beforeCompaction(): void {
    this.#countCommitted();
  }

  get hasHandedOver(): boolean {
    return this.#hasHandedOver;
  }

  get transferTo(): string | null {
    return this.#transfer?.to ?? null;
  }

  /** Dissertation §3.10. Meanwhile nothing is appended, so that the successor can catch up. */
  transfer(to: string): void {
    const { now, options, outbox } = this.#replica;
    if (to === options.self.nodeId || this.#transfer?.to === to) return;
    const code = this.#transfer === null ? this.#unfit(to) : "TRANSFERRING";
    if (code !== null) {
      outbox.refuseTransfer({ to, code });
      return;
    }
    this.#transfer = { to, deadlineMs: now.monotonicMs + this.#electionTimeoutMs, asked: false };
    this.handOver();
  }

  /** Why a node cannot take the lead soon; null if it may. */
  #unfit(nodeId: string): TransferRefusal["code"] | null {
    const progress = this.#successor(nodeId);
    if (progress === null) return "NOT_A_VOTER";
    if (!this.#replica.links.has(nodeId)) return "NOT_LINKED";
    const isThere = progress.state.type !== "installing" && this.#replication.isHeard(progress);
    if (!isThere) return "LAGGING";
    const notBeforeMs = this.#notBeforeMs.get(nodeId) ?? Number.NEGATIVE_INFINITY;
    return this.#replica.now.monotonicMs < notBeforeMs ? "REFUSED" : null;
  }

  get #electionTimeoutMs(): number {
    return 4 * this.#replica.options.electionBaseMs;
  }

  #successor(nodeId: string): Progress | null {
    const voter = this.#replica.configuration.voters.find((one) => one.nodeId === nodeId);
    return voter === undefined ? null : this.#replication.follower(voter.nodeId, voter.storeId);
  }

  /** As soon as the successor has everything, it is asked to campaign at once: from here on nothing here may rest on leading. */
  handOver(): void {
    const transfer = this.#transfer;
    if (transfer === null || transfer.asked) return;
    const { log, term, outbox, options } = this.#replica;
    const progress = this.#successor(transfer.to);
    if (progress === null || progress.matchIndex < log.lastIndex) return;
    this.#transfer = { ...transfer, asked: true };
    this.#hasHandedOver = true;
    outbox.send(transfer.to, { type: "timeoutNow", term, storeId: options.self.storeId });
  }

  /** Whoever was asked does not campaign: it is another's turn, or nobody's. */
  refused({ nodeId, storeId }: Member): void {
    const transfer = this.#transfer;
    if (transfer?.to !== nodeId || !transfer.asked) return;
    if (this.#successor(nodeId)?.member.storeId !== storeId) return;
    this.#notBeforeMs.set(nodeId, this.#replica.now.monotonicMs + this.#electionTimeoutMs);
    this.#giveUp("REFUSED");
  }

  linkDown(nodeId: string): void {
    if (this.#transfer?.to === nodeId) this.#giveUp("NOT_LINKED");
  }

  tick(): void {
    const transfer = this.#transfer;
    if (transfer !== null && this.#replica.now.monotonicMs >= transfer.deadlineMs) this.#giveUp("TIMED_OUT");
  }

  #giveUp(code: TransferRefusal["code"]): void {
    const to = this.transferTo;
    this.#transfer = null;
    if (to !== null) this.#replica.outbox.refuseTransfer({ to, code });
  }
}
