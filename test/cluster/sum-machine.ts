import type { AppliedCommand, ApplyResult, Machine } from "../../server/group/machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";

/** The smallest machine there is: adds up the first byte of every command. */
export class SumMachine implements Machine {
  #sum = 0;
  #index = 0;
  #savedIndex = 0;
  #firstIndex: number | null = null;

  beginRestore(): void {
    this.#index = this.#savedIndex = this.#sum = 0;
    this.#firstIndex = null;
  }

  restorePart(_key: string, { index, bytes }: Checkpoint): void {
    this.#index = this.#savedIndex = index;
    this.#sum = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  }

  endRestore(): void {}

  apply({ index, command }: AppliedCommand): ApplyResult {
    if (index > this.#index) {
      this.#sum += command[0] ?? 0;
      this.#index = index;
      this.#firstIndex ??= index;
    }
    return { type: "done", value: this.#sum };
  }

  *dirty() {
    if (this.#firstIndex !== null) yield { key: "", firstIndex: this.#firstIndex };
  }

  save(): Checkpoint {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, this.#sum);
    return { index: this.#index, bytes };
  }

  saved(_key: string, index: number): void {
    this.#savedIndex = index;
    this.#firstIndex = this.#index > this.#savedIndex ? index + 1 : null;
  }

  nextTickMs(): null {
    return null;
  }

  tickCommand(): Uint8Array {
    return new Uint8Array([0]);
  }

  drained(): void {}
}
