import { ClientState, type Room, SchemaSerializer } from "@colyseus/core";
import {
  $changes,
  $numFields,
  $refId,
  type ChangeTree,
  type Encoder,
  Metadata,
  OPERATION,
  type Schema,
  StateView,
} from "@colyseus/schema";
import { type ArrayInternals, arrayInternals } from "../session/graph/schema-internals.ts";
import { sessionLimits } from "../session/limits.ts";
import type { RoomEnvironment } from "../session/room-program.ts";
import { currentWorld } from "../session/sandbox.ts";
import { outsideLog, SessionError } from "../session/session-error.ts";
import { emptiedFields } from "./emptied-fields.ts";
import { followLeft, leftInstances } from "./left-instances.ts";
import type { LoggedClient } from "./logged-client.ts";
import { partsOf } from "./room-parts.ts";
import { type Seam, seamOfRoom } from "./seam.ts";
import { defaultTag, isSeenByViews, straighten, whileEncoding } from "./state-views.ts";

// biome-ignore lint/suspicious/noExplicitAny: methods of the stock room are replaced by name, whatever they take
type Callback = (this: any, ...args: any[]) => any;

/** The stock serializer's own fields, protected or not. */
interface Serializer {
  readonly hasFilters: boolean;
  readonly encoder: Encoder;
  reset(state: Schema): void;
  applyPatches(clients: readonly LoggedClient[], state?: unknown, timing?: unknown): boolean;
  getFullState(client?: LoggedClient, timing?: unknown): Uint8Array;
}

/** Where the stock room meets its serializer. */
export function viewMethods(
  stock: Record<string, Callback>,
  applying: (room: object) => Seam | null,
): Record<string, Callback> {
  return {
    setSerializer(this: Room, serializer: unknown) {
      const seam = applying(this);
      if (seam === null)
        throw outsideLog(`${this.constructor.name}.setSerializer() was called outside of the room`);
      letGoOfState(this);
      if (serializer instanceof SchemaSerializer)
        encodeForAttached(serializer as unknown as Serializer, seam.environment);
      stock["setSerializer"]?.call(this, serializer);
    },
    sendFullState(this: Room, client: LoggedClient) {
      const environment = seamOfRoom(this)?.environment;
      if (environment === undefined) return;
      const { _serializer: serializer } = partsOf(this);
      // The node that encodes it settles this as well.
      if (serializer instanceof SchemaSerializer) settle(serializer as unknown as Serializer, environment);
      // Only the node with the socket needs to encode it: that it fails there must not be seen by the room.
      if (!environment.isHere(client.seat)) return;
      reported(environment, "full state", () => stock["sendFullState"]?.call(this, client));
      const { encoder } = partsOf(this)._serializer;
      if (client.epoch === 1 || encoder === undefined) return;
      reported(environment, "full state", () => {
        const emptied = asItIs(encoder, () => emptiedFields(encoder, client.view));
        if (emptied !== null) client.raw(emptied);
      });
      if (client.view !== undefined) takeBack(encoder, client.view);
    },
  };
}

/** @throws SessionError NOT_SUPPORTED for a state that may come to hold a stream: it would be found in a match only */
export function checkStreams(room: Room): void {
  for (const schemaClass of partsOf(room)._serializer.encoder?.context.schemas.keys() ?? []) {
    const metadata = schemaClass[Symbol.metadata] as Metadata;
    for (let index = 0; index <= (metadata[$numFields] as number); index++) {
      if (!Metadata.hasStreamAtIndex(metadata, index)) continue;
      throw new SessionError(
        "NOT_SUPPORTED",
        `${room.constructor.name}.state: ${schemaClass.name}.${metadata[index]?.name} is a stream, which a replicated room does not support yet: declare it without .stream()`,
      );
    }
  }
}

/** The views of a state that is replaced would see nothing of the next one, or what they should not. */
function letGoOfState(room: Room): void {
  const encoder = partsOf(room)._serializer.encoder;
  if (encoder === undefined || !encoder.context.hasFilters) return;
  if (isSeenByViews(encoder.root))
    throw new SessionError(
      "NOT_SUPPORTED",
      `${room.constructor.name}.state was replaced, but StateViews have seen something of the old one: change that, or give the clients their views once the room has its state`,
    );
  dropState(room);
}

/** Its instances are in no state any more, as they would be in a restored room. */
export function dropState(room: Room): void {
  const encoder = partsOf(room)._serializer.encoder;
  if (encoder === undefined || !encoder.context.hasFilters) return;
  partsOf(room)._serializer = {};
  for (const tree of Object.values(encoder.root.changeTrees))
    if (tree.root === encoder.root) (tree as { root?: unknown }).root = undefined;
}

/**
 * Of a room that is over. The library holds a state as long as a view of it lives; where something in the state leads to its
 * clients (a player that knows its own), that would be for ever.
 */
export function giveUpViews(room: Room): void {
  const root = partsOf(room)._serializer.encoder?.root;
  root?.forEachActiveView((view) => StateView.prototype.dispose.call(view));
}

/** For a restored state: instances that are not in it. */
export function rememberLeft(root: Encoder["root"], unattached: readonly object[]): void {
  const left = leftInstances(root);
  for (const object of unattached) left?.add((object as { [$changes]: ChangeTree })[$changes]);
}

/**
 * Patches of a state with view tags are encoded for the clients that are attached to this node. Everything else that
 * encoding does goes on as if it were for all: nothing of it may differ from node to node.
 */
function encodeForAttached(serializer: Serializer, environment: RoomEnvironment): void {
  const stock = {
    reset: serializer.reset.bind(serializer),
    applyPatches: serializer.applyPatches.bind(serializer),
    getFullState: serializer.getFullState.bind(serializer),
  };
  serializer.reset = (state) => {
    stock.reset(state);
    if (serializer.hasFilters) followLeft(serializer.encoder.root);
  };
  serializer.applyPatches = (clients, state, timing) => {
    if (!serializer.hasFilters) return stock.applyPatches(clients, state, timing);
    settle(serializer, environment);
    const hasPatch = serializer.encoder.hasChanges && clients.length > 0;
    const attached = clients.filter(({ seat, epoch }) => seat.epoch === epoch && environment.isHere(seat));
    wakeShared(serializer.encoder, attached);
    reported(environment, "patch", () => whileEncoding(() => stock.applyPatches(attached, state, timing)));
    serializer.encoder.discardChanges();
    drain(serializer.encoder, clients);
    return hasPatch;
  };
  serializer.getFullState = (client, timing) => {
    const { root } = serializer.encoder;
    const waiting = root.pendingFilterRefresh;
    // Somebody looks on from outside of the log (a monitor): that must change nothing.
    if (currentWorld() === null) root.pendingFilterRefresh = [];
    try {
      return asItIs(serializer.encoder, () => stock.getFullState(client, timing));
    } finally {
      root.pendingFilterRefresh = waiting;
    }
  };
}

/**
 * Between two patches the library takes a view's elements of an array from where they were before: it would leave out, or
 * mix up, those behind one that was removed.
 */
function asItIs<T>({ root }: Encoder, encode: () => T): T {
  const arrays: { inside: ArrayInternals; staged: unknown[] }[] = [];
  for (let at = root.changes.next; at !== undefined; at = at.next) {
    if (!at.changeTree.isArray) continue;
    const inside = arrayInternals(at.changeTree.ref);
    arrays.push({ inside, staged: inside.tmpItems });
    inside.tmpItems = inside.items.slice();
  }
  try {
    return encode();
  } finally {
    for (const { inside, staged } of arrays) inside.tmpItems = staged;
  }
}

function reported(environment: RoomEnvironment, where: string, encode: () => void): void {
  try {
    encode();
  } catch (error) {
    environment.report(error, where);
  }
}

/** What is filtered is derived anew, before each patch and each full state, where instances have got or lost parents. */
function settle({ encoder, hasFilters }: Serializer, environment: RoomEnvironment): void {
  if (!hasFilters || encoder.root.pendingFilterRefresh.length === 0) return;
  for (const tree of encoder.root.pendingFilterRefresh) straighten(tree);
  // The library does it at the head of every encoding; what this one writes goes nowhere.
  reported(environment, "patch", () => encoder.encodeUnreliable());
}

/**
 * Who comes back may still have fields that were taken from its view while nothing reached it. A full state does not say
 * so: the SDK takes back what is not in it of collections, and not of fields.
 */
function takeBack({ root }: Encoder, view: StateView): void {
  for (const tree of Object.values(root.changeTrees)) {
    const { tags, hasAnyView } = tree.encDescriptor;
    if (!hasAnyView || (tree.isFiltered && !view.isChangeTreeVisible(tree))) continue;
    const refId = (tree.ref as { [$refId]: number })[$refId];
    for (const [index, tag] of tags.entries()) {
      if (tag === undefined) continue;
      const isSeen = tag === defaultTag ? view.isChangeTreeVisible(tree) : view.hasTagOnTree(tree, tag);
      if (isSeen) continue;
      const changes = view.changes.get(refId) ?? new Map();
      view.changes.set(refId, changes.set(index, OPERATION.DELETE));
    }
  }
}

function isJoined({ state }: LoggedClient): boolean {
  return state === ClientState.JOINED;
}

/** Without a change of the state the stock serializer tells a view's own changes to the first of its clients only. */
function wakeShared({ hasChanges, root, state }: Encoder, attached: readonly LoggedClient[]): void {
  if (hasChanges) return;
  const told = new Set<StateView>();
  for (const { view } of attached.filter(isJoined)) {
    if (view === undefined || view.changes.size === 0) continue;
    if (told.has(view)) root.enqueueChangeTree((state as Record<symbol, ChangeTree>)[$changes] as ChangeTree);
    told.add(view);
  }
}

/** What views had to tell has been told, here or elsewhere. */
function drain({ root }: Encoder, clients: readonly LoggedClient[]): void {
  const joined = new Set(clients.filter(isJoined).map(({ view }) => view));
  root.forEachActiveView((view) => {
    if (view.changes.size === 0) return;
    if (joined.has(view) || changesOf(view) > sessionLimits.viewChangesMax) view.changes.clear();
  });
}

function changesOf({ changes }: StateView): number {
  let count = changes.size;
  for (const each of changes.values()) count += each.size;
  return count;
}
