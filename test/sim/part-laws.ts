import type { DiskShadow } from "./disk-shadow.ts";
import { hold } from "./violation.ts";

/** What the log forgets is in checkpoints: looked at part by part, with each base that goes to a disk (design 5.2). */
export class PartLaws {
  /** By group, then by part: the indexes of the commands that changed it, in their order. */
  readonly #changes = new Map<number, { lastIndex: number; readonly parts: Map<string, number[]> }>();

  /** Whoever applies a command first says which part it changed. */
  changed(group: number, index: number, part: string): void {
    const known = this.#changes.get(group) ?? { lastIndex: 0, parts: new Map<string, number[]>() };
    this.#changes.set(group, known);
    if (index <= known.lastIndex) return;
    known.lastIndex = index;
    const indexes = known.parts.get(part);
    if (indexes === undefined) known.parts.set(part, [index]);
    else indexes.push(index);
  }

  /** `disk`: as it will be, with this base. */
  cut(node: string, group: number, disk: DiskShadow): void {
    for (const [part, indexes] of this.#changes.get(group)?.parts ?? []) {
      const needed = indexes.findLast((index) => index <= disk.baseIndex) ?? 0;
      const has = disk.checkpoints.get(part)?.index ?? 0;
      hold(
        has >= needed,
        "X34",
        () =>
          `${node} forgets the log of group ${group} up to ${disk.baseIndex}, where "${part}" changed at ${needed}; its checkpoint on the disk is of ${has}`,
      );
    }
  }
}
