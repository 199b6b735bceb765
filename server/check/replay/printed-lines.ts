type Write = typeof process.stdout.write;

const linesMax = 1_000;
const lettersMax = 2_000;

/** What is printed while a room is replayed: kept, so that it stands with the entry that made the room print it. */
export class PrintedLines {
  #lines: string[] = [];
  #left = 0;
  #before: { readonly out: Write; readonly err: Write } | null = null;

  begin(): void {
    this.#before = { out: process.stdout.write, err: process.stderr.write };
    const write = (bytes: unknown): boolean => {
      this.#add(typeof bytes === "string" ? bytes : Buffer.from(bytes as Uint8Array).toString("utf8"));
      return true;
    };
    process.stdout.write = write as Write;
    process.stderr.write = write as Write;
  }

  end(): void {
    if (this.#before === null) return;
    process.stdout.write = this.#before.out;
    process.stderr.write = this.#before.err;
    this.#before = null;
  }

  take(): string[] {
    const lines = this.#left === 0 ? this.#lines : [...this.#lines, `… and ${this.#left} more lines`];
    this.#lines = [];
    this.#left = 0;
    return lines;
  }

  #add(text: string): void {
    for (const line of text.replace(/\n$/, "").split("\n")) {
      if (this.#lines.length < linesMax) this.#lines.push(line.slice(0, lettersMax));
      else this.#left += 1;
    }
  }
}
