import { Protocol } from "@colyseus/core";
import {
  $changes,
  $numFields,
  $refId,
  $values,
  type ChangeTree,
  type Encoder,
  encode,
  type Metadata,
  OPERATION,
  type StateView,
} from "@colyseus/schema";
import { defaultTag } from "./state-views.ts";

/** The library's own: what follows is of another instance. */
const switchToStructure = 255;

function isSeen(view: StateView | undefined, tree: ChangeTree, tag: number | undefined): boolean {
  if (tag === undefined) return true;
  if (view?.isChangeTreeVisible(tree) !== true) return false;
  return tag === defaultTag || view.hasTagOnTree(tree, tag);
}

/** What a full state has, by the way that the library goes: the instances that a client knows by then. */
function reach(tree: ChangeTree, view: StateView | undefined, reached: Set<ChangeTree>): void {
  if (reached.has(tree) || (tree.isFiltered && view?.isChangeTreeVisible(tree) !== true)) return;
  reached.add(tree);
  const { filter, isSchema, tags } = tree.encDescriptor;
  tree.forEachChild((child, at) => {
    // A map's filter goes by numbers of its own; those of its values that are not seen are left out above.
    const isSent = isSchema
      ? isSeen(view, tree, tags[at as number])
      : !tree.isArray || filter?.(tree.ref, at as number, view) !== false;
    if (isSent) reach(child, view, reached);
  });
}

function emptyFields(tree: ChangeTree, view: StateView | undefined): number[] {
  const values = (tree.ref as { [$values]?: unknown[] })[$values];
  const metadata = (tree.ref.constructor as { [Symbol.metadata]?: Metadata })[Symbol.metadata];
  if (values === undefined || metadata === undefined) return [];
  const empty: number[] = [];
  for (let index = 0; index <= (metadata[$numFields] as number); index++) {
    const isEmpty = values[index] === undefined || values[index] === null;
    if (isEmpty && metadata[index] !== undefined && isSeen(view, tree, tree.encDescriptor.tags[index]))
      empty.push(index);
  }
  return empty;
}

/**
 * A patch for who comes back: fields that are empty now may have been full when it left, and a full state has only what is
 * there. (The SDK takes back what is not in it of collections, and not of fields.) Null: there are none.
 */
export function emptiedFields(encoder: Encoder, view: StateView | undefined): Uint8Array | null {
  const reached = new Set<ChangeTree>();
  reach((encoder.state as unknown as Record<symbol, ChangeTree>)[$changes] as ChangeTree, view, reached);
  const bytes: number[] = [Protocol.ROOM_STATE_PATCH];
  for (const tree of reached) {
    const empty = emptyFields(tree, view);
    if (empty.length === 0) continue;
    const it = { offset: bytes.length + 1 };
    bytes.push(switchToStructure);
    encode.number(bytes as never, (tree.ref as { [$refId]: number })[$refId], it);
    bytes.push(...empty.map((index) => OPERATION.DELETE | index));
  }
  return bytes.length === 1 ? null : Uint8Array.from(bytes);
}
