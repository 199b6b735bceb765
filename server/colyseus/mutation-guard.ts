import { SchemaSerializer } from "@colyseus/core";
import {
  $changes,
  ArraySchema,
  CollectionSchema,
  type Encoder,
  MapSchema,
  Schema,
  SetSchema,
  schema,
} from "@colyseus/schema";
import { currentWorld, type World } from "../session/sandbox.ts";
import { outsideLog, SessionError } from "../session/session-error.ts";

const owner = Symbol("the replicated room that a state belongs to");

/**
 * What a root knows of its room, and no more: as long as a view of it lives, the library itself holds the root, so a root that
 * knew its room would hold that, its clients and their views, and with them itself, for ever.
 */
interface Mark {
  readonly label: string;
}
interface Owned {
  [owner]?: Mark;
}
interface Tree {
  readonly root?: Owned;
}
type Method = (...args: unknown[]) => unknown;

const marks = new WeakMap<World, Mark>();

function markOf(world: World): Mark {
  const known = marks.get(world);
  if (known !== undefined) return known;
  const mark = { label: world.label };
  marks.set(world, mark);
  return mark;
}

/** True for the root of a replicated room's state. */
export function isOwned(root: object | undefined): boolean {
  return (root as Owned | undefined)?.[owner] !== undefined;
}

/** @throws SessionError MUTATION_OUTSIDE_LOG for the root of a state whose room is not being applied now */
export function checkOwner(root: object | undefined): void {
  const mark = (root as Owned | undefined)?.[owner];
  if (mark === undefined) return;
  const world = currentWorld();
  if (world === null || marks.get(world) !== mark) {
    if (world?.forbids !== undefined) throw outsideLog(`the state of ${mark.label} was changed`);
    throw new SessionError(
      "MUTATION_OUTSIDE_LOG",
      `the state of ${mark.label} was changed outside of its log: this change would exist on one replica only; use await room.propose("method", ...data)`,
    );
  }
}

function guardMethods(
  prototype: object,
  names: readonly string[],
  treeOf: (self: object) => Tree | undefined,
): void {
  const table = prototype as Record<string, Method | undefined>;
  for (const name of names) {
    const stock = table[name];
    if (typeof stock !== "function") continue;
    table[name] = function (this: object, ...args: unknown[]) {
      checkOwner(treeOf(this)?.root);
      return stock.apply(this, args);
    };
  }
}

let guarded = false;

/** Schema state of a replicated room may be changed inside its applies only; elsewhere the change throws, undone. */
export function guardMutations(): void {
  if (guarded) return;
  guarded = true;
  const Probe = schema({});
  const changeTree = Object.getPrototypeOf(
    (new Probe() as unknown as Record<symbol, object>)[$changes],
  ) as object;
  // Fields of schemas record their change before they take the value: throwing there leaves the old one.
  guardMethods(changeTree, ["change", "delete", "indexedOperation"], (self) => self as Tree);
  // Collections keep the value first, so they are asked at the door.
  const treeOf = (self: object) => (self as unknown as Record<symbol, Tree | undefined>)[$changes as symbol];
  const mutators = [
    "set",
    "add",
    "delete",
    "clear",
    "push",
    "pop",
    "shift",
    "unshift",
    "splice",
    "sort",
    "reverse",
    "fill",
    "copyWithin",
    "setAt",
    "deleteAt",
    "move",
    "shuffle",
  ];
  for (const collection of [MapSchema, ArraySchema, SetSchema, CollectionSchema]) {
    guardMethods(
      collection.prototype,
      mutators.filter((name) => Object.hasOwn(collection.prototype, name)),
      treeOf,
    );
  }
  guardMethods(Schema.prototype, ["assign"], treeOf);

  const serializer = SchemaSerializer.prototype as unknown as {
    reset(state: unknown): void;
    encoder: Encoder;
  };
  const stockReset = serializer.reset;
  serializer.reset = function (this: typeof serializer, state: unknown) {
    stockReset.call(this, state);
    const world = currentWorld();
    if (world !== null) (this.encoder.root as unknown as Owned)[owner] = markOf(world);
  };
}
