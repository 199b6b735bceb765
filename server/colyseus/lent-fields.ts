import type { Room } from "@colyseus/core";
import { outsideLog } from "../session/session-error.ts";
import { lendItself, lent } from "./lent.ts";
import { stockFields } from "./room-graph.ts";
import { pluginsOf } from "./room-plugins.ts";
import type { Seam } from "./seam.ts";

/** Fields of the stock room that room code reads, and whose content is the room's. */
const lentStockFields: ReadonlySet<string> = new Set([
  "state",
  "clients",
  "seatReservationTimeout",
  "maxMessagesPerSecond",
]);

/** A field that can be lent: what is behind it meanwhile. */
class LentField {
  readonly name: string;
  readonly #accessor: PropertyDescriptor;
  #behind: PropertyDescriptor | null = null;

  constructor(owner: object, ownerPath: string, name: string) {
    const path = `${ownerPath}.${name}`;
    this.name = name;
    this.#accessor = {
      configurable: true,
      enumerable: true,
      get: () => {
        const behind = this.#behind;
        return lent(behind?.get === undefined ? (behind?.value as unknown) : behind.get.call(owner), path);
      },
      set: () => {
        throw outsideLog(`${path} was assigned`);
      },
    };
  }

  lend(owner: object): void {
    const descriptor = Object.getOwnPropertyDescriptor(owner, this.name);
    if (descriptor?.configurable !== true || typeof descriptor.value === "function") return;
    this.#behind = descriptor;
    Object.defineProperty(owner, this.name, this.#accessor);
  }

  takeBack(owner: object): void {
    if (this.#behind !== null) Object.defineProperty(owner, this.name, this.#behind);
    this.#behind = null;
  }
}

/** The fields of a room, or of a plugin, as they were when they were looked at last. */
class LentOwner {
  readonly #owner: object;
  readonly #path: string;
  readonly #lends: (name: string) => boolean;
  #names: readonly string[] = [];
  #fields: readonly LentField[] = [];

  constructor(owner: object, path: string, lends: (name: string) => boolean) {
    lendItself(owner);
    this.#owner = owner;
    this.#path = path;
    this.#lends = lends;
  }

  lend(): void {
    const names = Object.keys(this.#owner);
    if (!isSame(names, this.#names)) {
      this.#names = names;
      this.#fields = names.filter(this.#lends).map((name) => new LentField(this.#owner, this.#path, name));
    }
    for (const field of this.#fields) field.lend(this.#owner);
  }

  /** @returns the paths of what was added, which is taken away, and of what was deleted, which is back, in its place */
  takeBack(): string[] {
    const owner = this.#owner;
    const after = Object.keys(owner);
    for (const field of this.#fields) field.takeBack(owner);
    if (isSame(after, this.#names)) return [];
    const added = after.filter((name) => !this.#names.includes(name));
    const deleted = this.#names.filter((name) => !after.includes(name));
    for (const name of added) Reflect.deleteProperty(owner, name);
    if (deleted.length > 0) this.#putInOrder();
    return [...added, ...deleted].map((name) => `${this.#path}.${name}`);
  }

  #putInOrder(): void {
    for (const name of this.#names) {
      const descriptor = Object.getOwnPropertyDescriptor(this.#owner, name);
      Reflect.deleteProperty(this.#owner, name);
      if (descriptor !== undefined) Object.defineProperty(this.#owner, name, descriptor);
    }
  }
}

const ownersOf = new WeakMap<Room, readonly LentOwner[]>();

/**
 * While `act` runs the room's fields, and its plugins', give what they hold read-only, and take nothing: whoever has the
 * room, by `this` or by a closure, cannot change it by mistake. Fields that are not saved (`transient`) are as they are.
 * @throws SessionError MUTATION_OUTSIDE_LOG also for a field that was added or deleted, which is undone
 */
export function whileLent(room: Room, seam: Seam, act: () => void): void {
  let owners = ownersOf.get(room);
  if (owners === undefined) {
    owners = lentOwners(room, seam);
    ownersOf.set(room, owners);
  }
  const changed: string[] = [];
  for (const owner of owners) owner.lend();
  try {
    act();
  } finally {
    for (const owner of owners) changed.push(...owner.takeBack());
  }
  if (changed.length > 0) throw outsideLog(`${changed.join(", ")}: added or deleted`);
}

function lentOwners(room: Room, seam: Seam): LentOwner[] {
  lendItself(room.clock);
  // What the state's own guard looks at.
  lendItself(seam.environment.world);
  const kept = new Set(seam.options.transient);
  const lends = (name: string) => (!stockFields.has(name) || lentStockFields.has(name)) && !kept.has(name);
  return [
    new LentOwner(room, "room", lends),
    ...[...pluginsOf(room)].map(
      ([key, plugin]) => new LentOwner(plugin, `room.plugins.${key}`, (name) => name !== "room"),
    ),
  ];
}

function isSame(names: readonly string[], others: readonly string[]): boolean {
  return names.length === others.length && names.every((name, at) => name === others[at]);
}
