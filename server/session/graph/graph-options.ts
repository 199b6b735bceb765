import assert from "node:assert";
import type { Root } from "@colyseus/schema";

/** A class, as far as the graph looks at it. */
export interface ClassLike {
  readonly name: string;
  readonly prototype: object;
}

export interface GraphLimits {
  /** Bytes of one saved graph; 4 MiB. */
  readonly checkpointBytesMax: number;
  /** Steps from the root to any object, by the shortest way; 1,000. */
  readonly depthMax: number;
  /** Problems that `checkGraph` lists before it stops looking; 100. */
  readonly problemsMax: number;
}

export const graphLimitDefaults: GraphLimits = Object.freeze({
  checkpointBytesMax: 4 * 1024 * 1024,
  depthMax: 1_000,
  problemsMax: 100,
});

/** By schema instance: fields that its class does not have in this code. */
export type LeftOut = Map<object, Record<string, unknown>>;

export interface GraphOptions {
  /**
   * Classes whose instances are saved: own properties, under the class's name. They may extend Array, Map, Set and the
   * standard errors. A Schema class here brings all schema classes that it can hold.
   */
  readonly classes: readonly ClassLike[];
  /** The class of the room's state: all schema classes that it can hold are known. Empty for a room without state. */
  readonly stateClasses: readonly ClassLike[];
  /** The root of the state's Encoder: what StateViews see of that state is saved. By default there are no views. */
  readonly schemaRoot?: Root | undefined;
  /** Objects and functions that are named instead of saved. */
  readonly references: ReadonlyMap<object, string>;
  /** The inverse of `references`, where the graph is restored; undefined if there is nothing under that name. */
  readonly resolve: (name: string) => object | undefined;
  /** What paths begin with; "room". */
  readonly rootName?: string;
  /** Another version of the code has saved the graph: a schema class may have other fields by now. */
  readonly otherCode?: boolean;
  /** Takes the fields of such instances that their class does not have here; without it they are refused. */
  readonly leftOut?: LeftOut;
  readonly limits?: Partial<GraphLimits>;
}

export function graphLimits(options: GraphOptions): GraphLimits {
  const limits = { ...graphLimitDefaults, ...options.limits };
  for (const [name, value] of Object.entries(limits)) {
    assert(
      Number.isSafeInteger(value) && value >= 1,
      `limits.${name} is ${value}, but must be a whole number ≥ 1`,
    );
  }
  return limits;
}
