/** What became of an operation, as far as its client can tell. (One that failed for certain is in no history.) */
export type Outcome<Output> =
  /** It took effect once between its begin and its end, and gave this. */
  | { readonly type: "ok"; readonly output: Output }
  /** It took effect once between its begin and its end; what it gave was forgotten. */
  | { readonly type: "applied" }
  /** Nobody knows: it took effect once at any time after its begin, may still do so, or never will. */
  | { readonly type: "unknown" };

/** One operation on one key of an object that many use at once (Herlihy and Wing, *Linearizability*). */
export interface Operation<Input, Output> {
  readonly process: string;
  readonly key: string;
  readonly input: Input;
  readonly outcome: Outcome<Output>;
  /** Places in the order of everything that was seen. `end` is infinite if the outcome is unknown. */
  readonly begin: number;
  readonly end: number;
  /** For people; null: it never ended. */
  readonly beginMs: number;
  readonly endMs: number | null;
}

type Started<Input, Output> = Omit<Operation<Input, Output>, "outcome" | "end" | "endMs"> & {
  ended: { readonly at: number; readonly ms: number; readonly outcome: Outcome<Output> | null } | null;
};

/** What the clients of one object saw, written down as they see it. */
export class History<Input, Output> {
  readonly #started: Started<Input, Output>[] = [];
  #events = 0;

  /** @returns the operation's number, to end it by */
  begin(process: string, key: string, input: Input, nowMs: number): number {
    return (
      this.#started.push({ process, key, input, begin: this.#events++, beginMs: nowMs, ended: null }) - 1
    );
  }

  ok(operation: number, output: Output, nowMs: number): void {
    this.#end(operation, { type: "ok", output }, nowMs);
  }

  applied(operation: number, nowMs: number): void {
    this.#end(operation, { type: "applied" }, nowMs);
  }

  /** As good as saying nothing. */
  unknown(operation: number, nowMs: number): void {
    this.#end(operation, { type: "unknown" }, nowMs);
  }

  /** It certainly never took effect and never will. */
  failed(operation: number, nowMs: number): void {
    this.#end(operation, null, nowMs);
  }

  #end(number: number, outcome: Outcome<Output> | null, ms: number): void {
    const operation = this.#started[number];
    if (operation === undefined) throw new Error(`there is no operation ${number} that could end`);
    if (operation.ended !== null) throw new Error(`operation ${number} has ended before`);
    operation.ended = { at: this.#events++, ms, outcome };
  }

  /** In the order of their begins. What has not ended is unknown. */
  get operations(): readonly Operation<Input, Output>[] {
    return this.#started.flatMap(({ ended, ...operation }) => {
      if (ended !== null && ended.outcome === null) return [];
      if (ended === null || ended.outcome === null || ended.outcome.type === "unknown") {
        return { ...operation, outcome: { type: "unknown" }, end: Number.POSITIVE_INFINITY, endMs: null };
      }
      return { ...operation, outcome: ended.outcome, end: ended.at, endMs: ended.ms };
    });
  }
}

/** What an operation on one key has no part in: linearizability is local, so each key is checked on its own. */
export function partitionByKey<Input, Output>(
  operations: readonly Operation<Input, Output>[],
): ReadonlyMap<string, readonly Operation<Input, Output>[]> {
  return Map.groupBy(operations, ({ key }) => key);
}
