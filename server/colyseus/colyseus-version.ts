import { createRequire } from "node:module";
import { matchMaker, Room } from "@colyseus/core";
import * as stock from "@colyseus/core/MatchMaker";
import { SessionError } from "../session/session-error.ts";

/** The version of @colyseus/core that the seam was made for: test/colyseus/contract.test.ts looks at each of its parts. */
export const testedVersion = "0.18.17";

/** Methods of the stock Room, private ones among them, that the seam puts itself around or calls. */
export const stockMethods: readonly string[] = [
  ...["_reserveSeat", "_reserveMultipleSeats", "_onJoin", "_onMessage", "_onLeave", "__init"],
  ...["allowReconnection", "checkReconnectionToken", "hasReservedSeat", "resetAutoDisposeTimeout"],
  ...["sendFullState", "setSerializer", "onBeforeShutdown", "broadcast", "broadcastBytes", "broadcastPatch"],
  ...[
    "lock",
    "unlock",
    "setMetadata",
    "setPrivate",
    "setMatchmaking",
    "setState",
    "disconnect",
    "kickClient",
  ],
  ...["onMessage", "onMessageBytes", "setTimestep", "setSimulationInterval", "setFixedTimestep"],
  ...["allowRewindState", "defineInput", "broadcastMessageType"],
  ...["_flushPendingClientFrames", "_flushAfterPatchBroadcasts"],
];

export function installedVersion(): string {
  const manifest = createRequire(import.meta.url)("@colyseus/core/package.json") as { version: string };
  return manifest.version;
}

/**
 * What another version moved must not be found out in a match: a method that nobody calls any more would run on one
 * replica only.
 * @param warn told of a version that nobody has tried
 * @throws SessionError NOT_SUPPORTED with what the installed version lacks
 */
export function checkColyseus(
  warn: (fields: object, message: string) => void,
  { version = installedVersion(), methods = Room.prototype as object, given = matchMaker as object } = {},
): void {
  const missing = stockMethods.filter((name) => typeof Reflect.get(methods, name) !== "function");
  const remedy = `install @colyseus/core ${testedVersion}, with which Testudo was tried`;
  if (missing.length > 0)
    throw new SessionError(
      "NOT_SUPPORTED",
      `@colyseus/core ${version} has no Room.${missing.join(", Room.")}: ${remedy}`,
    );
  // Room code would have the stock one, and ask it once a replica.
  if (Reflect.get(given, "createRoom") === stock.createRoom)
    throw new SessionError(
      "NOT_SUPPORTED",
      `@colyseus/core ${version} gives out its matchMaker in a way that the preload does not know: ${remedy}`,
    );
  if (version !== testedVersion)
    warn(
      { installed: version, tested: testedVersion },
      `nobody has tried @colyseus/core ${version}: ${remedy}`,
    );
}
