/** A failover is looked at from so long before it was noticed … */
const beforeMs = 2_500;
/** … to so long after. */
const afterMs = 3_000;
const gapsMax = 100;
const intervalsMax = 200;

/** The longest time without a patch around one failover. */
export interface Gap {
  /** What made the page look: `dropped`, `node-2 fell`, … */
  readonly cause: string;
  /** On the page's clock: when it was noticed. */
  readonly atMs: number;
  readonly gapMs: number;
}

/** Measures what a player sees of a failover. Times are the page's own and are handed in. */
export class GapMeter {
  /** The last patches: when each came, and how long after the one before. */
  #intervals: { readonly atMs: number; readonly gapMs: number }[] = [];
  #open: { cause: string; atMs: number; untilMs: number; gapMs: number } | null = null;
  readonly #closed: Gap[] = [];

  /** Every failover so far, the one under way included; the oldest ones are forgotten past 100. */
  get gaps(): readonly Gap[] {
    if (this.#open === null) return this.#closed;
    const { cause, atMs, gapMs } = this.#open;
    return [...this.#closed, { cause, atMs, gapMs }];
  }

  get lastGapMs(): number | null {
    return this.gaps.at(-1)?.gapMs ?? null;
  }

  get worstGapMs(): number | null {
    const { gaps } = this;
    return gaps.length === 0 ? null : Math.max(...gaps.map(({ gapMs }) => gapMs));
  }

  patch(atMs: number): void {
    const last = this.#intervals.at(-1);
    const gapMs = last === undefined ? 0 : atMs - last.atMs;
    this.#intervals.push({ atMs, gapMs });
    if (this.#intervals.length > intervalsMax) this.#intervals.shift();
    if (this.#open === null) return;
    // A silence that began within the window belongs to it, however long it was.
    if (last === undefined || last.atMs <= this.#open.untilMs)
      this.#open.gapMs = Math.max(this.#open.gapMs, gapMs);
    if (atMs > this.#open.untilMs) this.#close();
  }

  /** Something happened that may hold patches up: look around this moment. */
  suspect(cause: string, atMs: number): void {
    if (this.#open !== null) {
      this.#open.untilMs = atMs + afterMs;
      return;
    }
    const near = this.#intervals.filter((interval) => interval.atMs >= atMs - beforeMs);
    const gapMs = Math.max(0, ...near.map((interval) => interval.gapMs));
    this.#open = { cause, atMs, untilMs: atMs + afterMs, gapMs };
  }

  /** How long no patch has come. */
  silentMs(atMs: number): number {
    const last = this.#intervals.at(-1);
    return last === undefined ? 0 : atMs - last.atMs;
  }

  #close(): void {
    if (this.#open === null) return;
    const { cause, atMs, gapMs } = this.#open;
    this.#open = null;
    this.#closed.push({ cause, atMs, gapMs });
    if (this.#closed.length > gapsMax) this.#closed.shift();
  }
}
