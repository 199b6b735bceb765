import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { matchMaker, Room } from "@colyseus/core";
import * as stock from "@colyseus/core/MatchMaker";
import { SessionError } from "../session/session-error.ts";

/** The versions that the seam was made for: test/colyseus/contract.test.ts looks at each of its parts. */
export const testedVersions = { "@colyseus/core": "0.18.17", "@colyseus/schema": "5.0.34" } as const;
type Package = keyof typeof testedVersions;

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

export function installedVersion(name: Package): string {
  // Not every package lets its package.json be required.
  const built = dirname(createRequire(import.meta.url).resolve(name));
  return (JSON.parse(readFileSync(join(built, "../package.json"), "utf8")) as { version: string }).version;
}

/**
 * What another version moved must not be found out in a match: a method that nobody calls any more would run on one
 * replica only.
 * @param warn told of a version that nobody has tried
 * @throws SessionError NOT_SUPPORTED with what the installed version lacks
 */
export function checkColyseus(
  warn: (fields: object, message: string) => void,
  {
    versions = {} as Partial<Record<Package, string>>,
    methods = Room.prototype as object,
    given = matchMaker as object,
  } = {},
): void {
  const missing = stockMethods.filter((name) => typeof Reflect.get(methods, name) !== "function");
  for (const [name, tested] of Object.entries(testedVersions) as [Package, string][]) {
    const installed = versions[name] ?? installedVersion(name);
    const remedy = `install ${name} ${tested}, with which Testudo was tried`;
    const refused = (what: string) =>
      new SessionError("NOT_SUPPORTED", `${name} ${installed} ${what}: ${remedy}`);
    if (name === "@colyseus/core" && missing.length > 0)
      throw refused(`has no Room.${missing.join(", Room.")}`);
    if (installed !== tested) warn({ installed, tested }, `nobody has tried ${name} ${installed}: ${remedy}`);
  }
  // As where tsx compiles a CommonJS project: what is required from one folder is looked up once.
  if (Reflect.get(given, "createRoom") === stock.createRoom)
    warn(
      { event: "stock-matchmaker" },
      'the preload could not put the rooms\' matchMaker in the place of Colyseus\'s: do not call matchMaker inside of replicated rooms here; make the project an ES module ("type": "module") to do so',
    );
}
