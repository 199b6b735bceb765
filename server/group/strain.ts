import type { EngineOptions } from "./engine-options.ts";

type StrainOptions = Pick<EngineOptions, "diskStallMsMax" | "pipeLagMsMax" | "strainedMs">;

/** Why this node should not lead just now. */
export type StrainSign =
  /** A save has been on its way to the disk for so long. */
  | { readonly type: "disk"; readonly forMs: number }
  /** The pipe came to a tick so much later than it was due. */
  | { readonly type: "pipe"; readonly lagMs: number };

/**
 * Whether this node can do what a leader must: save, and take its turns in time (design 4.1). A node that could not a
 * moment ago is not given a lead either.
 */
export class Strain {
  readonly #options: StrainOptions;
  #sign: StrainSign | null = null;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(options: StrainOptions) {
    this.#options = options;
  }

  /** At each tick: how late it came, and since when the save in flight is under way (null: none is). */
  look({
    nowMs,
    lagMs,
    savingSinceMs,
  }: {
    nowMs: number;
    lagMs: number;
    savingSinceMs: number | null;
  }): void {
    const { diskStallMsMax, pipeLagMsMax } = this.#options;
    const savingMs = savingSinceMs === null ? 0 : nowMs - savingSinceMs;
    if (savingMs >= diskStallMsMax) this.#sign = { type: "disk", forMs: savingMs };
    else if (lagMs >= pipeLagMsMax) this.#sign = { type: "pipe", lagMs };
    else this.#sign = null;
    if (this.#sign !== null) this.#lastMs = nowMs;
  }

  /** Of the last tick. */
  get sign(): StrainSign | null {
    return this.#sign;
  }

  /** Strained now or a moment ago. */
  isRecent(nowMs: number): boolean {
    return nowMs - this.#lastMs < this.#options.strainedMs;
  }
}
