import type { Configuration } from "../../raft/configuration.ts";
import { countHashes } from "./hash-count.ts";
import { hashIn, type Statement } from "./statement.ts";
import type { Verdict } from "./verdict.ts";

/** What the statements about one room come to. */
export type Conclusion =
  | { readonly type: "none" }
  /** `isContested`: a replica has another hash there. */
  | { readonly type: "verdict"; readonly verdict: Verdict; readonly isContested: boolean }
  /** They differ, and there is no majority: never (`isFinal`), or not without those who are silent. */
  | { readonly type: "split"; readonly verdict: Verdict; readonly isFinal: boolean };

interface RoomTally {
  readonly statements: Map<string, Statement>;
  /** Up to here verdicts have been agreed. */
  concluded: number;
  /** It was agreed that there is no majority: only one can end that. */
  isSplit: boolean;
}

/** Who has said what about the rooms' hashes: kept by a group's leader, in memory only. */
export class HashTally {
  readonly #rooms = new Map<string, RoomTally>();
  /** Rooms of which something new was said. */
  readonly #changed = new Set<string>();

  clear(): void {
    this.#rooms.clear();
    this.#changed.clear();
  }

  /** A node's newest statement about a room replaces the one before. */
  hear(nodeId: string, statement: Statement): void {
    const { roomId } = statement;
    let room = this.#rooms.get(roomId);
    if (room === undefined) {
      room = { statements: new Map(), concluded: 0, isSplit: false };
      this.#rooms.set(roomId, room);
    }
    room.statements.set(nodeId, statement);
    this.#changed.add(roomId);
  }

  takeChanged(): readonly string[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }

  /** A verdict has been applied: what was said about it and before has had its effect. */
  concluded({ roomId, index, hash }: Verdict): void {
    const room = this.#rooms.get(roomId);
    if (room === undefined) return;
    room.isSplit = hash === null;
    if (hash === null) return;
    room.concluded = Math.max(room.concluded, index);
    for (const [nodeId, statement] of room.statements) {
      const points = statement.points.filter((point) => point.index > room.concluded);
      if (points.length === 0 || hashIn(statement, index) !== hash) room.statements.delete(nodeId);
      else room.statements.set(nodeId, { ...statement, points, since: Math.max(statement.since, index) });
    }
  }

  /** Rooms that there are no longer. */
  keepOnly(exists: (roomId: string) => boolean): void {
    for (const roomId of this.#rooms.keys()) if (!exists(roomId)) this.#rooms.delete(roomId);
    // A node that is alone never takes them.
    for (const roomId of this.#changed) if (!exists(roomId)) this.#changed.delete(roomId);
  }

  conclude(roomId: string, configuration: Configuration): Conclusion {
    const room = this.#rooms.get(roomId);
    if (room === undefined) return { type: "none" };
    const indexes = new Set(
      [...room.statements.values()].flatMap(({ points }) => points.map(({ index }) => index)),
    );
    let newest: Conclusion = { type: "none" };
    for (const index of [...indexes].filter((each) => each > room.concluded).sort((a, b) => b - a)) {
      const conclusion = conclusionAt(room, { roomId, index }, configuration);
      // The newest majority that is contested: who has another hash there must not get away with it.
      if (conclusion.type === "verdict" && conclusion.isContested) return conclusion;
      // Else what was said last; but a final split before one that is not.
      const isFinal = conclusion.type === "split" && conclusion.isFinal;
      if (newest.type === "none" || (newest.type === "split" && !newest.isFinal && isFinal))
        newest = conclusion;
    }
    return newest.type === "split" && room.isSplit ? { type: "none" } : newest;
  }
}

function conclusionAt(
  room: RoomTally,
  { roomId, index }: { readonly roomId: string; readonly index: number },
  configuration: Configuration,
): Conclusion {
  const count = countHashes(configuration, ({ nodeId }) => {
    const statement = room.statements.get(nodeId);
    const hash = statement === undefined ? null : hashIn(statement, index);
    return statement === undefined || hash === null ? null : { hash, source: statement.source };
  });
  if (count.type === "majority") {
    const { hash, isContested } = count;
    const hashes = isContested ? hashesAt(room, index) : [];
    return { type: "verdict", verdict: { roomId, index, hash, hashes }, isContested };
  }
  if (count.type === "open" && !count.isContested) return { type: "none" };
  const verdict = { roomId, index, hash: null, hashes: hashesAt(room, index) };
  return { type: "split", verdict, isFinal: count.type === "split" };
}

function hashesAt(room: RoomTally, index: number): [string, string][] {
  return [...room.statements].flatMap(([nodeId, statement]): [string, string][] => {
    const hash = hashIn(statement, index);
    return hash === null ? [] : [[nodeId, hash]];
  });
}
