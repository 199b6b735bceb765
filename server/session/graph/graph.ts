import assert from "node:assert";
import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Schema } from "@colyseus/schema";
import { BytesExceeded } from "./byte-writer.ts";
import { type BuiltGraph, buildFields, buildGraph } from "./graph-builder.ts";
import { GraphError, type GraphProblem } from "./graph-error.ts";
import { type GraphOptions, graphLimits } from "./graph-options.ts";
import { graphPart, readGraph, type SavedGraph } from "./graph-reader.ts";
import { GraphWriter, Unsavable } from "./graph-writer.ts";
import { prepareSchema, type RestoredSchema, type SchemaCapture } from "./schema-restore.ts";

export type GraphRoot = Record<string, unknown>;

/** 16 hex digits. */
const hashDigits = 16;
const biggestShown = 5;
const problemsInMessage = 5;

/**
 * Everything that can be reached from `root`, as bytes: types, order, identity and cycles kept (design 5.5). The same
 * graph always gives the same bytes, but for the wire indexes of its MapSchemas, which `hashGraph` passes over. Not kept: an
 * error's stack, pending patches.
 * @throws GRAPH_UNSAVABLE with all problems, CHECKPOINT_TOO_BIG with what weighs most, GRAPH_TOO_DEEP, GRAPH_CLASS_NAME
 */
export function encodeGraph(root: GraphRoot, options: GraphOptions): Uint8Array<ArrayBuffer> {
  return written(root, options, (writer) => {
    const graphBytes = writer.out.length;
    writer.writeSlots();
    writer.out.uint32(writer.out.length - graphBytes);
    writer.out.uint32(crc32(writer.out.peek()));
    return writer.out.peek().slice();
  });
}

/**
 * 16 hex digits: equal for equal graphs, and as unlike as SHA-1 makes them for others.
 * @throws as encodeGraph
 */
export function hashGraph(root: GraphRoot, options: GraphOptions): string {
  return written(root, options, ({ out }) => hashOf(out.peek()));
}

/**
 * The hash of a graph, from its saved bytes: `hashSaved(encodeGraph(g, o)) === hashGraph(g, o)`.
 * @throws GRAPH_CORRUPT
 */
export function hashSaved(bytes: Uint8Array): string {
  return hashOf(graphPart(bytes));
}

function hashOf(graph: Uint8Array): string {
  return hash("sha1", graph, "hex").slice(0, hashDigits);
}

/**
 * Everything in the graph that cannot be saved, up to `problemsMax`; empty if all can. Its size is not looked at.
 * @throws GRAPH_TOO_DEEP, GRAPH_CLASS_NAME
 */
export function checkGraph(root: GraphRoot, options: GraphOptions): GraphProblem[] {
  const writer = new GraphWriter(options, "check");
  try {
    writer.write(root);
  } finally {
    writer.out.release();
  }
  return writer.problems;
}

const builtGraphs = new WeakMap<GraphRoot, BuiltGraph>();

/**
 * New objects, equal to those that were saved; what was named is what `resolve` gives. Schema instances come with their
 * refIds, attached to nothing: see `restoreSchema`.
 * @throws GRAPH_CORRUPT, GRAPH_VERSION, GRAPH_CLASS_UNKNOWN, GRAPH_FIELD_UNKNOWN, GRAPH_REFERENCE_UNKNOWN
 */
export function decodeGraph(bytes: Uint8Array, options: GraphOptions): GraphRoot {
  return openGraph(bytes).make(options);
}

/** A saved graph that was read, of which nothing was made yet. */
class OpenGraph {
  readonly #saved: SavedGraph;

  constructor(saved: SavedGraph) {
    this.#saved = saved;
  }

  /**
   * As decodeGraph; new objects each time.
   * @throws GRAPH_CORRUPT, GRAPH_CLASS_UNKNOWN, GRAPH_FIELD_UNKNOWN, GRAPH_REFERENCE_UNKNOWN
   */
  make(options: GraphOptions): GraphRoot {
    const built = buildGraph(this.#saved, options);
    builtGraphs.set(built.root, built);
    return built.root;
  }

  /**
   * The root with these of its fields only: for what must be known before the rest can be made.
   * @throws as make
   */
  makeFields(names: readonly string[], options: GraphOptions): GraphRoot {
    return buildFields(this.#saved, options, new Set(names));
  }
}

/** @throws GRAPH_CORRUPT, GRAPH_VERSION */
export function openGraph(bytes: Uint8Array): OpenGraph {
  return new OpenGraph(readGraph(bytes));
}

/**
 * To be called with what `decodeGraph` or `make` gave, the room's state in it, and what `captureSchema` gave when it was saved;
 * then the state is given to a new Encoder (`room.state = state`), then that to `afterAttach`.
 */
export function restoreSchema(root: GraphRoot, state: Schema, capture: SchemaCapture): RestoredSchema {
  const built = builtGraphs.get(root);
  assert(built !== undefined, "restoreSchema takes a root that decodeGraph made");
  return prepareSchema(built, state, capture);
}

function written<T>(root: GraphRoot, options: GraphOptions, use: (writer: GraphWriter) => T): T {
  const writer = new GraphWriter(options, "write");
  try {
    writer.write(root);
    return use(writer);
  } catch (error) {
    if (error instanceof Unsavable) throw unsavable(checkGraph(root, options));
    if (error instanceof BytesExceeded) throw tooBig(root, options);
    throw error;
  } finally {
    writer.out.release();
  }
}

function unsavable(problems: readonly GraphProblem[]): GraphError {
  assert(problems.length > 0, "a graph could not be written, but nothing is wrong with it");
  const lines = problems
    .slice(0, problemsInMessage)
    .map(({ path, what, remedy }) => `${path} is ${what} (remedy: ${remedy})`);
  if (problems.length > lines.length) lines.push(`and ${problems.length - lines.length} more`);
  return new GraphError("GRAPH_UNSAVABLE", lines.join("; "), { problems });
}

function tooBig(root: GraphRoot, options: GraphOptions): GraphError {
  const writer = new GraphWriter(options, "measure");
  try {
    writer.write(root);
    const biggest = writer.heaviest(biggestShown);
    const { checkpointBytesMax } = graphLimits(options);
    const shown = biggest.map(({ path, bytes }) => `${path} (${bytes} bytes)`).join(", ");
    const message = `the saved graph is bigger than ${checkpointBytesMax} bytes (checkpointBytesMax): ${shown}`;
    return new GraphError("CHECKPOINT_TOO_BIG", message, { biggest });
  } finally {
    writer.out.release();
  }
}
