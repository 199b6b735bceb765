/**
 * Answers to callers, held back to the end of a turn: a settled promise runs its caller's code in a microtask, and a
 * machine may drain microtasks between two commands, where no code from outside belongs.
 */
export class Settlements {
  #waiting: (() => void)[] = [];

  add(settle: () => void): void {
    this.#waiting.push(settle);
  }

  flush(): void {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      for (const settle of batch) settle();
    }
  }
}
