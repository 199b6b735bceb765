import { createRequire } from "node:module";
import { LobbyRoom, QueueRoom, RelayRoom, Room, RoomPlugin } from "@colyseus/core";
import { firstPrivateName } from "../session/graph/private-name.ts";
import { SessionError } from "../session/session-error.ts";
import { checkConsistencies } from "./message-consistency.ts";
import { cacheHooksOf } from "./room-cache.ts";
import type { ReplicatedOptions } from "./seam.ts";

const optionNames = ["classes", "transient", "messages", "run", "cacheEveryMs", "upgrade"];
const runs: readonly unknown[] = ["everywhere", "leader"];
const upgrades: readonly unknown[] = ["end", "switch"];

function refuse(name: string, what: string, remedy: string): never {
  throw new SessionError("NOT_SUPPORTED", `${name} cannot be replicated: ${what}. ${remedy}`);
}

/** A field, not a method: methods are code, and need no saving. */
const privateField = /(?:^|[{};])\s*(#[\p{ID_Start}$_][\p{ID_Continue}$]*)\s*(?:=(?!=)|;|$)/mu;

/** Of the class and of those that it extends, up to the stock Room. */
function sourceOf(roomClass: object): string {
  const sources: string[] = [];
  for (
    let at = roomClass;
    typeof at === "function" && at !== Room && at !== RoomPlugin && at !== Function.prototype;
    at = Object.getPrototypeOf(at) as object
  ) {
    sources.push(Function.prototype.toString.call(at));
  }
  return sources.join("\n");
}

/** A `#private` field of the class or of one that it extends, up to Colyseus's own; null: it has none. */
export function hiddenField(ofClass: object): string | null {
  const source = sourceOf(ofClass);
  return firstPrivateName(source) === null ? null : (privateField.exec(source)?.[1] ?? null);
}

/** One of the two alone would lose what it is for. */
function checkCacheHooks(roomClass: new (...args: never[]) => Room): void {
  const [one, other] = cacheHooksOf(roomClass);
  if (other !== undefined) return;
  const { name } = roomClass;
  if (one !== undefined) {
    const missing = one === "onCacheRoom" ? "onRestoreRoom" : "onCacheRoom";
    refuse(
      name,
      `it has ${one} without ${missing}`,
      `A room that saves by itself needs both: add ${missing}.`,
    );
  }
  const hidden = hiddenField(roomClass);
  if (hidden === null) return;
  const ordinary = `Make it an ordinary field (private ${hidden.slice(1)})`;
  refuse(
    name,
    `it keeps ${hidden} where nobody can see and save it`,
    `${ordinary}, or save it by onCacheRoom and onRestoreRoom.`,
  );
}

function checkUpgrade(name: string, { upgrade = "end", run }: ReplicatedOptions): void {
  if (!upgrades.includes(upgrade))
    refuse(name, `upgrade is ${JSON.stringify(upgrade)}`, 'Allowed are "end" and "switch".');
  if (run === "leader" && upgrade === "switch")
    refuse(
      name,
      'upgrade is "switch", and its code runs on its leader\'s node alone',
      'Such a room ends under its own code: leave upgrade out, or make it "end".',
    );
}

/**
 * Everything about a room class that this version cannot replicate, found when the room is defined and not in a match.
 * @throws SessionError NOT_SUPPORTED that names it, and what to do
 */
export function checkRoomClass(roomClass: new (...args: never[]) => Room, options: ReplicatedOptions): void {
  const { name } = roomClass;
  if ((roomClass as unknown) !== Room && !(roomClass.prototype instanceof Room))
    refuse(
      name,
      `it extends the Room of another copy of @colyseus/core than ${createRequire(import.meta.url).resolve("@colyseus/core")}`,
      "Two copies are two servers: leave one of them (npm ls @colyseus/core, npm dedupe).",
    );
  for (const option of Object.keys(options)) {
    if (!optionNames.includes(option))
      refuse(name, `there is no option "${option}"`, `Options are ${optionNames.join(", ")}.`);
  }
  checkConsistencies(name, options.messages);
  const { run = "everywhere", cacheEveryMs } = options;
  if (!runs.includes(run))
    refuse(name, `run is ${JSON.stringify(run)}`, 'Allowed are "everywhere" and "leader".');
  const eventual = Object.entries(options.messages ?? {}).find(
    ([, consistency]) => consistency === "eventual",
  );
  if (run === "leader" && eventual !== undefined)
    refuse(
      name,
      `messages: "${eventual[0]}" is "eventual", and one node alone runs the room`,
      'Make it "strong" or "latest".',
    );
  if (cacheEveryMs !== undefined && !(run === "leader" && cacheEveryMs >= 1))
    refuse(name, `cacheEveryMs is ${cacheEveryMs}`, 'It is a number of milliseconds, with run: "leader".');
  checkUpgrade(name, options);
  for (const stock of [LobbyRoom, QueueRoom, RelayRoom]) {
    if (roomClass.prototype instanceof stock || (roomClass as unknown) === stock) {
      refuse(name, `it is a ${stock.name}, which talks to other rooms`, "Leave it a plain room.");
    }
  }
  for (const method of ["propose", "onPrimary", "effect"]) {
    if (method in roomClass.prototype)
      refuse(
        name,
        `it has a method ${method}(), and replicated rooms bring one of that name`,
        "Call yours something else.",
      );
  }
  checkCacheHooks(roomClass);
}

/** As far as its source says so: what it does through another function is found when it does it. */
export function usesPresence(roomClass: object): boolean {
  return /\bthis\s*\.\s*presence\s*\./.test(sourceOf(roomClass));
}
