import type { Client, Room } from "@colyseus/core";
import { outsideWorld } from "../session/sandbox.ts";
import { partsOf } from "./room-parts.ts";
import { seamOfRoom } from "./seam.ts";

// biome-ignore lint/suspicious/noExplicitAny: hooks are replaced by name, whatever they take
type Hook = (this: any, ...args: any[]) => any;

/** While a room is restored these do only what puts the stock room's own records back. */
const silencedHooks: ReadonlySet<string> = new Set(["onJoin", "onDrop", "onLeave"]);
/** What they throw or reject with the stock room keeps to itself. What onJoin throws is told to who joins. */
const toldHooks: ReadonlySet<string> = new Set(["onDrop", "onReconnect", "onLeave", "onDispose"]);
/** What it throws is the timer's failure; its promise nobody looks at. */
const patchHook = "onBeforePatch";
const hooks = ["onJoin", "onDrop", "onReconnect", "onLeave", "onDispose", patchHook] as const;

/** Puts the seam around the user's hooks: silent while the room is restored, and their failures are told. */
export function wrapHooks(prototype: Record<string, Hook>, stock: Record<string, Hook>): void {
  for (const name of hooks) {
    const hook = stock[name];
    if (hook !== undefined) prototype[name] = wrapped(name, hook);
  }
}

/** The user's hooks as they are, until `wrapHooks` is called again. */
export function unwrapHooks(prototype: Record<string, Hook>, stock: Record<string, Hook>): void {
  for (const name of hooks) {
    const hook = stock[name];
    if (hook === undefined) Reflect.deleteProperty(prototype, name);
    else prototype[name] = hook;
  }
}

/** A hook may be an arrow function in a field, which hides the prototype's. */
export function wrapOwnHooks(room: Room): void {
  const table = room as unknown as Record<string, Hook>;
  for (const name of hooks) {
    const hook = Object.hasOwn(room, name) ? table[name] : undefined;
    if (hook !== undefined) table[name] = wrapped(name, hook);
  }
}

function wrapped(name: string, hook: Hook): Hook {
  const told = toldHooks.has(name) || name === patchHook ? tellingHook(name, hook) : hook;
  return silencedHooks.has(name) ? restorableHook(name, told) : told;
}

function restorableHook(name: string, hook: Hook): Hook {
  return function (this: Room, client: unknown, ...rest: unknown[]) {
    const restoring = seamOfRoom(this)?.restoring;
    if (restoring === null || restoring === undefined) return hook.call(this, client, ...rest);
    const seconds = restoring.keepSeconds.get((client as Client).sessionId);
    if (name !== "onJoin" && seconds !== undefined) void partsOf(this).allowReconnection(client, seconds);
    return undefined;
  };
}

/** A failure of a room that does not listen to its failures is a line in the log. The stock room then does what it does. */
function tellingHook(name: string, hook: Hook): Hook {
  return function (this: Room, ...args: unknown[]) {
    const seam = seamOfRoom(this);
    if (seam === undefined || this.onUncaughtException !== undefined) return hook.apply(this, args);
    const tell = (error: unknown) => outsideWorld(() => seam.environment.report(error, name));
    let result: unknown;
    try {
      result = hook.apply(this, args);
    } catch (error) {
      if (name !== patchHook) tell(error);
      throw error;
    }
    if (isThenable(result)) result.then(undefined, tell);
    return result;
  };
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}
