/** Something that has happened, at an index of the log. */
export interface JournalItem {
  readonly index: number;
  readonly logTimeMs: number;
  /** What listeners choose by. */
  readonly topic: string;
  /** What it takes up. */
  readonly bytes: number;
}

export interface JournalLimits {
  readonly itemsMax: number;
  readonly bytesMax: number;
  /** In log time; by default for ever. */
  readonly ageMsMax?: number;
}

export interface JournalState<Item extends JournalItem> {
  readonly from: number;
  readonly items: readonly Item[];
}

/** The newest things that have happened, in order: part of the replicated state, so that any node can say what came after what. */
export class Journal<Item extends JournalItem> {
  readonly #limits: JournalLimits;
  /** From `#first` on: what is before is dropped by and by. */
  #items: Item[];
  #first = 0;
  #bytes = 0;
  #from: number;

  constructor(limits: JournalLimits, { from, items }: JournalState<Item> = { from: 0, items: [] }) {
    this.#limits = limits;
    this.#from = from;
    this.#items = [...items];
    for (const { bytes } of items) this.#bytes += bytes;
  }

  get state(): JournalState<Item> {
    return { from: this.#from, items: this.#items.slice(this.#first) };
  }

  /** Everything that happened behind this index is known. */
  get from(): number {
    return this.#from;
  }

  /** Of the newest one; if there is none, as far back as is known. */
  get last(): number {
    return this.#items.at(-1)?.index ?? this.#from;
  }

  push(item: Item): void {
    this.#items.push(item);
    this.#bytes += item.bytes;
  }

  /** Once a command, behind what it made happen: what happened at one index is known as a whole, or not at all. */
  trim(logTimeMs: number): void {
    const { itemsMax, bytesMax, ageMsMax = Number.POSITIVE_INFINITY } = this.#limits;
    for (;;) {
      const oldest = this.#items[this.#first];
      if (oldest === undefined) break;
      const isOver = this.#items.length - this.#first > itemsMax || this.#bytes > bytesMax;
      if (!isOver && oldest.index > this.#from && logTimeMs - oldest.logTimeMs <= ageMsMax) break;
      this.#from = oldest.index;
      this.#bytes -= oldest.bytes;
      this.#first += 1;
    }
    if (this.#first < this.#items.length / 2) return;
    this.#items = this.#items.slice(this.#first);
    this.#first = 0;
  }

  /** What happened behind `index`; null: not all of it is known any more. */
  after(index: number): readonly Item[] | null {
    if (index < this.#from) return null;
    let at = this.#items.length;
    while (at > this.#first && (this.#items[at - 1] as Item).index > index) at -= 1;
    return this.#items.slice(at);
  }
}
