import { createRequire } from "node:module";
import { Room } from "@colyseus/core";
import { SessionError } from "../session/session-error.ts";

/** The version of @colyseus/core that the seam was made for: test/colyseus/contract.test.ts looks at each of its parts. */
export const testedVersion = "0.18.17";

/** Methods of the stock room that change it: inside an apply they are the stock ones, outside they are errors. */
export const changingMethods = [
  ...["broadcast", "broadcastBytes", "broadcastPatch", "lock", "unlock", "setMetadata", "setPrivate"],
  ...["setMatchmaking", "setState", "disconnect", "kickClient"],
] as const;

/** What a room registers of its own: once it is made, only from within. */
export const registeringMethods = [
  ...["onMessage", "onMessageBytes", "defineInput", "allowRewindState"],
  ...["setTimestep", "setFixedTimestep", "setSimulationInterval", "setPatchRate"],
] as const;

/** Methods of the stock Room, private ones among them, that the seam puts itself around or calls. */
export const stockMethods: readonly string[] = [
  ...changingMethods,
  ...registeringMethods,
  ...["_reserveSeat", "_reserveMultipleSeats", "_onJoin", "_onMessage", "_onLeave", "__init"],
  ...["allowReconnection", "checkReconnectionToken", "hasReservedSeat", "resetAutoDisposeTimeout"],
  ...["sendFullState", "setSerializer", "onBeforeShutdown", "broadcastMessageType"],
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
  { version = installedVersion(), methods = Room.prototype as object } = {},
): void {
  const missing = stockMethods.filter((name) => typeof Reflect.get(methods, name) !== "function");
  const remedy = `install @colyseus/core ${testedVersion}, with which Testudo was tried`;
  if (missing.length > 0)
    throw new SessionError(
      "NOT_SUPPORTED",
      `@colyseus/core ${version} has no Room.${missing.join(", Room.")}: ${remedy}`,
    );
  if (version !== testedVersion)
    warn(
      { installed: version, tested: testedVersion },
      `nobody has tried @colyseus/core ${version}: ${remedy}`,
    );
}
