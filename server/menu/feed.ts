import type { Journal, JournalItem } from "./journal.ts";
import { KeeperError } from "./keeper-error.ts";

export interface Listener<Item extends JournalItem> {
  /** `all`: every topic that begins with it. */
  readonly topic: string;
  readonly all: boolean;
  readonly tell: (item: Item) => void;
  /** What happened since is not known here; it is told of nothing any more. */
  readonly lost: (error: KeeperError) => void;
}

interface Listening<Item extends JournalItem> extends Listener<Item> {
  /** It is told of what comes behind this. Null: of what comes from the moment on in which telling begins. */
  after: number | null;
  isOver: boolean;
}

interface FeedParts<Item extends JournalItem> {
  readonly journal: () => Journal<Item>;
  readonly listenersMax: number;
  /** Runs it in a macrotask of its own: what listeners do is no part of an apply. */
  readonly later: (run: () => void) => void;
  /** A listener has thrown. */
  readonly failed: (error: unknown) => void;
}

/** Tells listeners of this node what is applied here: each thing once, and in order. */
export class Feed<Item extends JournalItem> {
  readonly #parts: FeedParts<Item>;
  readonly #byTopic = new Map<string, Set<Listening<Item>>>();
  readonly #byPrefix = new Set<Listening<Item>>();
  #count = 0;
  /** Everything up to here was handed out. Null: this replica is not known to be up to date yet. */
  #through: number | null = null;
  #queue: (() => void)[] = [];

  constructor(parts: FeedParts<Item>) {
    this.#parts = parts;
  }

  get topics(): Iterable<string> {
    return this.#byTopic.keys();
  }

  /**
   * @param after null: what comes from now on
   * @returns ends it
   * @throws KeeperError WATCH_TOO_OLD, TOO_MANY_WATCHES
   */
  listen(listener: Listener<Item>, after: number | null): () => void {
    const { listenersMax } = this.#parts;
    if (this.#count >= listenersMax)
      throw new KeeperError(
        "TOO_MANY_WATCHES",
        `this node listens ${listenersMax} times already: end some first`,
      );
    const through = this.#through;
    const listening: Listening<Item> = { ...listener, after, isOver: false };
    if (through !== null) {
      const journal = this.#parts.journal();
      listening.after = after ?? journal.last;
      // What was not handed out to anybody yet comes with the rest.
      const topic = listening.all ? undefined : listening.topic;
      const missed = journal.after(listening.after, topic);
      if (missed === null)
        throw tooOld(listening.after, topic === undefined ? journal.from : journal.fromOf(topic));
      for (const item of missed)
        if (item.index <= through && isFor(listening, item)) this.#tell(listening, item);
    }
    this.#add(listening);
    return () => this.#end(listening);
  }

  /** What came up to `index`, before this start of the node, is no news to those who did not ask for it. */
  begin(index: number): void {
    const journal = this.#parts.journal();
    for (const listening of this.#all) {
      listening.after ??= index;
      this.#catchUp(listening, listening.after, journal);
    }
    this.#through = Math.max(index, journal.last);
  }

  get #all(): Listening<Item>[] {
    return [...this.#byPrefix, ...[...this.#byTopic.values()].flatMap((all) => [...all])];
  }

  #catchUp(listening: Listening<Item>, after: number, journal: Journal<Item>): void {
    const topic = listening.all ? undefined : listening.topic;
    const missed = journal.after(after, topic);
    if (missed === null) {
      this.#end(listening);
      const from = topic === undefined ? journal.from : journal.fromOf(topic);
      this.#enqueue(() => listening.lost(tooOld(after, from)));
    } else for (const item of missed) if (isFor(listening, item)) this.#tell(listening, item);
  }

  #add(listening: Listening<Item>): void {
    this.#count += 1;
    if (listening.all) {
      this.#byPrefix.add(listening);
      return;
    }
    const ofTopic = this.#byTopic.get(listening.topic) ?? new Set();
    this.#byTopic.set(listening.topic, ofTopic.add(listening));
  }

  #end(listening: Listening<Item>): void {
    if (listening.isOver) return;
    listening.isOver = true;
    this.#count -= 1;
    this.#byPrefix.delete(listening);
    const ofTopic = this.#byTopic.get(listening.topic);
    if (ofTopic?.delete(listening) && ofTopic.size === 0) this.#byTopic.delete(listening.topic);
  }

  /** Something may have been applied, or the state was replaced by a later one. */
  drained(): void {
    const through = this.#through;
    const journal = this.#parts.journal();
    if (through === null || journal.last <= through) return;
    const news = journal.after(through);
    if (news !== null) for (const item of news) this.#handOut(item);
    // Whoever asked for what comes later lacks nothing.
    else for (const each of this.#all) this.#catchUp(each, Math.max(each.after ?? 0, through), journal);
    this.#through = journal.last;
  }

  #handOut(item: Item): void {
    for (const listening of this.#byTopic.get(item.topic) ?? []) this.#tell(listening, item);
    for (const listening of this.#byPrefix) if (isFor(listening, item)) this.#tell(listening, item);
  }

  #tell(listening: Listening<Item>, item: Item): void {
    if (item.index <= (listening.after ?? 0)) return;
    this.#enqueue(() => {
      if (!listening.isOver) listening.tell(item);
    });
  }

  #enqueue(run: () => void): void {
    this.#queue.push(run);
    if (this.#queue.length === 1) this.#parts.later(() => this.#flush());
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const run of queue) {
      try {
        run();
      } catch (error) {
        this.#parts.failed(error);
      }
    }
  }
}

function isFor<Item extends JournalItem>({ all, topic }: Listener<Item>, item: Item): boolean {
  return all ? item.topic.startsWith(topic) : item.topic === topic;
}

function tooOld(after: number, from: number): KeeperError {
  return new KeeperError(
    "WATCH_TOO_OLD",
    `what happened behind ${after} is not all known here any more, only what happened behind ${from}: read what there is now, and go on from there`,
  );
}
