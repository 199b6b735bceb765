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
  /** Of the names of topics of which it is remembered up to where they were dropped. */
  readonly droppedBytesMax: number;
  /** In log time; by default for ever. */
  readonly ageMsMax?: number;
}

export interface JournalState<Item extends JournalItem> {
  readonly from: number;
  readonly items: readonly Item[];
  /** Of topics, the newest ones last: the index of the last thing that is not known any more. */
  readonly dropped: readonly (readonly [topic: string, index: number])[];
  /** The same, of every topic that is not among these. */
  readonly floor: number;
}

/** What remembering that of a topic takes up besides its name. */
const droppedBytes = 16;

/** The newest things that have happened, in order: part of the replicated state, so that any node can say what came after what. */
export class Journal<Item extends JournalItem> {
  readonly #limits: JournalLimits;
  /** From `#first` on: what is before is dropped by and by. */
  #items: Item[];
  #first = 0;
  #bytes = 0;
  #from: number;
  readonly #dropped: Map<string, number>;
  #droppedBytes = 0;
  #floor: number;

  constructor(
    limits: JournalLimits,
    state: JournalState<Item> = { from: 0, items: [], dropped: [], floor: 0 },
  ) {
    this.#limits = limits;
    this.#from = state.from;
    this.#items = [...state.items];
    for (const { bytes } of state.items) this.#bytes += bytes;
    this.#dropped = new Map(state.dropped);
    for (const [topic] of state.dropped) this.#droppedBytes += Buffer.byteLength(topic) + droppedBytes;
    this.#floor = state.floor;
  }

  get state(): JournalState<Item> {
    const items = this.#items.slice(this.#first);
    return { from: this.#from, items, dropped: [...this.#dropped], floor: this.#floor };
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
      this.#drop(oldest);
      this.#first += 1;
    }
    if (this.#first < this.#items.length / 2) return;
    this.#items = this.#items.slice(this.#first);
    this.#first = 0;
  }

  #drop({ topic, index }: Item): void {
    if (!this.#dropped.delete(topic)) this.#droppedBytes += Buffer.byteLength(topic) + droppedBytes;
    this.#dropped.set(topic, index);
    for (const [oldest, at] of this.#dropped) {
      if (this.#droppedBytes <= this.#limits.droppedBytesMax) break;
      this.#dropped.delete(oldest);
      this.#droppedBytes -= Buffer.byteLength(oldest) + droppedBytes;
      this.#floor = Math.max(this.#floor, at);
    }
  }

  /** Everything of the topic that happened behind this index is known. */
  fromOf(topic: string): number {
    return this.#dropped.get(topic) ?? this.#floor;
  }

  /**
   * What happened behind `index`, of all topics; null: not all of it is known any more.
   * @param topic it is only asked whether all of this one is known
   */
  after(index: number, topic?: string): readonly Item[] | null {
    if (index < (topic === undefined ? this.#from : this.fromOf(topic))) return null;
    let at = this.#items.length;
    while (at > this.#first && (this.#items[at - 1] as Item).index > index) at -= 1;
    return this.#items.slice(at);
  }
}
