/**
 * The `matchMaker` that `@colyseus/core` exports, once the preload has put this in its place: outside of replicated rooms it is
 * the stock one; inside of one each call is an effect, and what no effect can do is refused.
 */
import * as stock from "@colyseus/core/MatchMaker";
import { currentWorld } from "../../session/sandbox.ts";
import { SessionError } from "../../session/session-error.ts";
import { seamIn } from "../seam.ts";

export * from "@colyseus/core/MatchMaker";

// biome-ignore lint/suspicious/noExplicitAny: functions are wrapped by name, whatever they take
type Call = (...args: any[]) => any;

/** In log time. A room is created within one entry; but a leader may be looked for meanwhile. */
const timeoutMs = 5_000;

function asEffect<F extends Call>(
  name: string,
  call: F,
  revive: (value: unknown) => unknown = (value) => value,
): F {
  const replaced = (...args: unknown[]): unknown => {
    const world = currentWorld();
    if (world === null) return call(...args);
    const seam = seamIn(world);
    // Something that only looks at the room, to save it.
    if (seam === undefined) throw refused(name, "it may look at the room, no more");
    const asked = seam.environment.world.effects.make({
      name: `matchMaker.${name}`,
      argument: args,
      timeoutMs,
    });
    return asked.then(revive);
  };
  return replaced as F;
}

function outsideOnly<F extends Call>(name: string, call: F, instead: string): F {
  const replaced = (...args: unknown[]): unknown => {
    if (currentWorld() !== null) throw refused(name, instead);
    return call(...args);
  };
  return replaced as F;
}

function refused(name: string, instead: string): SessionError {
  return new SessionError("INSIDE_ROOM", `matchMaker.${name} inside ${currentWorld()?.label}: ${instead}`);
}

export const createRoom = asEffect("createRoom", stock.createRoom);
export const create = asEffect("create", stock.create);
export const join = asEffect("join", stock.join);
export const joinById = asEffect("joinById", stock.joinById);
export const joinOrCreate = asEffect("joinOrCreate", stock.joinOrCreate);
export const reserveSeatFor = asEffect("reserveSeatFor", stock.reserveSeatFor);
export const reserveMultipleSeatsFor = asEffect("reserveMultipleSeatsFor", stock.reserveMultipleSeatsFor);
export const remoteRoomCall = asEffect("remoteRoomCall", stock.remoteRoomCall);
export const query = asEffect("query", stock.query);
export const findOneRoomAvailable = asEffect("findOneRoomAvailable", stock.findOneRoomAvailable);
export const getRoomById = asEffect("getRoomById", stock.getRoomById);
// No Map goes through the log.
export const findRoomsByIds = asEffect("findRoomsByIds", stock.findRoomsByIds, (found) =>
  found instanceof Map ? found : new Map(found as [string, unknown][]),
);

const nodesOwn = "what a node has for itself differs from replica to replica";
const manyNodes = "every replica would do it once more, and replay again";

export const getLocalRoomById = outsideOnly(
  "getLocalRoomById()",
  stock.getLocalRoomById,
  `${nodesOwn}; ask await matchMaker.getRoomById(), or call the room by await matchMaker.remoteRoomCall()`,
);
export const reconnect = outsideOnly(
  "reconnect()",
  stock.reconnect,
  "a client takes its seat again by itself",
);
export const disconnectAll = outsideOnly("disconnectAll()", stock.disconnectAll, manyNodes);
export const gracefullyShutdown = outsideOnly("gracefullyShutdown()", stock.gracefullyShutdown, manyNodes);
export const defineRoomType = outsideOnly("defineRoomType()", stock.defineRoomType, manyNodes);
export const addRoomType = outsideOnly("addRoomType()", stock.addRoomType, manyNodes);
export const removeRoomType = outsideOnly("removeRoomType()", stock.removeRoomType, manyNodes);

export const stats = {
  ...stock.stats,
  get local() {
    if (currentWorld() !== null)
      throw refused("stats.local", `${nodesOwn}; ask await matchMaker.stats.fetchAll()`);
    return stock.stats.local;
  },
  fetchAll: asEffect("stats.fetchAll", stock.stats.fetchAll),
  getGlobalCCU: asEffect("stats.getGlobalCCU", stock.stats.getGlobalCCU),
};
