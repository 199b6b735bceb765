import type { ClassLike } from "./graph-options.ts";

/** Something that cannot be saved. `path` begins at the graph's root, as one would write it in code. */
export interface GraphProblem {
  /** `room.deck.cards[3]` */
  readonly path: string;
  /** What is there: "an instance of Foo, which is not listed". */
  readonly what: string;
  /** What its author can do: "classes: [Foo]". */
  readonly remedy: string;
  /** The class that only has to be listed. */
  readonly unlisted?: ClassLike;
}

/**
 * - `GRAPH_UNSAVABLE`: the graph holds what cannot be saved; `problems` lists it.
 * - `CHECKPOINT_TOO_BIG`: more than `checkpointBytesMax`; `biggest` lists the paths that weigh most, with all below them.
 * - `GRAPH_TOO_DEEP`: a path longer than `depthMax` steps.
 * - `GRAPH_CORRUPT`: the bytes are not what a writer wrote.
 * - `GRAPH_VERSION`: another version of this format.
 * - `GRAPH_CLASS_NAME`: two listed classes share a name, or one has none.
 * - `GRAPH_CLASS_UNKNOWN`, `GRAPH_FIELD_UNKNOWN`: saved with a class, or a schema field, that is not known here.
 * - `GRAPH_REFERENCE_UNKNOWN`: `resolve` has nothing under a saved name.
 */
export type GraphErrorCode =
  | "GRAPH_UNSAVABLE"
  | "CHECKPOINT_TOO_BIG"
  | "GRAPH_TOO_DEEP"
  | "GRAPH_CORRUPT"
  | "GRAPH_VERSION"
  | "GRAPH_CLASS_NAME"
  | "GRAPH_CLASS_UNKNOWN"
  | "GRAPH_FIELD_UNKNOWN"
  | "GRAPH_REFERENCE_UNKNOWN";

export interface GraphErrorData {
  readonly problems?: readonly GraphProblem[];
  readonly biggest?: readonly { readonly path: string; readonly bytes: number }[];
  readonly path?: string;
  readonly name?: string;
}

/** An expected failure of the graph codec, told apart by `code`. */
export class GraphError extends Error {
  readonly code: GraphErrorCode;
  readonly data: GraphErrorData;

  constructor(code: GraphErrorCode, message: string, data: GraphErrorData = {}) {
    super(message);
    this.name = "GraphError";
    this.code = code;
    this.data = data;
  }
}

export function corrupt(detail: string): GraphError {
  return new GraphError("GRAPH_CORRUPT", `the saved graph is damaged: ${detail}`);
}
