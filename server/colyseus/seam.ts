import { EventualWorld } from "../session/eventual-world.ts";
import { processWide } from "../session/process-wide.ts";
import type { EffectCall, RoomEnvironment } from "../session/room-program.ts";
import { currentWorld, type World } from "../session/sandbox.ts";
import type { Sessions } from "../session/sessions.ts";
import type { LoggedClient } from "./logged-client.ts";
import type { MessageConsistencies } from "./message-consistency.ts";

/** What becomes of rooms of older code: they end under it, or go on under the class's own once most nodes have that. */
export type Upgrade = "end" | "switch";

/** What `replicated(Room, options)` takes. */
export interface ReplicatedOptions {
  /** Classes whose instances the room keeps in its fields (design 5.5). */
  readonly classes?: readonly (abstract new (
    ...args: never[]
  ) => object)[];
  /** Fields that are not saved: onCreate makes them anew, or they are caches. */
  readonly transient?: readonly string[];
  /** Messages that need not all be agreed; see MessageConsistency. */
  readonly messages?: MessageConsistencies;
  /**
   * Where its code runs: on every replica (the default), or on the leader's node alone: a room that cannot be deterministic.
   * What its clients see and say is agreed all the same, and another leader goes on with its state; its other fields are as old
   * as the last `onCacheRoom`.
   */
  readonly run?: "everywhere" | "leader";
  /**
   * What this version of the class does with the rooms of an older one (`--code`): "end" (the default) leaves them to the nodes
   * that have that until they end, or an operator switches them; "switch" brings them over, once most nodes have this one.
   */
  readonly upgrade?: Upgrade;
  /** With `run: "leader"`: how often `onCacheRoom` is asked; 1000. */
  readonly cacheEveryMs?: number;
}

/** While a room is restored, its hooks do only what puts the stock room's own records back. */
export interface Restoring {
  /** Seats to be kept: for how long at most (seconds), by session id. */
  readonly keepSeconds: ReadonlyMap<string, number>;
}

/** A broadcast that goes out right behind the next patch. */
export interface BroadcastAfterPatch {
  readonly bytes: Uint8Array;
  readonly except: readonly unknown[];
}

/** What ties one room instance to its replica. */
export interface Seam {
  readonly environment: RoomEnvironment;
  /** Set by the room's constructor. */
  room: object;
  readonly options: ReplicatedOptions;
  readonly sessions: () => Sessions;
  /** What its code asks of `this.presence` and `matchMaker`; outside of the room's world. */
  readonly call: (name: string, argument: unknown, call: EffectCall) => Promise<unknown>;
  /** Its code has subscribed to something, and this node leads. */
  readonly subscribed: () => void;
  readonly leaves: { readonly client: LoggedClient; readonly code: number; readonly reason: string }[];
  readonly afterPatch: BroadcastAfterPatch[];
  /** The last client of each seat, present or kept. */
  lastClients: () => Iterable<LoggedClient>;
  /** How many clock timers were made while the room was being created. */
  clockOrdinal: number;
  creating: boolean;
  /** It is made of a checkpoint. */
  readonly isRestored: boolean;
  /** The functions that constructor and onCreate left in the room's fields, by name, and in its plugins', by `key.name`. */
  functions: ReadonlyMap<string, unknown>;
  /** The room has onUncaughtException as a method: it is told of what its clock timers throw. */
  catches: boolean;
  restoring: Restoring | null;
}

const seamOf = new WeakMap<object, Seam>();
/** The preload asks, too. */
const seamOfWorld = processWide("seams", () => new WeakMap<World, Seam>());

let next: Seam | null = null;

/** The seam that the next constructed room will take; null: rooms may not be constructed now. */
export function offerSeam(seam: Seam | null): void {
  next = seam;
  if (seam !== null) seamOfWorld.set(seam.environment.world, seam);
}

/** Called by a replicated room's constructor. */
export function takeSeam(room: object): Seam | null {
  const seam = next;
  next = null;
  if (seam !== null) {
    seam.room = room;
    seamOf.set(room, seam);
  }
  return seam;
}

export function seamOfRoom(room: object): Seam | undefined {
  return seamOf.get(room);
}

/** The seam if its room is being applied right now, else null. */
export function applying(room: object): Seam | null {
  const seam = seamOf.get(room);
  return seam !== undefined && currentWorld() === seam.environment.world ? seam : null;
}

/** The seam if a message of its room that is in no log runs right now, else null: room code may look and speak. */
export function hearing(room: object): Seam | null {
  const seam = seamOf.get(room);
  const world = currentWorld();
  return world instanceof EventualWorld && world.of === seam?.environment.world ? seam : null;
}

export function seamIn(world: World | null): Seam | undefined {
  return world === null ? undefined : seamOfWorld.get(world);
}
