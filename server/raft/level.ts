/*
 * A level is one number for everything that nodes write for each other and for their own later starts: commands of menus,
 * entries, checkpoints, messages. A group agrees on its level, in its log (`Configuration.level`): on one that every member's
 * build knows, and never on a lower one again. What came with level 2 is written only where 2 is agreed on, so that nodes of
 * this version of Testudo and the next run in one cluster, and a node may go back as long as nothing was agreed on.
 *
 * To add something (a command, a field of a checkpoint, a message, another meaning of what there is):
 *
 * 1. `levels.max` is one more than that of the last release; what comes with one release shares its level.
 * 2. A command says `{ since: 2 }` (menu.ts), and a message stands in message-levels.ts. What an apply does otherwise from
 *    then on asks `context.level`, never the build: both ways stay in the code. What a checkpoint has more than before is
 *    written only from that level on, and read as if it might be missing.
 * 3. `levels.min` rises, much later, when no cluster can have what was written before; then the old way is taken out.
 */

/** What a build of Testudo can read and write: every level from `min` to `max`. */
export interface Levels {
  readonly min: number;
  readonly max: number;
}

export const levels: Levels = Object.freeze({ min: 1, max: 1 });

/** Of what nobody has agreed on yet. */
export const firstLevel = 1;

/** What a linked node said of itself: the disk that it runs on, and the most that its build knows. */
export interface Linked {
  readonly storeId: string;
  readonly levelMax: number;
}

/** Whom a group waits for before it agrees on what this node's build knows. */
export interface HeldBack {
  readonly nodeId: string;
  /** What it said when it was linked; null: it is not linked. */
  readonly levelMax: number | null;
}

/** What a group has agreed on, as far as one replica knows. */
export interface AgreedLevel {
  readonly level: number;
  /** Members that keep the group from agreeing on all that this replica's build knows. */
  heldBackBy(): readonly HeldBack[];
}

/** Somebody has written what this build cannot read: going on would be guessing. */
export class LevelError extends Error {
  readonly code = "LEVEL_UNKNOWN";

  constructor(what: string, level: number, { min, max }: Levels) {
    const advice =
      level > max
        ? "start a newer version of Testudo on this node: nothing is lost"
        : "this version is too new for it: start the version before it on this node, until all nodes have it";
    super(`${what} needs level ${level}, this version of Testudo knows ${min} to ${max}: ${advice}`);
    this.name = "LevelError";
  }
}

/** @throws LevelError */
export function checkLevel(what: string, level: number, known: Levels): void {
  if (level < known.min || level > known.max) throw new LevelError(what, level, known);
}
