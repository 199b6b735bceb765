/** A step that fell due more often than this in one tick is dropped beyond it: no spiral after an outage (design 5.1). */
export const owedStepsMax = 3;

/** A timer that fires by log time. Looks enough like Node's own for code that keeps and clears it. */
export class RoomTimer {
  /** Creation order within the room: the tie-breaker that makes the order total. */
  id: number;
  dueMs: number;
  readonly intervalMs: number | null;
  readonly callback: (...args: unknown[]) => void;
  readonly args: unknown[];
  /** Its place among the timers that were made while the room was being created; null for later ones. */
  readonly createOrdinal: number | null;
  active = true;

  constructor(
    fields: Pick<RoomTimer, "id" | "dueMs" | "intervalMs" | "callback" | "args" | "createOrdinal">,
  ) {
    this.id = fields.id;
    this.dueMs = fields.dueMs;
    this.intervalMs = fields.intervalMs;
    this.callback = fields.callback;
    this.args = fields.args;
    this.createOrdinal = fields.createOrdinal;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}

/** All timers of one room, ordered by (due time, creation): the same order on every replica. */
export class RoomTimers {
  readonly timersMax: number;
  #timers: RoomTimer[] = [];
  #nextId = 1;
  #created = 0;
  /** While the room is being created, timers get an ordinal. */
  creating = true;

  constructor(timersMax: number) {
    this.timersMax = timersMax;
  }

  get live(): readonly RoomTimer[] {
    return this.#timers;
  }

  get nextId(): number {
    return this.#nextId;
  }

  set nextId(value: number) {
    this.#nextId = value;
  }

  create(fields: {
    nowMs: number;
    callback: RoomTimer["callback"];
    delayMs: number;
    intervalMs: number | null;
    args: unknown[];
  }): RoomTimer {
    if (this.#timers.length >= this.timersMax) {
      throw Object.assign(
        new Error(`a room has at most ${this.timersMax} timers: clear those that are no longer needed`),
        {
          code: "TIMERS_TOO_MANY",
        },
      );
    }
    // A timer of 0 ms or less would fire for ever within one tick; Node's own minimum is 1 ms too.
    const clamp = (ms: number) =>
      Number.isFinite(ms) ? Math.max(1, ms) : ms === Number.POSITIVE_INFINITY ? ms : 1;
    const timer = new RoomTimer({
      id: this.#nextId++,
      dueMs: fields.nowMs + clamp(fields.delayMs),
      intervalMs: fields.intervalMs === null ? null : clamp(fields.intervalMs),
      callback: fields.callback,
      args: fields.args,
      createOrdinal: this.creating ? this.#created++ : null,
    });
    this.#timers.push(timer);
    return timer;
  }

  clear(timer: unknown): void {
    if (!(timer instanceof RoomTimer)) return;
    timer.active = false;
    const at = this.#timers.indexOf(timer);
    if (at >= 0) this.#timers.splice(at, 1);
  }

  clearAll(): void {
    for (const timer of this.#timers) timer.active = false;
    this.#timers = [];
  }

  nextDueMs(): number | null {
    let next = Number.POSITIVE_INFINITY;
    for (const timer of this.#timers) if (timer.dueMs < next) next = timer.dueMs;
    return next === Number.POSITIVE_INFINITY ? null : next;
  }

  /** Fires everything due up to `toMs` in order; `fire` runs one callback at its due time. */
  advance(toMs: number, fire: (timer: RoomTimer, dueMs: number) => void): void {
    const fired = new Map<RoomTimer, number>();
    for (;;) {
      const timer = this.#nextDue(toMs);
      if (timer === null) return;
      const dueMs = timer.dueMs;
      if (timer.intervalMs === null) {
        this.clear(timer);
      } else {
        const times = (fired.get(timer) ?? 0) + 1;
        fired.set(timer, times);
        timer.dueMs += timer.intervalMs;
        if (times >= owedStepsMax && timer.dueMs <= toMs) timer.dueMs = toMs + timer.intervalMs;
      }
      fire(timer, dueMs);
    }
  }

  #nextDue(toMs: number): RoomTimer | null {
    let next: RoomTimer | null = null;
    for (const timer of this.#timers) {
      if (timer.dueMs > toMs) continue;
      if (next === null || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.id < next.id))
        next = timer;
    }
    return next;
  }
}
