import type { Mutant } from "../mutant.ts";

/** Bugs of the consensus core. */
export const raftMutants: readonly Mutant[] = [
  {
    name: "old-term-committed-by-counting",
    file: "server/raft/replication.ts",
    find: "if (index > commitIndex && log.termAt(index) === term) this.#replica.raiseCommitIndex(index);",
    replace: "if (index > commitIndex) this.#replica.raiseCommitIndex(index);",
    why: "figure 8: an entry of an older term that a majority holds may still be overwritten (Raft §5.4.2)",
  },
  {
    name: "vote-twice-in-a-term",
    file: "server/raft/election.ts",
    find: "(votedFor === null || sameMember(votedFor, from)) &&",
    replace: "",
    why: "two leaders in one term (Raft §5.2)",
  },
  {
    name: "vote-before-its-save",
    file: "server/raft/election.ts",
    find: `outbox.sendAfterSave(from.nodeId, {
      type: "requestVoteResponse",`,
    replace: `outbox.send(from.nodeId, {
      type: "requestVoteResponse",`,
    why: "a crash forgets the vote, and the restarted node gives it to another one (Raft figure 2)",
  },
  {
    name: "campaign-before-its-save",
    file: "server/raft/election.ts",
    find: 'outbox.sendAfterSave(voter.nodeId, { type: "requestVote", term, ...last, cause });',
    replace: 'outbox.send(voter.nodeId, { type: "requestVote", term, ...last, cause });',
    why: "the own vote is counted before it is durable",
  },
  {
    name: "acknowledged-before-the-sync",
    file: "server/raft/log-receiver.ts",
    find: `outbox.sendAfterSave(answer.to, {
      type: "appendEntriesResponse",`,
    replace: `outbox.send(answer.to, {
      type: "appendEntriesResponse",`,
    why: "the leader counts entries that a crash takes away (Raft figure 2)",
  },
  {
    name: "vouches-for-what-is-under-way",
    file: "server/raft/log-receiver.ts",
    find: "saves ? answer.matchIndex : Math.min(answer.matchIndex, log.durableIndex)",
    replace: "answer.matchIndex",
    why: "an answer without a save of its own vouches for entries that an earlier save still carries",
  },
  {
    name: "conflict-not-truncated",
    file: "server/raft/log-receiver.ts",
    find: "const news = entries.slice(firstNew);",
    replace: "const news = entries.slice(log.lastIndex - after);",
    why: "a conflicting suffix stays in the log, and what follows it is appended behind (Raft §5.3)",
  },
  {
    name: "log-check-without-term",
    file: "server/raft/log-receiver.ts",
    find: "} else if (log.matches(prevLogIndex, prevLogTerm)) {",
    replace: "} else if (prevLogIndex <= log.lastIndex) {",
    why: "entries are appended behind another log than the leader's (Raft §5.3)",
  },
  {
    name: "commit-past-the-append",
    file: "server/raft/log-receiver.ts",
    find: "Math.max(this.#replica.commitIndex, Math.min(leaderCommitIndex, lastNewIndex)),",
    replace: "Math.max(this.#replica.commitIndex, Math.min(leaderCommitIndex, this.#replica.log.lastIndex)),",
    why: "an entry behind what was compared may be another than the leader's (Raft figure 2, receiver 5)",
  },
  {
    name: "applied-before-it-is-durable",
    file: "server/raft/replica.ts",
    find: "return Math.min(this.#commitIndex, this.log.durableIndex);",
    replace: "return this.#commitIndex;",
    why: "a crash takes back what was applied here",
  },
  {
    name: "applied-before-commit",
    file: "server/raft/replica.ts",
    find: "const to = this.committableIndex;",
    replace: "const to = this.log.durableIndex;",
    why: "what is only durable here may still be overwritten",
  },
  {
    name: "leader-counts-itself-before-its-sync",
    file: "server/raft/replication.ts",
    find: "if (this.#replica.isSelf(voter)) return log.durableIndex;",
    replace: "if (this.#replica.isSelf(voter)) return log.lastIndex;",
    why: "the leader's own disk counts before it has the entry (dissertation §10.2.1)",
  },
  {
    name: "vote-for-a-shorter-log",
    file: "server/raft/log.ts",
    find: "return lastLogIndex >= this.lastIndex;",
    replace: "return true;",
    why: "a leader without committed entries (Raft §5.4.1)",
  },
  {
    name: "vote-for-an-older-log",
    file: "server/raft/log.ts",
    find: "if (lastLogTerm !== this.lastTerm) return lastLogTerm > this.lastTerm;",
    replace: "",
    why: "the longer log wins over the newer one (Raft §5.4.1)",
  },
  {
    name: "majority-of-half",
    file: "server/raft/quorum.ts",
    find: "return Math.floor(voters / 2) + 1;",
    replace: "return Math.ceil(voters / 2);",
    why: "two halves of an even number of voters both decide",
  },
  {
    name: "completion-by-index-alone",
    file: "server/raft/log.ts",
    find: "const position = this.#batches.findIndex((batch) => batch.term === term && batch.index === index);",
    replace: "const position = this.#batches.findLastIndex((batch) => batch.index === index);",
    why: "the late completion of a truncated entry vouches for its successor at the same index",
  },
  {
    name: "stale-completion-counts",
    file: "server/raft/log.ts",
    find: "if (batch.index >= index) batch.stale = true;",
    replace: "if (batch.index < 0) batch.stale = true;",
    why: "a save that was cut off since still counts as durable",
  },
  {
    name: "no-check-quorum",
    file: "server/raft/raft.ts",
    find: "if (!this.#replication.tick())",
    replace: "if (!this.#replication.tick() && this.term < 0)",
    why: "a leader that is cut off goes on as if it led, for ever (dissertation §6.2)",
  },
  {
    name: "higher-term-ignored-in-answers",
    file: "server/raft/inbox.ts",
    find: "if (message.term > this.#parts.replica.term && !isPreVoteGranted) {",
    replace: "if (message.term > this.#parts.replica.term + 1_000_000 && !isPreVoteGranted) {",
    why: "a leader that was replaced counts answers of a later term (Raft §5.1)",
  },
  {
    name: "older-leader-is-followed",
    file: "server/raft/inbox.ts",
    find: "if (message.term < this.#parts.replica.term) {\n      this.#refuseStale",
    replace: "if (message.term < 0) {\n      this.#refuseStale",
    why: "an append of an older term is taken (Raft figure 2, receiver 1)",
  },
  {
    name: "pre-vote-raises-the-term",
    file: "server/raft/inbox.ts",
    find: `if (message.type === "preVote") {
      this.#parts.election.onPreVote(candidate, message);`,
    replace: `if (message.type === "preVote") {
      if (message.term > this.#parts.replica.term)
        this.#parts.replica.follow({ term: message.term, leaderId: null });
      this.#parts.election.onPreVote(candidate, message);`,
    why: "a node that was cut off deposes a live leader when it comes back (dissertation §9.6)",
  },
  {
    name: "vote-kept-over-terms",
    file: "server/raft/replica.ts",
    find: "      this.#votedFor = null;\n",
    replace: "",
    why: "the vote of an older term stands for the new one",
  },
  {
    name: "new-term-not-saved",
    file: "server/raft/replica.ts",
    find: `      this.#votedFor = null;
      this.#hardStateDirty = true;`,
    replace: "      this.#votedFor = null;",
    why: "a term that was promised to others is forgotten by a crash",
  },
  {
    name: "own-vote-not-saved",
    file: "server/raft/replica.ts",
    find: `    this.#votedFor = this.options.self;
    this.#hardStateDirty = true;`,
    replace: "    this.#votedFor = this.options.self;",
    why: "a candidate that restarts votes for another one in the same term",
  },
  {
    name: "no-noop",
    file: "server/raft/lead.ts",
    find: 'log.append([this.#entry("noop", new Uint8Array(0))]);',
    replace: "",
    why: "what earlier terms left behind is not committed until somebody proposes (Raft §8)",
  },
  {
    name: "log-time-from-the-wall-clock",
    file: "server/raft/lead.ts",
    find: "const sinceMs = now.monotonicMs - this.#startedMs;",
    replace: "const sinceMs = now.wallMs - 1_700_000_000_000 - this.#startedLogTimeMs;",
    why: "log time leaps with the wall clock (design 5.1)",
  },
  {
    name: "wall-time-not-monotonic",
    file: "server/raft/lead.ts",
    find: "const wallTimeMs = Math.max(log.last.wallTimeMs, Math.floor(now.wallMs));",
    replace: "const wallTimeMs = Math.floor(now.wallMs);",
    why: "Date.now in a room goes back with the new leader's clock (design 5.1)",
  },
  {
    name: "transfer-to-who-lags",
    file: "server/raft/lead.ts",
    find: "if (progress === null || progress.matchIndex < log.lastIndex) return;",
    replace: "if (progress === null) return;",
    why: "a successor that lacks entries is asked to campaign at once (dissertation §3.10)",
  },
  {
    name: "transfer-never-given-up",
    file: "server/raft/lead.ts",
    find: 'if (transfer !== null && this.#replica.now.monotonicMs >= transfer.deadlineMs) this.#giveUp("TIMED_OUT");',
    replace: "",
    why: "proposals wait for ever for a successor that never takes the lead (dissertation §3.10)",
  },
  {
    name: "match-index-believed-from-a-refusal",
    file: "server/raft/replication.ts",
    find: "const advanced = progress.acknowledged({ matchIndex, nowMs: this.#nowMs });",
    replace:
      "const advanced = progress.acknowledged({ matchIndex: Math.max(matchIndex, this.#replica.commitIndex), nowMs: this.#nowMs });",
    why: "the leader takes a follower to hold what only others confirmed",
  },
  {
    name: "snapshot-installed-over-a-longer-log",
    file: "server/raft/snapshot-receiver.ts",
    find: "return base.index <= commitIndex || log.matches(base.index, base.term);",
    replace: "return base.index <= commitIndex;",
    why: "entries beyond the snapshot that this disk vouched for are thrown away (Raft §7)",
  },
  {
    name: "snapshot-answered-before-it-is-durable",
    file: "server/raft/snapshot-receiver.ts",
    find: "if (replica.committableIndex >= base.index)",
    replace: "",
    why: "the leader counts what is only on its way to the disk",
  },
  {
    name: "swap-while-a-save-is-under-way",
    file: "server/raft/snapshot-receiver.ts",
    find: "if (replica.log.durableIndex < replica.log.lastIndex) return;",
    replace: "",
    why: "a save that lands behind the swap leaves entries of the replaced log",
  },
  {
    name: "appends-taken-while-swapping",
    file: "server/raft/log-receiver.ts",
    find: "if (swapping) return;",
    replace: "",
    why: "what is appended during the swap is swept away with the old log, after it was vouched for",
  },
];
