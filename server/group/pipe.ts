import assert from "node:assert";

interface PipeOptions<Event> {
  /** Runs a function in a new macrotask. */
  readonly defer: (run: () => void) => void;
  readonly handle: (event: Event) => void;
  /** After the events of a drain: carry out what they asked for. True: there is more to do, in another turn. */
  readonly finish: () => boolean;
  readonly fail: (error: unknown) => void;
  readonly drainEventsMax: number;
}

/**
 * The one queue through which everything enters that can change replicated state (design 4.1). Events are handled one at
 * a time, in order, in macrotasks of the pipe's own: never inside the caller's stack, and so never inside the
 * continuation of a promise. Its length is bounded by its sources, each of which has a limit of its own.
 */
export class Pipe<Event> {
  readonly #options: PipeOptions<Event>;
  #queue: Event[] = [];
  #scheduled = false;
  #draining = false;
  #state: "held" | "open" | "closed" = "held";

  constructor(options: PipeOptions<Event>) {
    this.#options = options;
  }

  /** Events wait from the first moment, but none is handled before this. */
  open(): void {
    assert(this.#state === "held", "a pipe is opened once");
    this.#state = "open";
    this.wake();
  }

  close(): void {
    this.#state = "closed";
    this.#queue = [];
  }

  push(event: Event): void {
    if (this.#state === "closed") return;
    this.#queue.push(event);
    this.wake();
  }

  /** A turn is wanted, with or without events. */
  wake(): void {
    if (this.#scheduled || this.#state !== "open") return;
    this.#scheduled = true;
    this.#options.defer(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#state !== "open") return;
    assert(!this.#draining, "a drain is never entered twice");
    this.#draining = true;
    try {
      this.#drain();
    } catch (error) {
      this.close();
      this.#options.fail(error);
    } finally {
      this.#draining = false;
    }
  }

  #drain(): void {
    const { handle, finish, drainEventsMax } = this.#options;
    const events = this.#queue;
    this.#queue = [];
    const count = Math.min(events.length, drainEventsMax);
    for (let position = 0; position < count; position++) handle(events[position] as Event);
    // What came in meanwhile stands behind what was left over.
    if (count < events.length) this.#queue = events.slice(count).concat(this.#queue);
    const more = finish();
    if (more || this.#queue.length > 0) this.wake();
  }
}
