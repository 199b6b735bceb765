import type { ProposalId } from "../network/peer-message.ts";
import type { Checkpoint } from "../storage/storage.ts";

/** A committed command on its way into a machine. */
export interface AppliedCommand {
  readonly index: number;
  readonly term: number;
  readonly logTimeMs: number;
  readonly wallTimeMs: number;
  /** What the group has agreed on here in its log (raft/level.ts): where a command means something else from a level on. */
  readonly level: number;
  readonly id: ProposalId;
  readonly command: Uint8Array;
}

/**
 * The result of a command at its proposer. `gap`: an earlier proposal of this node has not been applied yet (it was
 * lost on the way): the group sends all that is unanswered again, in order; nothing was changed. A value that is a promise
 * is settled by entries to come: the proposer's caller waits for it, within a limit.
 */
export type ApplyResult = { readonly type: "done"; readonly value: unknown } | { readonly type: "gap" };

/**
 * A replicated state machine that runs on every replica of a group: deterministic in its commands and their stamps.
 * It is made of parts, each with a key and an index of its own (rooms, and "" for the group's own part), and saved part
 * by part (design 5.2): a part ignores commands at or below the index of its checkpoint.
 * The group calls it from macrotasks only, never inside a promise's continuation, one command at a time.
 */
export interface Machine {
  /**
   * Parts that were saved are brought back: before the first apply, and again when a snapshot replaces everything. Turns
   * may pass between the parts, in which nothing is applied, asked or saved.
   */
  beginRestore(): void;
  /** One part as it was saved; the group's own part comes first, if there is one. */
  restorePart(key: string, checkpoint: Checkpoint): void;
  /** All are back: whatever was not brought back is gone. */
  endRestore(): void;
  apply(command: AppliedCommand): ApplyResult;
  /** A command that is committed and will be applied when its turn comes: what it ends need not be run before. */
  foresee?(ahead: Pick<AppliedCommand, "index" | "term" | "command">): void;
  /**
   * Asked on the leader, which cannot reach that node: it has applied nothing behind `appliedAtMost`, and will not before
   * it has foreseen the command that this gives, if that is agreed in this very term. Null: nothing is to be agreed.
   */
  missingCommand?(
    nodeId: string,
    known: { readonly appliedAtMost: number; readonly term: number },
  ): Uint8Array | null;
  /** Parts that have changed since their last durable checkpoint, with the index of the first command since. */
  dirty(): Iterable<{ readonly key: string; readonly firstIndex: number }>;
  /** The part as of the last applied command; null if it is not at rest; "deleted" if the part is gone. */
  save(key: string): Checkpoint | null | "deleted";
  /**
   * A part that `save` gives nothing of holds back too much of the log. What a restart is to find instead, which knows by
   * it that the part's state is not here; null: the log has to be kept all the same.
   */
  letGo?(key: string): Checkpoint | null;
  /** The checkpoint that `save` or `letGo` gave is durable. */
  saved(key: string, index: number): void;
  /** Log time at which a tick is next due, or null. Asked on the leader only. */
  nextTickMs(): number | null;
  /** The command that moves the clocks. */
  tickCommand(): Uint8Array;
  /** All that was committed has been applied for now: patches may go out. `logTimeMs`: the last command's. */
  drained(): void;
  /** Parts of it are not here, and are on other nodes: those should lead. Of another node: it has said so to this one, who leads. */
  lacksParts?(nodeId?: string): boolean;
  /** What another node's machine of this group says; not agreed, and perhaps twice or never. See GroupEngine.tell. */
  heard?(from: string, body: Uint8Array): void;
}
