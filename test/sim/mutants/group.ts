import type { Mutant } from "../mutant.ts";

/** Bugs of what runs the groups: saving, applying, proposing, checkpoints, heartbeats. */
export const groupMutants: readonly Mutant[] = [
  {
    name: "messages-not-held-for-the-save",
    file: "server/group/saver.ts",
    find: "if (holder === null || !holder.groups.has(group)) return false;",
    replace: "if (holder === null || holder.groups.has(group)) return false;",
    why: "what rests on a save leaves before it (figure 2)",
  },
  {
    name: "messages-held-for-the-gathered-save-only",
    file: "server/group/saver.ts",
    find: "? this.#gathered : this.#inFlight;",
    replace: "? this.#gathered : null;",
    why: "what rests on the save in flight leaves before it has landed",
  },
  {
    name: "older-entries-win-in-a-batch",
    file: "server/group/saver.ts",
    find: "return [...earlier.slice(0, from.index - first.index), ...later];",
    replace: "return [...earlier, ...later.slice(first.index + earlier.length - from.index)];",
    why: "a conflicting suffix that was gathered first reaches the disk instead of the leader's",
  },
  {
    name: "batch-keeps-the-older-hard-state",
    file: "server/group/saver.ts",
    find: "if (next.hardState !== undefined) into.hardState = next.hardState;",
    replace: "if (next.hardState !== undefined) into.hardState ??= next.hardState;",
    why: "a vote or term that was gathered later never reaches the disk",
  },
  {
    name: "reset-forgotten-in-a-batch",
    file: "server/group/saver.ts",
    find: "    delete into.checkpoints;\n",
    replace: "",
    why: "checkpoints of the state that a snapshot replaces survive it",
  },
  {
    name: "floor-off-by-one",
    file: "server/group/checkpoints.ts",
    find: `      if (part.firstIndex - 1 < index) {
        index = part.firstIndex - 1;`,
    replace: `      if (part.firstIndex < index) {
        index = part.firstIndex;`,
    why: "the log is cut behind a command that no checkpoint has",
  },
  {
    name: "result-of-a-restored-part-trusted",
    file: "server/group/applier.ts",
    find: "const isTrusted = isOwn && index > this.#servesFrom;",
    replace: "const isTrusted = isOwn;",
    why: "a command that a checkpoint holds already is answered with a result that it never had",
  },
  {
    name: "answers-to-an-earlier-start",
    file: "server/group/applier.ts",
    find: "const isOwn = id.bootCount === bootCount && id.nodeId === nodeId;",
    replace: "const isOwn = id.nodeId === nodeId;",
    why: "what an earlier start of this node proposed answers whoever has that number now",
  },
  {
    name: "answered-by-number-of-arrival",
    file: "server/group/proposals.ts",
    find: "const proposal = this.#pending.get(sequence);\n    if (proposal === undefined) return false;",
    replace:
      "sequence = this.#pending.keys().next().value ?? sequence;\n    const proposal = this.#pending.get(sequence);\n    if (proposal === undefined) return false;",
    why: "results go to whoever waits longest",
  },
  {
    name: "resent-out-of-order",
    file: "server/group/proposals.ts",
    find: "const proposal = this.#pending.get(this.#sentThrough + 1);",
    replace:
      "const proposal = this.#pending.get(this.#sequence - (this.#sentThrough - this.#beforeFirst()));",
    why: "a session's commands arrive in another order than they were given in",
  },
  {
    name: "live-node-hides-a-leaderless-group",
    file: "server/group/heartbeats.ts",
    find: "if (this.#options.believedDigest(nodeId) === heartbeat.digest) {",
    replace: "if (heartbeat.digest >= 0) {",
    why: "a node that lives but leads a group no longer keeps that group quiet for ever (design 4.3)",
  },
  {
    name: "live-node-keeps-a-leaderless-group-asleep",
    file: "server/group/heartbeats.ts",
    find: `      this.#options.disbelieved(nodeId);
      pulse.agreedMs = null;`,
    replace: "      pulse.agreedMs = nowMs;",
    why: "a group that sleeps is woken by silence only, not by a leader that no longer is one (design 4.3)",
  },
  {
    name: "sleeps-through-silence",
    file: "server/group/awake-groups.ts",
    find: "    if (this.#sleeps.size > 0) this.#listen(nowMs);",
    replace: "",
    why: "a group that sleeps does not notice that its leader's node has fallen silent (design 4.3)",
  },
  {
    name: "sleeps-before-the-last-news-has-arrived",
    file: "server/raft/replication.ts",
    find: "const hasAll = matchIndex === log.lastIndex && knownCommitIndex === commitIndex;",
    replace: "const hasAll = matchIndex === log.lastIndex;",
    why: "a follower that missed the news of the last commit never gets it (design 4.3)",
  },
  {
    name: "confirms-without-agreeing",
    file: "server/group/heartbeats.ts",
    find: "const agrees = heard !== null && heard.digest === this.#options.believedDigest(nodeId);",
    replace: "const agrees = heard !== null;",
    why: "check-quorum counts followers that have gone to another leader",
  },
  {
    name: "snapshot-does-not-pin-the-log",
    file: "server/group/snapshot-sender.ts",
    find: "pinned = Math.min(pinned, base.index);",
    replace: "pinned = Math.min(pinned, base.index + 1_000_000);",
    why: "the log behind a snapshot that is being sent is cut, and the follower needs another one, for ever",
  },
  {
    name: "staged-part-kept-though-too-old",
    file: "server/group/staged-parts.ts",
    find: "if (staged === undefined || staged.index < Math.min(named.index, baseIndex)) wanted.add(key);",
    replace: "if (staged === undefined) wanted.add(key);",
    why: "a part of an earlier snapshot lacks commands that are in no log any more",
  },
  {
    name: "swap-in-forgets-the-vote",
    file: "server/group/group.ts",
    find: "const hardState = { ...this.#hardState, commitIndex: base.index };",
    replace: "const hardState = { ...this.#hardState, votedFor: null, commitIndex: base.index };",
    why: "whoever is brought up by a snapshot may vote a second time in its term after a restart",
  },
  {
    name: "served-before-it-is-whole",
    file: "server/group/engine.ts",
    find: "return this.#turns.isRestored && applier.isWhole && !isBehind;",
    replace: "return this.#turns.isRestored && !isBehind;",
    why: "a replica whose parts stand at different moments is shown to players",
  },
  {
    name: "late-result-waited-for-without-end",
    file: "server/group/late-results.ts",
    find: "      if (nowMs < waiting.deadlineMs) return;",
    replace: "      if (nowMs < waiting.deadlineMs || true) return;",
    why: "whoever calls a room that nobody runs just then never hears of it",
  },
];
