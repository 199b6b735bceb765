/** What a node does with a room's code: makes the room, applies an entry to it, brings it back to life, saves it, runs it as its leader, is tried on it. */
export const roomActs = ["create", "apply", "restore", "save", "run", "upgrade"] as const;
export type RoomAct = (typeof roomActs)[number];

/** What of a room this node could not get past, in an earlier start: its process was ended there, or ended by itself. */
export interface RoomMark {
  readonly roomId: string;
  readonly group: number;
  readonly act: RoomAct;
  /** The entry's, or that of the state that was brought back or saved. */
  readonly index: number;
  /** For people: what the room did not do. */
  readonly why: string;
  /** How many starts of this node ended there. */
  readonly deaths: number;
}

/** Somebody got past what the mark names, and this is what the room was afterwards. */
export function isPast(mark: RoomMark, checkpointIndex: number): boolean {
  // What it was at is not worked off: it waits for the next leader, in the room's checkpoint, too.
  if (mark.act === "run") return false;
  return mark.act === "restore" ? checkpointIndex > mark.index : checkpointIndex >= mark.index;
}

const acts: Readonly<Record<RoomAct, string>> = {
  create: "creation at entry",
  apply: "entry",
  restore: "restoring of its checkpoint of entry",
  save: "saving as of entry",
  run: "run by its leader as of entry",
  upgrade: "trial under this code as of entry",
};

/** Goes behind "did not come back from" and the like. */
export function describeAct({ act, index }: Pick<RoomMark, "act" | "index">): string {
  return `${acts[act]} ${index}`;
}

/** The marks that this start found, until each has done what it is for. */
export class RoomMarks {
  readonly #marks: Map<string, RoomMark>;
  readonly #remove: (mark: RoomMark) => void;

  /** @param remove takes a mark away durably, so that no later start finds it */
  constructor(found: readonly RoomMark[] = [], remove: (mark: RoomMark) => void = () => {}) {
    this.#marks = new Map(found.map((mark) => [mark.roomId, mark]));
    this.#remove = remove;
  }

  of(roomId: string): RoomMark | undefined {
    return this.#marks.get(roomId);
  }

  get all(): readonly RoomMark[] {
    return [...this.#marks.values()];
  }

  /** The room is gone, from this node's disk too, or somebody got past it: no start will meet that again. */
  drop(roomId: string): void {
    const mark = this.#marks.get(roomId);
    if (mark === undefined) return;
    this.#marks.delete(roomId);
    this.#remove(mark);
  }
}
