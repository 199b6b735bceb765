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

interface CheckpointsOptions
  extends Pick<EngineOptions, "checkpointPartsPerTurn" | "checkpointBytesPerTurn"> {
  /** A part that needs the log from here on holds back more of it than one part may. */
  readonly holdsTooMuch: (firstIndex: number) => boolean;
}

/** Saves the dirty parts of one group's machine, round after round, a few per turn (design 5.5). */
export class Checkpoints {
  readonly #machine: Machine;
  readonly #options: CheckpointsOptions;
  /** From the end on. */
  #round: { readonly key: string; readonly firstIndex: number }[] = [];

  constructor(machine: Machine, options: CheckpointsOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  get isRoundActive(): boolean {
    return this.#round.length > 0;
  }

  beginRound(): void {
    this.#round = [...this.#machine.dirty()].reverse();
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
      const part = this.#round.pop();
      if (part === undefined || bytes >= this.#options.checkpointBytesPerTurn || (count > 0 && isOver())) {
        if (part !== undefined) this.#round.push(part);
        break;
      }
      const { key } = part;
      const state = this.#machine.save(key) ?? this.#letGo(part);
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

  #letGo({ key, firstIndex }: { readonly key: string; readonly firstIndex: number }): Checkpoint | null {
    return this.#options.holdsTooMuch(firstIndex) ? (this.#machine.letGo?.(key) ?? null) : null;
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
