import type { Room } from "@colyseus/core";
import { outsideLog } from "../session/session-error.ts";
import { lendItself, lent } from "./lent.ts";
import { stockFields } from "./room-graph.ts";
import { pluginsOf } from "./room-plugins.ts";
import type { Seam } from "./seam.ts";

interface Field {
  readonly owner: object;
  readonly name: string;
  readonly path: string;
  readonly descriptor: PropertyDescriptor;
}

/** Fields of the stock room that room code reads, and whose content is the room's. */
const lentStockFields: ReadonlySet<string> = new Set([
  "state",
  "clients",
  "seatReservationTimeout",
  "maxMessagesPerSecond",
]);

/**
 * While `act` runs the room's fields, and its plugins', give what they hold read-only, and take nothing: whoever has the
 * room, by `this` or by a closure, cannot change it by mistake. Fields that are not saved (`transient`) are as they are.
 * @throws SessionError MUTATION_OUTSIDE_LOG also for a field that was added or removed, which is undone
 */
export function whileLent(room: Room, seam: Seam, act: () => void): void {
  const owners: [object, string][] = [
    [room, "room"],
    ...[...pluginsOf(room)].map(([key, plugin]): [object, string] => [plugin, `room.plugins.${key}`]),
  ];
  for (const [owner] of owners) lendItself(owner);
  lendItself(room.clock);
  // What the state's own guard looks at.
  lendItself(seam.environment.world);
  for (const client of room.clients as Iterable<object>) lendItself(client);
  const before = owners.map(([owner]) => Object.keys(owner));
  const fields = owners.flatMap(([owner, path]) => fieldsOf(owner, path, seam));
  for (const field of fields) lend(field);
  const changed: string[] = [];
  try {
    act();
  } finally {
    const after = owners.map(([owner]) => Object.keys(owner));
    for (const { owner, name, descriptor } of fields) Object.defineProperty(owner, name, descriptor);
    for (const [at, [owner, path]] of owners.entries()) {
      const names = undo(owner, before[at] as string[], after[at] as string[]);
      changed.push(...names.map((name) => `${path}.${name}`));
    }
  }
  if (changed.length > 0) throw outsideLog(`${changed.join(", ")}: added or deleted`);
}

function fieldsOf(owner: object, path: string, seam: Seam): Field[] {
  const isRoom = owner === seam.room;
  const transient = seam.options.transient ?? [];
  return Object.keys(owner).flatMap((name): Field[] => {
    if (isRoom ? stockFields.has(name) && !lentStockFields.has(name) : name === "room") return [];
    if (isRoom && transient.includes(name)) return [];
    const descriptor = Object.getOwnPropertyDescriptor(owner, name) as PropertyDescriptor;
    if (descriptor.configurable !== true || typeof descriptor.value === "function") return [];
    return [{ owner, name, path: `${path}.${name}`, descriptor }];
  });
}

function lend({ owner, name, path, descriptor }: Field): void {
  Object.defineProperty(owner, name, {
    configurable: true,
    enumerable: true,
    get: () => lent(descriptor.get === undefined ? descriptor.value : descriptor.get.call(owner), path),
    set: () => {
      throw outsideLog(`${path} was assigned`);
    },
  });
}

/** @returns the names of what was added, which is taken away, and of what was deleted, which is back, in its place */
function undo(owner: object, before: readonly string[], after: readonly string[]): string[] {
  if (after.length === before.length && after.every((name, at) => name === before[at])) return [];
  const added = after.filter((name) => !before.includes(name));
  const deleted = before.filter((name) => !after.includes(name));
  for (const name of added) Reflect.deleteProperty(owner, name);
  if (deleted.length > 0) {
    for (const name of before) {
      const descriptor = Object.getOwnPropertyDescriptor(owner, name);
      Reflect.deleteProperty(owner, name);
      if (descriptor !== undefined) Object.defineProperty(owner, name, descriptor);
    }
  }
  return [...added, ...deleted];
}
