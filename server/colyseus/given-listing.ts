import type { IRoomCache } from "@colyseus/core";
import { checkFields, kindOf } from "../menu/given-arguments.ts";
import { KeeperError } from "../menu/keeper-error.ts";
import { keeperLimits } from "../menu/keeper-limits.ts";

type Operations = Partial<{ $set: Partial<IRoomCache>; $inc: Partial<IRoomCache> }>;

const kinds: Readonly<
  Record<string, { readonly allowed: string; readonly fits: (value: unknown) => boolean }>
> = {
  clients: { allowed: "a number from 0 on is", fits: isCount },
  maxClients: {
    allowed: "a number from 0 on, or Infinity, is",
    fits: (value) => value === Infinity || isCount(value),
  },
  locked: { allowed: "true or false is", fits: (value) => typeof value === "boolean" },
  private: { allowed: "true or false is", fits: (value) => typeof value === "boolean" },
  unlisted: { allowed: "true or false is", fits: (value) => typeof value === "boolean" },
  processId: { allowed: "a string is", fits: (value) => typeof value === "string" },
  publicAddress: { allowed: "a string is", fits: (value) => typeof value === "string" },
  createdAt: { allowed: "a date is", fits: (value) => !Number.isNaN(new Date(value as string).getTime()) },
};

/** A room that is to be listed for the first time. @throws KeeperError ARGUMENT */
export function checkListing(room: IRoomCache): void {
  checkFields(room, "the room", '{ roomId: "r1", name: "duel" }');
  const { roomId, name } = room;
  for (const [field, value] of Object.entries({ roomId, name })) {
    if (typeof value !== "string" || value === "")
      throw new KeeperError("ARGUMENT", `a room is listed by a ${field}: ${String(value)} is none`);
    const bytes = Buffer.byteLength(value);
    if (bytes > listedBytesMax)
      throw new KeeperError(
        "ARGUMENT",
        `the ${field} of a room takes ${bytes} bytes in UTF-8: 1 to ${listedBytesMax} are allowed`,
      );
  }
  checkKinds(roomId, room);
}

/** Before anything is changed. @throws KeeperError ARGUMENT */
export function checkOperations(room: IRoomCache, operations: Operations): void {
  checkFields(room, "the room", "one that query() has given");
  checkFields(operations, "the update", "{ $set: { locked: true } } or { $inc: { clients: 1 } }");
  const { $set = {}, $inc = {} } = operations;
  checkFields($set, "$set of an update", "{ locked: true }");
  checkFields($inc, "$inc of an update", "{ clients: 1 }");
  for (const field of ["roomId", "name"] as const) {
    const value = $set[field];
    if (value !== undefined && value !== room[field])
      throw new KeeperError(
        "ARGUMENT",
        `room ${room.roomId}: its ${field} cannot become ${String(value)}: a listing keeps its ${field}`,
      );
  }
  checkKinds(room.roomId, $set);
  for (const [field, more] of Object.entries($inc))
    if (typeof more !== "number" || !Number.isFinite(more))
      throw new KeeperError(
        "ARGUMENT",
        `room ${room.roomId}: ${field} cannot be counted up by ${said(more)}: a number is expected`,
      );
}

/** @throws KeeperError ARGUMENT */
export function checkConditions(conditions: unknown): void {
  if (conditions !== undefined) checkFields(conditions, "what rooms are looked up by", '{ name: "duel" }');
}

/** What the id of a room takes in the key that claims it is beside this. */
const listedBytesMax = keeperLimits.keyBytesMax / 4;

function checkKinds(roomId: string, fields: object): void {
  for (const [field, value] of Object.entries(fields)) {
    const kind = Object.hasOwn(kinds, field) ? kinds[field] : undefined;
    if (kind === undefined || value === undefined || value === null || kind.fits(value)) continue;
    throw new KeeperError("ARGUMENT", `room ${roomId}: ${field} is ${said(value)}: ${kind.allowed} expected`);
  }
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function said(value: unknown): string {
  return typeof value === "string"
    ? `"${value.slice(0, 40)}"`
    : typeof value === "number"
      ? `${value}`
      : kindOf(value);
}
