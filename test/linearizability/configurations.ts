/** One way in which everything so far may have happened. Operations are told apart by their bits. */
export interface Configuration<State> {
  readonly state: State;
  /** Those that are under way and have taken effect already. */
  readonly ahead: bigint;
  /** Those of unknown outcome that have taken effect. */
  readonly spent: bigint;
}

/**
 * Configurations that do not make each other superfluous. With the same state and the same operations ahead, who has
 * spent fewer of the unknown ones can do all that the other can: without that, n unknown writes make 2^n ways.
 */
export class Configurations<State> {
  readonly #keyOf: (state: State) => string;
  readonly #byKey = new Map<string, Configuration<State>[]>();

  constructor(keyOf: (state: State) => string) {
    this.#keyOf = keyOf;
  }

  /** False: another one can do all that it can. */
  add(configuration: Configuration<State>): boolean {
    const { state, ahead, spent } = configuration;
    const key = `${ahead} ${this.#keyOf(state)}`;
    const known = this.#byKey.get(key);
    if (known === undefined) {
      this.#byKey.set(key, [configuration]);
      return true;
    }
    if (known.some((one) => (one.spent & spent) === one.spent)) return false;
    const kept = known.filter((one) => (one.spent & spent) !== spent);
    kept.push(configuration);
    this.#byKey.set(key, kept);
    return true;
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  get all(): readonly Configuration<State>[] {
    return [...this.#byKey.values()].flat();
  }

  /** Each once. */
  get states(): readonly State[] {
    return [...new Map(this.all.map(({ state }) => [this.#keyOf(state), state])).values()];
  }
}
