import { PartsDirt } from "../../server/group/dirt.ts";
import type { AppliedCommand, ApplyResult, Machine } from "../../server/group/machine.ts";
import type { ProposalId } from "../../server/network/peer-message.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";

/** Commands to one room, and to the directory (room ""), are numbered by whoever proposes them. */
export type RoomsCommand =
  | { readonly type: "create"; readonly room: string; readonly number: number; readonly ticks: boolean }
  | { readonly type: "dispose"; readonly room: string; readonly number: number }
  | { readonly type: "add"; readonly room: string; readonly number: number; readonly tag: string }
  | { readonly type: "tick" };

interface Part {
  /** Of the last command that it took. */
  index: number;
  /** By origin. */
  numbers: { [origin: string]: number };
}

interface Room extends Part {
  history: string[];
  /** Null: ticks are not its business. */
  ticks: number | null;
  padding: string;
}

interface Directory extends Part {
  /** When each was created; those that are gone stay listed. */
  created: { [room: string]: number };
}

export const encodeRooms = (command: RoomsCommand) => new TextEncoder().encode(JSON.stringify(command));

/**
 * Rooms that are created, tick and are disposed, each a part with an index of its own, and a directory that never reads
 * them: what the session layer's machine is, without players and Colyseus.
 */
export class RoomsMachine implements Machine {
  rooms = new Map<string, Room>();
  readonly held = new Set<string>();
  tickEveryMs: number | null = null;
  restores = 0;
  /** Parts that came back in the last restore, in order. */
  restored: string[] = [];
  isRestoring = false;
  #directory: Directory = { index: 0, numbers: {}, created: {} };
  readonly #dirt = new PartsDirt();
  #appliedIndex = 0;
  #tickedMs = 0;
  readonly #paddingBytes: number;

  /** @param paddingBytes what each room's checkpoint has at least */
  constructor({ paddingBytes = 0 }: { paddingBytes?: number } = {}) {
    this.#paddingBytes = paddingBytes;
  }

  beginRestore(): void {
    this.isRestoring = true;
    this.restored = [];
    this.rooms.clear();
    this.#directory = { index: 0, numbers: {}, created: {} };
    this.#dirt.clear();
    this.#appliedIndex = 0;
  }

  restorePart(key: string, { bytes }: Checkpoint): void {
    this.restored.push(key);
    const part = JSON.parse(new TextDecoder().decode(bytes));
    if (key === "") this.#directory = part;
    else this.rooms.set(key, part);
  }

  endRestore(): void {
    this.restores += 1;
    this.isRestoring = false;
  }

  apply({ index, id, logTimeMs, command }: AppliedCommand): ApplyResult {
    if (this.isRestoring) throw new Error("nothing is applied before all parts are back");
    this.#appliedIndex = index;
    const parsed = JSON.parse(new TextDecoder().decode(command)) as RoomsCommand;
    if (parsed.type === "tick") {
      this.#tickedMs = logTimeMs;
      for (const [key, room] of this.rooms) {
        if (room.ticks === null || index <= room.index) continue;
        this.#touch(key, room, index);
        room.ticks += 1;
      }
      return { type: "done", value: null };
    }
    return parsed.type === "create" ? this.#create(parsed, index, id) : this.#inRoom(parsed, index, id);
  }

  #create(
    { room, number, ticks }: Extract<RoomsCommand, { type: "create" }>,
    index: number,
    id: ProposalId,
  ): ApplyResult {
    const directory = this.#directory;
    if (index > directory.index) {
      const verdict = take(directory, id, number);
      if (verdict !== "new") return verdict;
      this.#touch("", directory, index);
      directory.created[room] = index;
    }
    if (directory.created[room] === index && !this.rooms.has(room)) {
      const padding = "p".repeat(this.#paddingBytes);
      this.rooms.set(room, { index, numbers: {}, history: [], ticks: ticks ? 0 : null, padding });
      this.#touch(room, this.rooms.get(room) as Room, index);
    }
    return { type: "done", value: room };
  }

  #inRoom(
    command: Exclude<RoomsCommand, { type: "tick" | "create" }>,
    index: number,
    id: ProposalId,
  ): ApplyResult {
    const room = this.rooms.get(command.room);
    if (room === undefined) return { type: "done", value: "gone" };
    if (index <= room.index) return { type: "done", value: "contained" };
    const verdict = take(room, id, command.number);
    if (verdict !== "new") return verdict;
    this.#touch(command.room, room, index);
    if (command.type === "dispose") this.rooms.delete(command.room);
    else if (command.type === "add") room.history.push(command.tag);
    return { type: "done", value: room.history.length };
  }

  #touch(key: string, part: Part, index: number): void {
    part.index = index;
    this.#dirt.touch(key, index);
  }

  dirty(): Iterable<{ key: string; firstIndex: number }> {
    return this.#dirt.dirty();
  }

  save(key: string): Checkpoint | null | "deleted" {
    if (this.isRestoring) throw new Error("nothing is saved before all parts are back");
    if (this.held.has(key)) return null;
    const part = key === "" ? this.#directory : this.rooms.get(key);
    this.#dirt.saving(key, this.#appliedIndex);
    if (part === undefined) return "deleted";
    return {
      index: this.#appliedIndex,
      bytes: new TextEncoder().encode(JSON.stringify({ ...part, index: this.#appliedIndex })),
    };
  }

  saved(key: string, index: number): void {
    this.#dirt.saved(key, index);
  }

  nextTickMs(): number | null {
    if (this.isRestoring) throw new Error("no tick is due before all parts are back");
    return this.tickEveryMs === null ? null : this.#tickedMs + this.tickEveryMs;
  }

  tickCommand(): Uint8Array {
    return encodeRooms({ type: "tick" });
  }

  drained(): void {}

  /** Of all rooms, to compare replicas by. */
  get state(): string {
    const rooms = [...this.rooms].sort(([one], [other]) => (one < other ? -1 : 1));
    return JSON.stringify(rooms.map(([key, { history, ticks }]) => [key, history, ticks]));
  }
}

function take(
  part: Part,
  { nodeId, bootCount }: ProposalId,
  number: number,
): "new" | Exclude<ApplyResult, "new"> {
  const origin = `${nodeId}/${bootCount}`;
  const last = part.numbers[origin] ?? 0;
  if (number > last + 1) return { type: "gap" };
  if (number <= last) return { type: "done", value: "again" };
  part.numbers[origin] = number;
  return "new";
}
