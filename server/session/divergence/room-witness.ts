import { crc32 } from "node:zlib";
import { sessionLimits } from "../limits.ts";
import type { Verdict } from "./verdict.ts";

/** A room's hash after the command at an index; every replica takes its hashes at the same indexes. */
export interface HashPoint {
  readonly index: number;
  readonly hash: string;
}

/** No verdict could be had: the room stands still on all replicas until there is one. */
export interface Frozen {
  /** Where the replicas' hashes differ. */
  readonly index: number;
  /** Who had which hash there. */
  readonly hashes: Verdict["hashes"];
}

export interface WitnessState {
  /** Whose replica this one was copied from, since the last verdict that found both alike; else its own node. */
  readonly source: string;
  readonly interval: number;
  readonly points: readonly HashPoint[];
  readonly agreed: HashPoint | null;
  readonly frozen: Frozen | null;
}

export type Judgement =
  /** An old one, or this replica cannot know any more. */
  | { readonly type: "none" }
  | { readonly type: "agrees"; readonly thaws: boolean }
  | { readonly type: "differs"; readonly ownHash: string; readonly thaws: boolean }
  | { readonly type: "freezes" };

/**
 * A room's hash is taken by the first command of each so many milliseconds of log time: at equal indexes on every
 * replica, whatever the command does there, and at a cost that does not grow with the load.
 */
const hashIntervalMs = 1_000;

/** The hash of a replica that took none where others did. */
export const noHash = "none";
/** The hash of a room that holds what cannot be saved. */
export const unsavableHash = "unsavable";
/** The hash of a replica that had ended by itself where others went on. */
export const endedHash = "ended";

/**
 * What one replica of a room can say about itself: its hashes at the points that all replicas share, and what was agreed
 * about them (design 5.5, "Hashes"). Saved with the room: a checkpoint tells what its replica was.
 */
export class RoomWitness {
  readonly #nodeId: string;
  readonly #phaseMs: number;
  #source: string;
  /** The checkpoint that another node's state came in; from there on this replica goes its own way. */
  #copiedAt = 0;
  #interval = 0;
  #points: readonly HashPoint[] = [];
  #agreed: HashPoint | null = null;
  #frozen: Frozen | null = null;

  constructor(nodeId: string, roomId: string) {
    this.#nodeId = nodeId;
    this.#source = nodeId;
    // Spread, so that a tick does not take the hashes of all rooms at once.
    this.#phaseMs = crc32(roomId) % hashIntervalMs;
  }

  get state(): WitnessState {
    return {
      source: this.#source,
      interval: this.#interval,
      points: this.#points,
      agreed: this.#agreed,
      frozen: this.#frozen,
    };
  }

  restore(state: WitnessState, index: number): void {
    this.#source = state.source;
    this.#copiedAt = state.source === this.#nodeId ? 0 : index;
    this.#interval = state.interval;
    this.#points = state.points;
    this.#agreed = state.agreed;
    this.#frozen = state.frozen;
  }

  /** The node whose word this replica's is, as far as a majority counts. */
  get source(): string {
    return this.#source;
  }

  get last(): HashPoint | null {
    return this.#points.at(-1) ?? null;
  }

  /** The last verdict that named a hash. */
  get agreed(): HashPoint | null {
    return this.#agreed;
  }

  get frozen(): Frozen | null {
    return this.#frozen;
  }

  /** Points that no verdict has covered yet. */
  get open(): readonly HashPoint[] {
    const agreedIndex = this.#agreed?.index ?? 0;
    return this.#points.filter(({ index }) => index > agreedIndex);
  }

  /** Behind here nothing is known any more: a point may have been taken and forgotten. */
  get knownSince(): number {
    const isFull = this.#points.length === sessionLimits.hashPointsMax;
    return isFull ? (this.#points[0] as HashPoint).index - 1 : 0;
  }

  /** By the log's time alone: what a room's code has done must not move the points. */
  isDue(logTimeMs: number): boolean {
    return this.#frozen === null && this.#intervalAt(logTimeMs) !== this.#interval;
  }

  add(point: HashPoint, logTimeMs: number): void {
    this.#interval = this.#intervalAt(logTimeMs);
    this.#points = [...this.#points, point].slice(-sessionLimits.hashPointsMax);
  }

  /** It stands still, until there is a verdict about this point. */
  compareAnew(point: HashPoint, logTimeMs: number): void {
    this.add(point, logTimeMs);
    this.#frozen = { index: point.index, hashes: [] };
  }

  #intervalAt(logTimeMs: number): number {
    return Math.floor((logTimeMs + this.#phaseMs) / hashIntervalMs);
  }

  /** This replica's hash at the index; null: not known any more. */
  hashAt(index: number): string | null {
    const point = this.#points.find((each) => each.index === index);
    if (point !== undefined) return point.hash;
    return index > this.knownSince ? noHash : null;
  }

  /** Notes what was agreed. Each replica judges itself, at the same place in the log. */
  judge({ index, hash, hashes }: Verdict): Judgement {
    const ownHash = this.hashAt(index);
    if (ownHash === null || index <= (this.#agreed?.index ?? 0)) return { type: "none" };
    if (hash === null) {
      if (this.#frozen !== null && this.#frozen.index !== index) return { type: "none" };
      if (this.#frozen !== null) {
        this.#frozen = { index, hashes };
        return { type: "none" };
      }
      this.#frozen = { index, hashes };
      return { type: "freezes" };
    }
    const thaws = this.#frozen !== null;
    this.#frozen = null;
    this.#agreed = { index, hash };
    if (ownHash !== hash) return { type: "differs", ownHash, thaws };
    if (index > this.#copiedAt) this.#source = this.#nodeId;
    return { type: "agrees", thaws };
  }
}
