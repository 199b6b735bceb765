/** A rule of `test/rules-sim.md` is broken. */
export class Violation extends Error {
  constructor(rule: string, what: string) {
    super(`[${rule}] ${what}`);
    this.name = "Violation";
  }
}

export function hold(condition: boolean, rule: string, what: () => string): asserts condition {
  if (!condition) throw new Violation(rule, what());
}
