import type { Checkpoint } from "../storage/storage.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Machine } from "./machine.ts";

export interface SavedPart {
  readonly key: string;
  readonly index: number;
}

export interface CheckpointStep {
  readonly checkpoints: ReadonlyMap<string, Checkpoint | null>;
  readonly saved: readonly SavedPart[];
}

export interface Floor {
  /** Everything up to here is in durable checkpoints. */
  readonly index: number;
  /** The parts that hold it there, a few of them. */
  readonly heldBy: readonly string[];
}

const heldByMax = 5;

/** Saves the dirty parts of one group's machine, round after round, a few per turn (design 5.5). */
export class Checkpoints {
  readonly #machine: Machine;
  readonly #options: Pick<EngineOptions, "checkpointPartsPerTurn" | "checkpointBytesPerTurn">;
  #round: string[] = [];

  constructor(
    machine: Machine,
    options: Pick<EngineOptions, "checkpointPartsPerTurn" | "checkpointBytesPerTurn">,
  ) {
    this.#machine = machine;
    this.#options = options;
  }

  get isRoundActive(): boolean {
    return this.#round.length > 0;
  }

  beginRound(): void {
    this.#round = [...this.#machine.dirty()].map((part) => part.key).reverse();
  }

  /**
   * The next few parts of the round, one at least; null if none of them can be saved now. A room is written in one go,
   * and a turn must not be long: `isOver` is asked before each but the first.
   */
  step(appliedIndex: number, isOver: () => boolean): CheckpointStep | null {
    const checkpoints = new Map<string, Checkpoint | null>();
    const saved: SavedPart[] = [];
    let bytes = 0;
    for (let count = 0; count < this.#options.checkpointPartsPerTurn; count++) {
      const key = this.#round.pop();
      if (key === undefined || bytes >= this.#options.checkpointBytesPerTurn || (count > 0 && isOver())) {
        if (key !== undefined) this.#round.push(key);
        break;
      }
      const state = this.#machine.save(key);
      if (state === null) continue;
      if (state === "deleted") {
        checkpoints.set(key, null);
        saved.push({ key, index: appliedIndex });
        continue;
      }
      bytes += state.bytes.length;
      checkpoints.set(key, state);
      saved.push({ key, index: state.index });
    }
    return saved.length === 0 ? null : { checkpoints, saved };
  }

  /** A snapshot has replaced everything. */
  abandonRound(): void {
    this.#round = [];
  }

  /** The log's floor (design 5.2): a clean part holds nothing back. */
  floor(appliedIndex: number): Floor {
    let index = appliedIndex;
    let heldBy: string[] = [];
    for (const part of this.#machine.dirty()) {
      if (part.firstIndex - 1 < index) {
        index = part.firstIndex - 1;
        heldBy = [part.key];
      } else if (part.firstIndex - 1 === index && index < appliedIndex && heldBy.length < heldByMax) {
        heldBy.push(part.key);
      }
    }
    return { index, heldBy };
  }
}
