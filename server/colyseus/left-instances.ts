import type { ChangeTree, Root } from "@colyseus/schema";

const prunedPastMin = 1_024;

/**
 * Instances that a state has let go of, and that room code may still hold. A view that is given up, whenever the garbage
 * collector finds it, leaves its bit to another one: the library takes it from what is in the state, and this from the
 * rest, or the next view would see what that one saw, on one node and not on another.
 */
export class LeftInstances {
  #trees = new Set<WeakRef<ChangeTree>>();
  #prunedPast = prunedPastMin;

  add(tree: ChangeTree): void {
    this.#trees.add(new WeakRef(tree));
    if (this.#trees.size > this.#prunedPast) this.#prune();
  }

  forget(viewId: number): void {
    const [slot, mask] = [viewId >> 5, ~(1 << (viewId & 31))];
    const clear = (bitmap: number[] | undefined) => {
      if (bitmap !== undefined && slot < bitmap.length) bitmap[slot] = (bitmap[slot] as number) & mask;
    };
    for (const held of this.#trees) {
      const tree = held.deref();
      if (tree === undefined) continue;
      clear(tree.visibleViews);
      clear(tree.subscribedViews);
      for (const bitmap of tree.tagViews?.values() ?? []) clear(bitmap);
    }
  }

  get size(): number {
    return this.#trees.size;
  }

  #prune(): void {
    const left = new Set<ChangeTree>();
    for (const held of this.#trees) {
      const tree = held.deref();
      if (tree !== undefined && tree.root === undefined) left.add(tree);
    }
    this.#trees = new Set([...left].map((tree) => new WeakRef(tree)));
    this.#prunedPast = Math.max(prunedPastMin, 2 * left.size);
  }
}

const leftOf = new WeakMap<Root, LeftInstances>();

export function leftInstances(root: Root): LeftInstances | undefined {
  return leftOf.get(root);
}

/** Follows what leaves the state of this root from now on. */
export function followLeft(root: Root): void {
  const left = new LeftInstances();
  leftOf.set(root, left);
  const remove = root.remove.bind(root);
  root.remove = (tree) => {
    const references = remove(tree);
    if (tree.root === undefined) left.add(tree);
    return references;
  };
  const releaseViewId = root.releaseViewId.bind(root);
  root.releaseViewId = (id) => {
    left.forget(id);
    releaseViewId(id);
  };
}
