import type { Room } from "@colyseus/core";
import { failureWords } from "../session/failure.ts";
import { GraphError } from "../session/graph/graph-error.ts";
import { inWorld, type World } from "../session/sandbox.ts";
import { isThenable } from "./room-hooks.ts";
import type { Seam } from "./seam.ts";

/** Colyseus's own pair, there for its development mode: a room saves by itself what nobody else can see. */
const pair = ["onCacheRoom", "onRestoreRoom"] as const;

/** Which of the two a room class has. */
export function cacheHooksOf(roomClass: { readonly prototype: object }): readonly string[] {
  return pair.filter((name) => typeof Reflect.get(roomClass.prototype, name) === "function");
}

/**
 * What `onCacheRoom` gives, as a part of the room's graph; empty if the room has none. It is asked whenever a node saves
 * or compares its replica, each in its own time: so it may look at the room, but neither change it nor draw chance.
 * @throws GraphError GRAPH_UNSAVABLE if it fails, or has to be waited for
 */
export function cachedPart(room: Room, { environment }: Seam): { readonly cached?: unknown } {
  if (room.onCacheRoom === undefined) return {};
  const unsavable = (what: string) =>
    new GraphError("GRAPH_UNSAVABLE", `onCacheRoom of ${room.constructor.name} ${what}`);
  let cached: unknown;
  try {
    cached = inWorld(lookingOn(environment.world), () => room.onCacheRoom?.());
  } catch (error) {
    throw unsavable(`failed: ${failureWords(error)}`);
  }
  if (isThenable(cached))
    throw unsavable("gives a promise: what is saved must be there at once, so it must not be async");
  return { cached };
}

/** The last step of a restore: fields, state, clients and clock are as they were saved. */
export async function restoreCached(room: Room, graph: { readonly cached?: unknown }): Promise<void> {
  if (room.onRestoreRoom === undefined) return;
  try {
    await room.onRestoreRoom(graph.cached);
  } catch (error) {
    throw new Error(`onRestoreRoom of ${room.constructor.name} failed: ${failureWords(error)}`);
  }
}

/** The room's world for who only looks: its state cannot be changed from there either (mutation-guard). */
function lookingOn(world: World): World {
  const refuse = (what: string) => (): never => {
    throw new Error(
      `${what} in onCacheRoom, which may be called at any time and on one replica only: it may look at the room, no more`,
    );
  };
  return {
    label: `onCacheRoom of ${world.label}`,
    nowMs: () => world.nowMs(),
    wallMs: () => world.wallMs(),
    random: refuse("chance is drawn"),
    secretBytes: refuse("chance is drawn"),
    tellOnce: () => {},
    setTimer: refuse("a timer is set"),
    clearTimer: refuse("a timer is cleared"),
    report: (error, where) => world.report(error, where),
  };
}
