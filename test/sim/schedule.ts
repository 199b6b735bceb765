import { drainMicrotasks } from "../../server/session/sandbox.ts";

/** Whose event it is: a process that may be dead (nothing of it happens any more) or paused (it happens later). */
export interface Owner {
  readonly isAlive: boolean;
  readonly isPaused: boolean;
}

interface Event {
  atMs: number;
  order: number;
  readonly owner: Owner | null;
  readonly run: () => void;
  cancelled: boolean;
}

/**
 * Simulated time: events one by one, by time and then in the order in which they were made. Between two events all
 * microtasks run to the end, so that code with promises moves on without a turn of the real event loop.
 */
export class Schedule {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Event[] = [];
  readonly #held = new Map<Owner, Event[]>();
  #owner: Owner | null = null;
  /** Called behind each event, with its owner. */
  after: (owner: Owner | null) => void = () => {};

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Whose event it is that happens now, what its promises lead to included. */
  get owner(): Owner | null {
    return this.#owner;
  }

  /** @returns what cancels it */
  at(atMs: number, owner: Owner | null, run: () => void): () => void {
    const event = { atMs: Math.max(atMs, this.#nowMs), order: this.#order++, owner, run, cancelled: false };
    this.#push(event);
    return () => {
      event.cancelled = true;
    };
  }

  in(ms: number, owner: Owner | null, run: () => void): () => void {
    return this.at(this.#nowMs + ms, owner, run);
  }

  /** A paused owner goes on: what waited happens now, in its order. */
  resume(owner: Owner): void {
    const held = this.#held.get(owner) ?? [];
    this.#held.delete(owner);
    for (const event of held) {
      event.atMs = this.#nowMs;
      event.order = this.#order++;
      this.#push(event);
    }
  }

  /** One event. False: there is none left. */
  step(): boolean {
    const event = this.#pop();
    if (event === null) return false;
    this.#nowMs = event.atMs;
    const { owner } = event;
    if (event.cancelled || owner?.isAlive === false) return true;
    if (owner?.isPaused) {
      const held = this.#held.get(owner);
      if (held === undefined) this.#held.set(owner, [event]);
      else held.push(event);
      return true;
    }
    this.#owner = owner;
    try {
      event.run();
      drainMicrotasks();
    } finally {
      this.#owner = null;
    }
    this.after(owner);
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | null {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
