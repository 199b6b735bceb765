/** Values in the order of `compare`, each once. Found in logarithmic time; put in and taken out by moving what follows. */
export class SortedList<T> {
  readonly #compare: (one: T, other: T) => number;
  readonly #values: T[];

  /** @param sorted in order already */
  constructor(compare: (one: T, other: T) => number, sorted: readonly T[] = []) {
    this.#compare = compare;
    this.#values = [...sorted];
  }

  get size(): number {
    return this.#values.length;
  }

  get first(): T | undefined {
    return this.#values[0];
  }

  /** What was equal to it is replaced. */
  add(value: T): void {
    const at = this.#placeOf(value);
    const isThere = at < this.#values.length && this.#compare(this.#values[at] as T, value) === 0;
    this.#values.splice(at, isThere ? 1 : 0, value);
  }

  delete(value: T): void {
    const at = this.#placeOf(value);
    if (at < this.#values.length && this.#compare(this.#values[at] as T, value) === 0)
      this.#values.splice(at, 1);
  }

  /** From the first one that is not before `value` on. */
  *from(value: T): Iterable<T> {
    for (let at = this.#placeOf(value); at < this.#values.length; at++) yield this.#values[at] as T;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#values[Symbol.iterator]();
  }

  #placeOf(value: T): number {
    let [low, high] = [0, this.#values.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#values[middle] as T, value) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
