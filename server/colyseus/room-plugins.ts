import { type Room, Room as StockRoom } from "@colyseus/core";
import { outsideWorld } from "../session/sandbox.ts";
import { SessionError } from "../session/session-error.ts";
import { hiddenField } from "./check-room-class.ts";
import { unwrapAuth, wrapAuth } from "./instance-auth.ts";
import { unwrapHooks, wrapHooks } from "./room-hooks.ts";
import { partsOf } from "./room-parts.ts";
import type { Seam } from "./seam.ts";

// biome-ignore lint/suspicious/noExplicitAny: hooks are replaced by name, whatever they take
type Hook = (this: any, ...args: any[]) => any;
type Plugin = Record<string, unknown>;

/** What the stock room gives a plugin, and what is code: made anew with the room. */
const notSaved: ReadonlySet<string> = new Set(["room", "order", "messages", "pluginName"]);

/** By key; those that only other plugins depend on included. */
export function pluginsOf(room: Room): ReadonlyMap<string, Plugin> {
  const { plugins, _autoPlugins } = partsOf(room);
  return new Map(Object.entries({ ...plugins, ..._autoPlugins }) as [string, Plugin][]);
}

/**
 * The stock room puts its plugins' hooks around the class's, once, as the first room of a class is made. They go inside of
 * the seam's: silent while a room is restored, and told where they fail.
 * @throws SessionError NOT_SUPPORTED
 */
export function installPlugins(
  room: Room,
  prototype: Record<string, Hook>,
  stock: Record<string, Hook>,
): void {
  const { plugins } = partsOf(room);
  if (plugins === undefined || Object.hasOwn(room.constructor, "__pluginLayout")) return;
  // The stock room binds its hooks before it has put the plugins' around them, but only in the first room of a process.
  if (room.onUncaughtException !== undefined)
    throw new SessionError(
      "NOT_SUPPORTED",
      `${room.constructor.name} has plugins and onUncaughtException(): Colyseus leaves the plugins' hooks out of the first room of each process then, so replicas would differ. Leave one of them out.`,
    );
  unwrapHooks(prototype, stock);
  unwrapAuth(prototype);
  try {
    outsideWorld(() => new Installer(room.constructor, plugins).install());
  } finally {
    wrapHooks(prototype, prototype);
    wrapAuth(prototype, prototype);
  }
}

/**
 * A room that is made for this only: the stock room makes what plugins depend on once more to look at it, and the first
 * replica of a process would have drawn more chance than the others.
 */
class Installer extends StockRoom {
  constructor(ofClass: object, plugins: object) {
    super();
    // Where the stock room keeps what it has found out.
    Object.defineProperty(this, "constructor", { value: ofClass });
    partsOf(this).plugins = plugins;
  }

  install(): void {
    const { __init } = this as unknown as { __init(): void };
    __init.call(this);
    partsOf(this)._events.emit("dispose");
  }
}

/** @throws SessionError NOT_SUPPORTED, for what of a plugin could not be saved */
export function checkPlugins(room: Room): void {
  for (const [key, plugin] of pluginsOf(room)) {
    const hidden = hiddenField(plugin.constructor);
    if (hidden === null) continue;
    const { name } = plugin.constructor;
    throw new SessionError(
      "NOT_SUPPORTED",
      `${room.constructor.name}.plugins.${key}: ${name} keeps ${hidden} where nobody can see and save it. Make it an ordinary field: private ${hidden.slice(1)}.`,
    );
  }
}

/** Functions that are in plugins' fields, by `plugin key.field`. */
export function pluginFunctions(room: Room): [string, unknown][] {
  return [...pluginsOf(room)].flatMap(([key, plugin]) =>
    Object.entries(plugin).flatMap(([name, value]): [string, unknown][] =>
      typeof value === "function" ? [[`${key}.${name}`, value]] : [],
    ),
  );
}

/** What each plugin has to be saved, by key. */
export function pluginFields(room: Room, seam: Seam): Record<string, Plugin> {
  const saved = [...pluginsOf(room)].map(([key, plugin]): [string, Plugin] => {
    const fields = Object.entries(plugin).filter(([name, value]) => {
      const isCode = typeof value === "function" && seam.functions.get(`${key}.${name}`) === value;
      return !notSaved.has(name) && !isCode;
    });
    return [key, Object.fromEntries(fields)];
  });
  return Object.fromEntries(saved);
}

/** Lays what was saved over the plugins that the room has just made. */
export function restorePlugins(room: Room, seam: Seam, saved: Record<string, Plugin>): void {
  const fresh = pluginFields(room, seam);
  for (const [key, plugin] of pluginsOf(room)) {
    const fields = saved[key];
    if (fields === undefined) throw new Error(`the checkpoint has nothing of the plugin "${key}"`);
    for (const name of Object.keys(fresh[key] ?? {})) Reflect.deleteProperty(plugin, name);
    Object.assign(plugin, fields);
  }
}
