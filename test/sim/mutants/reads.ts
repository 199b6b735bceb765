import type { Mutant } from "../mutant.ts";

/** Bugs of reads and leases. */
export const readMutants: readonly Mutant[] = [
  {
    name: "read-shares-the-round-under-way",
    file: "server/raft/read-index.ts",
    find: "if (this.#tickets.given === this.#tickets.sent)",
    replace: "if (this.#tickets.given === this.#tickets.answered)",
    why: "a read's linearizable point lies before the read began",
  },
  {
    name: "read-on-the-leaders-own-word",
    file: "server/raft/read-index.ts",
    find: "if (round === null || !isQuorum(configuration, isConfirmed)) return;",
    replace: "if (round === null) return;",
    why: "a leader that was replaced without knowing it answers from the past (dissertation §6.4)",
  },
  {
    name: "read-before-the-no-op-is-committed",
    file: "server/raft/read-index.ts",
    find: "return log.termAt(commitIndex) === term;",
    replace: "return log.termAt(commitIndex) !== null;",
    why: "a new leader does not know yet what earlier terms have committed (§6.4, step 1)",
  },
  {
    name: "read-before-it-is-applied",
    file: "server/group/reads.ts",
    find: "return applier.isWhole && applier.appliedIndex >= index;",
    replace: "return applier.isWhole;",
    why: "a replica that lags is read before it has what the read must see",
  },
  {
    name: "stale-leader-is-confirmed",
    file: "server/raft/read-index.ts",
    find: `refuseStale(from: string, { round }: Message<"confirmLead">): void {
    const { outbox, term, options } = this.#replica;`,
    replace: `refuseStale(from: string, { round, term }: Message<"confirmLead">): void {
    const { outbox, options } = this.#replica;`,
    why: "a voter of a newer term confirms a leader of an older one",
  },
  {
    name: "local-read-is-younger-than-it-is",
    file: "server/group/reads.ts",
    find: "this.#knownMs = Math.max(this.#knownMs, batch.beganMs);",
    replace: "this.#knownMs = Math.max(this.#knownMs, batch.beganMs + 150);",
    why: "a local read claims an age in which something happened that it does not see",
  },
  {
    name: "lease-counts-from-the-answer",
    file: "server/raft/read-index.ts",
    find: "this.#lease.promised(member, { askedMs: round.begunMs, leaseMs });",
    replace: "this.#lease.promised(member, { askedMs: this.#nowMs, leaseMs });",
    why: "an answer that was under way for long makes a lease of a promise that is over",
  },
  {
    name: "lease-without-a-quorum",
    file: "server/raft/lease.ts",
    find: "return promise !== undefined && atMs < promise.untilMs;",
    replace: "return this.#promises.length > 0;",
    why: "a lease read without check-quorum: one promise, once, is a lease for ever",
  },
  {
    name: "promise-forgotten-when-the-link-closes",
    file: "server/raft/election.ts",
    find: "if (!options.fastFailover) return this.#isPromised();",
    replace: "if (!options.fastFailover && leaderId !== null) return this.#isPromised();",
    why: "a leader's closed link is no end of the lease that it holds",
  },
  {
    name: "fast-failover-in-spite-of-leases",
    file: "server/raft/election.ts",
    find: 'if (replica.role === "learner" || !replica.options.fastFailover) return;',
    replace: 'if (replica.role === "learner") return;',
    why: "the shortcut that ignores leases is not switched off where there are leases (design 4.3)",
  },
];
