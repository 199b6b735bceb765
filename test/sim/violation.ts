/** A rule of `test/rules.md` is broken. */
export class Violation extends Error {
  /** An SVG of what cannot be. */
  readonly picture: string | null;

  constructor(rule: string, what: string, picture: string | null = null) {
    super(`[${rule}] ${what}`);
    this.name = "Violation";
    this.picture = picture;
  }
}

export function hold(condition: boolean, rule: string, what: () => string): asserts condition {
  if (!condition) throw new Violation(rule, what());
}
