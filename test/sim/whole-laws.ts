import type { GroupStatus } from "../../server/group/group-status.ts";
import { hold } from "./violation.ts";

/** Nobody is served by a replica whose parts stand at different moments (design 5.5). */
export class WholeLaws {
  /** By "node group": the latest of the checkpoints that it was brought back from. */
  readonly #wholeFrom = new Map<string, number>();

  restoring(node: string, group: number): void {
    this.#wholeFrom.set(`${node} ${group}`, 0);
  }

  restored(node: string, group: number, index: number): void {
    const key = `${node} ${group}`;
    this.#wholeFrom.set(key, Math.max(this.#wholeFrom.get(key) ?? 0, index));
  }

  served(node: string, { id: group, appliedIndex, isRestoring }: GroupStatus): void {
    const wholeFrom = this.#wholeFrom.get(`${node} ${group}`) ?? 0;
    hold(
      !isRestoring && appliedIndex >= wholeFrom,
      "X38",
      () => `${node} serves group ${group} at ${appliedIndex}, with a part of ${wholeFrom}`,
    );
  }
}
