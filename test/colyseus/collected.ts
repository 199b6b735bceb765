/** Whether objects are really gone: asked of V8's garbage collector, after a full collection. */
import { setTimeout as wait } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as assert from "uvu/assert";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What has to go with something that ends, by what it is. */
export class Watched {
  readonly #refs = new Map<string, WeakRef<object>[]>();

  add(what: string, object: object): void {
    this.#refs.set(what, [...(this.#refs.get(what) ?? []), new WeakRef(object)]);
  }

  /** At least `times` such things have come and gone, and no more is left than belongs to the last one, which scratch space may know. */
  async isGone(times: number): Promise<void> {
    for (let turn = 0; turn < 5; turn++) {
      // What the collected held is freed in a turn of its own.
      await wait(5);
      collectGarbage();
    }
    for (const [what, refs] of this.#refs) {
      const left = refs.filter((ref) => ref.deref() !== undefined).length;
      assert.ok(
        refs.length >= times && left <= refs.length / times,
        `${what}: ${left} of ${refs.length} are left`,
      );
    }
  }
}
