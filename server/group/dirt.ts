/** Since when a part has changed: since its last save, and since its last *durable* save. */
export class Dirt {
  #sinceDurable: number | null = null;
  #sinceSave: number | null = null;
  #savedAt: number | null = null;

  touch(index: number): void {
    this.#sinceDurable ??= index;
    this.#sinceSave ??= index;
  }

  /** The index of the first command since the last durable checkpoint, or null: clean. */
  get firstIndex(): number | null {
    return this.#sinceDurable;
  }

  saving(index: number): void {
    this.#savedAt = index;
    this.#sinceSave = null;
  }

  /**
   * What `saving(index)` gave is durable; an older one's news changes nothing. A part that is gone is saved as of the
   * group's last entry, which may be past the machine's last command.
   */
  saved(index: number): void {
    if (this.#savedAt === null || index < this.#savedAt) return;
    this.#sinceDurable = this.#sinceSave;
    this.#savedAt = null;
  }
}

/** The dirt of all parts of a group, by key. */
export class PartsDirt {
  readonly #parts = new Map<string, Dirt>();

  touch(key: string, index: number): void {
    let dirt = this.#parts.get(key);
    if (dirt === undefined) {
      dirt = new Dirt();
      this.#parts.set(key, dirt);
    }
    dirt.touch(index);
  }

  *dirty(): Iterable<{ key: string; firstIndex: number }> {
    for (const [key, dirt] of this.#parts)
      if (dirt.firstIndex !== null) yield { key, firstIndex: dirt.firstIndex };
  }

  /** The first command since what is durable; null: the part is clean. */
  firstIndex(key: string): number | null {
    return this.#parts.get(key)?.firstIndex ?? null;
  }

  saving(key: string, index: number): void {
    this.#parts.get(key)?.saving(index);
  }

  saved(key: string, index: number): void {
    this.#parts.get(key)?.saved(index);
  }

  delete(key: string): void {
    this.#parts.delete(key);
  }

  clear(): void {
    this.#parts.clear();
  }
}
