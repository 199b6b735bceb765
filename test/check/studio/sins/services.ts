import { EventEmitter } from "node:events";

/** A database client as a studio has it: one for the process, whose answers come from outside. */
export class Bank {
  static readonly instance = new Bank();
  readonly #gold = new Map<string, number>();
  readonly #asked: (() => void)[] = [];
  readonly #poll = setInterval(() => {
    for (const answer of this.#asked.splice(0)) answer();
  }, 2).unref();

  deposit(player: string, by: number): Promise<number> {
    const gold = (this.#gold.get(player) ?? 0) + by;
    this.#gold.set(player, gold);
    return new Promise((resolve) => this.#asked.push(() => resolve(gold)));
  }

  close(): void {
    clearInterval(this.#poll);
  }
}

export const lobbyBus = new EventEmitter();

/** As of a library of helpers. */
export function shuffled<T>(list: readonly T[]): T[] {
  const copy = [...list];
  for (let at = copy.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [copy[at], copy[other]] = [copy[other] as T, copy[at] as T];
  }
  return copy;
}
