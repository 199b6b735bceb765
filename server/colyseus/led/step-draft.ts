import type { Asker, FullState, LedAnswer, SeatEpoch, Step } from "./led-step.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** What comes of a live room's code until the next step is cut. */
export class StepDraft {
  readonly #step: Omit<Mutable<Step>, "frames" | "elapsedMs" | "nextRefId"> = {
    ...{ done: [], answers: [], connections: [], full: null, synced: [], leaves: [], kept: [], gone: [] },
    ...{ people: [], flags: null, cached: null, end: null },
  };
  readonly #frames: { bytes: Uint8Array; to: number[] | null }[] = [];
  readonly #places = new Map<string, number>();
  /** What was said last, as it came. */
  #source: Uint8Array | null = null;

  done(number: number, answer?: Omit<LedAnswer, "input">): void {
    this.#step.done.push(number);
    if (answer !== undefined) this.#step.answers.push({ input: number, ...answer });
  }

  patch(bytes: Uint8Array): void {
    this.#source = null;
    this.#frames.push({ bytes, to: null });
  }

  /** A broadcast hands the same bytes to one client after the other. */
  frame({ sessionId, epoch, isWrapper }: Asker, source: Uint8Array): void {
    const key = `${epoch} ${sessionId}`;
    let place = this.#places.get(key);
    if (place === undefined) {
      place = this.#step.connections.push({ sessionId, epoch, isWrapper }) - 1;
      this.#places.set(key, place);
    }
    const last = this.#frames.at(-1);
    if (source === this.#source && last?.to && Buffer.compare(last.bytes, source) === 0) last.to.push(place);
    else this.#frames.push({ bytes: Uint8Array.from(source), to: [place] });
    this.#source = source;
  }

  synced(seat: SeatEpoch): void {
    this.#step.synced.push(seat);
  }

  left(left: Step["leaves"][number]): void {
    this.#step.leaves.push(left);
  }

  kept(sessionId: string, ms: number | null): void {
    this.#step.kept.push({ sessionId, ms });
  }

  gone(seat: SeatEpoch): void {
    this.#step.gone.push(seat);
  }

  person(person: Step["people"][number]): void {
    this.#step.people.push(person);
  }

  flags(flags: Step["flags"]): void {
    this.#step.flags = flags;
  }

  cached(value: unknown): void {
    this.#step.cached = { value };
  }

  full(full: FullState): void {
    this.#step.full = full;
  }

  end(failure: string | null): void {
    this.#step.end ??= { failure };
  }

  get hasEnd(): boolean {
    return this.#step.end !== null;
  }

  /** Somebody waits for the state. */
  get needsFull(): boolean {
    return this.#step.synced.length > 0;
  }

  /** Null: nothing has come of it. */
  whole(stamp: Pick<Step, "elapsedMs" | "nextRefId">): Step | null {
    const { connections: _, ...rest } = this.#step;
    const isEmpty = Object.values(rest).every((each) => each === null || (each as unknown[]).length === 0);
    return isEmpty && this.#frames.length === 0 ? null : { ...this.#step, ...stamp, frames: this.#frames };
  }
}
