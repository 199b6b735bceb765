import assert from "node:assert";
import type { Entry } from "../raft/entry.ts";
import type { Envelope } from "../raft/message.ts";
import type { GroupSave, Storage, StoreSeen } from "../storage/storage.ts";

/** One batch on its way to the disk, and what waits for it. */
export interface Gathering {
  readonly groups: Map<number, GroupSave>;
  /** Per group: the end of the last entries that it was handed. */
  readonly savedEnds: Map<number, { readonly term: number; readonly index: number }>;
  readonly messages: { readonly group: number; readonly envelopes: readonly Envelope[] }[];
  readonly done: (() => void)[];
  /** The node's, not a group's: what is remembered of other nodes' stores. */
  seen: readonly StoreSeen[] | null;
}

function emptyGathering(): Gathering {
  return { groups: new Map(), savedEnds: new Map(), messages: [], done: [], seen: null };
}

/** `later` cuts off and goes on where it begins: what saving both, one after the other, would leave. */
function mergeEntries(earlier: readonly Entry[] | undefined, later: readonly Entry[]): readonly Entry[] {
  const first = earlier?.[0];
  const from = later[0];
  if (earlier === undefined || first === undefined) return later;
  if (from === undefined) return earlier;
  if (from.index <= first.index) return later;
  assert(from.index <= first.index + earlier.length, "gathered entries are contiguous");
  return [...earlier.slice(0, from.index - first.index), ...later];
}

function mergeSave(into: GroupSave, next: GroupSave): void {
  if (next.staged !== undefined) {
    // Staging comes first in a save: what is staged behind a swap would be swapped in with it.
    assert(into.reset === undefined, "nothing is staged while a snapshot is being swapped in");
    into.staged = new Map([...(into.staged ?? []), ...next.staged]);
  }
  if (next.reset) {
    // What was gathered before belongs to the state that is being replaced; the hard state does not.
    delete into.entries;
    delete into.checkpoints;
    into.reset = true;
  }
  if (next.hardState !== undefined) into.hardState = next.hardState;
  if (next.base !== undefined) {
    assert(
      next.reset || into.base === undefined || next.base.index > into.base.index,
      "a base moves forward only",
    );
    into.base = next.base;
  }
  if (next.entries !== undefined && next.entries.length > 0)
    into.entries = mergeEntries(into.entries, next.entries);
  if (next.checkpoints !== undefined) {
    into.checkpoints = new Map([...(into.checkpoints ?? []), ...next.checkpoints]);
  }
}

interface SaverOptions {
  readonly storage: Storage;
  /** Called in the continuation of a promise: must only put an event into the pipe. */
  readonly saved: (gathering: Gathering) => void;
  readonly failed: (error: unknown) => void;
}

/** Group commit (design 4.4): at most one batch is in flight; the next one gathers meanwhile, for all groups. */
export class Saver {
  readonly #options: SaverOptions;
  #gathered: Gathering | null = null;
  #inFlight: Gathering | null = null;
  /** The disk is at work. Ends before the pipe hears of it, which a pipe that was closed never does. */
  #isSaving = false;
  #savingSinceMs: number | null = null;
  #idle: (() => void)[] = [];

  constructor(options: SaverOptions) {
    this.#options = options;
  }

  /** Something waits for its turn behind the batch in flight. */
  get isGathering(): boolean {
    return this.#gathered !== null;
  }

  get isIdle(): boolean {
    return this.#inFlight === null && this.#gathered === null;
  }

  /** When the batch in flight left for the disk; null: none is in flight. */
  get savingSinceMs(): number | null {
    return this.#savingSinceMs;
  }

  gather(group: number, save: GroupSave, done?: () => void): void {
    this.#gathered ??= emptyGathering();
    const into = this.#gathered.groups.get(group) ?? {};
    mergeSave(into, save);
    this.#gathered.groups.set(group, into);
    if (done !== undefined) this.#gathered.done.push(done);
  }

  /** The newest list is the one that counts. */
  gatherSeen(seen: readonly StoreSeen[], done: () => void): void {
    this.#gathered ??= emptyGathering();
    this.#gathered.seen = seen;
    this.#gathered.done.push(done);
  }

  /** The entries just gathered for this group end here. */
  gatherEnd(group: number, end: { readonly term: number; readonly index: number }): void {
    this.#gathered ??= emptyGathering();
    this.#gathered.savedEnds.set(group, end);
  }

  /** To be sent once everything that was gathered for this group so far is durable. False: it is, send them now. */
  holdMessages(group: number, envelopes: readonly Envelope[]): boolean {
    const holder = this.#gathered?.groups.has(group) ? this.#gathered : this.#inFlight;
    if (holder === null || !holder.groups.has(group)) return false;
    holder.messages.push({ group, envelopes });
    return true;
  }

  /** Sends the gathered batch off, unless one is in flight. */
  flush(nowMs: number): void {
    if (this.#inFlight !== null || this.#gathered === null) return;
    const batch = this.#gathered;
    this.#gathered = null;
    this.#inFlight = batch;
    this.#isSaving = true;
    this.#savingSinceMs = nowMs;
    const { groups, seen } = batch;
    this.#options.storage.save(seen === null ? { groups } : { groups, seen }).then(
      () => {
        this.#options.saved(batch);
        this.#settle();
      },
      (error: unknown) => {
        this.#settle();
        this.#options.failed(error);
      },
    );
  }

  #settle(): void {
    this.#isSaving = false;
    for (const idle of this.#idle.splice(0)) idle();
  }

  /** The pipe has come to it: the next batch may go. */
  landed(batch: Gathering): void {
    assert.equal(this.#inFlight, batch, "batches land one after the other");
    this.#inFlight = null;
    this.#savingSinceMs = null;
  }

  /** No batch is on its way to the disk (what was only gathered stays unsaved, as after a crash). */
  async settled(): Promise<void> {
    if (!this.#isSaving) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}
