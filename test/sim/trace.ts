const tailLinesMax = 400;

/** What happened, line by line: a hash over all of it, and its last lines to be read after a failure. */
export class Trace {
  readonly #tail: string[] = [];
  readonly #print: ((line: string) => void) | null;
  readonly #now: () => number;
  #high = 0x811c9dc5;
  #low = 0x1234567;
  #lines = 0;

  constructor(now: () => number, print: ((line: string) => void) | null) {
    this.#now = now;
    this.#print = print;
  }

  note(text: string): void {
    const line = `${this.#now().toFixed(2)} ${text}`;
    this.#lines++;
    for (let at = 0; at < line.length; at++) {
      this.#high = Math.imul(this.#high ^ line.charCodeAt(at), 0x01000193);
      this.#low = Math.imul(this.#low ^ this.#high, 0x85ebca6b) + at;
    }
    this.#tail.push(line);
    if (this.#tail.length > tailLinesMax * 2) this.#tail.splice(0, tailLinesMax);
    this.#print?.(line);
  }

  get lines(): number {
    return this.#lines;
  }

  /** 16 hex digits: equal for equal runs. */
  get hash(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#high) + hex(this.#low);
  }

  tail(lines: number): readonly string[] {
    return this.#tail.slice(-lines);
  }
}
