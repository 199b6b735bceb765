/** One line for each kind of refusal in so long a time; the others are counted. */
const lineIntervalMs = 1000;

interface RefusalLogTools {
  readonly log: { warn(fields: object, message: string): void };
  monotonicMs(): number;
}

/** Tells of refused connections without letting whoever causes them fill the log. */
export class RefusalLog {
  readonly #tools: RefusalLogTools;
  /** By reason, so bounded by the number of reasons. */
  readonly #lines = new Map<string, { lastMs: number; suppressed: number }>();

  constructor(tools: RefusalLogTools) {
    this.#tools = tools;
  }

  refused({ reason, detail, address }: { reason: string; detail: string; address: string }): void {
    const nowMs = this.#tools.monotonicMs();
    const line = this.#lines.get(reason) ?? { lastMs: Number.NEGATIVE_INFINITY, suppressed: 0 };
    this.#lines.set(reason, line);
    if (nowMs - line.lastMs < lineIntervalMs) {
      line.suppressed++;
      return;
    }
    this.#tools.log.warn({ reason, detail, address, suppressed: line.suppressed }, "connection refused");
    line.lastMs = nowMs;
    line.suppressed = 0;
  }
}
