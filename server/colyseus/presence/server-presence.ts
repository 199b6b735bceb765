import { matchMaker, type Presence } from "@colyseus/core";
import { refuseInside } from "../../session/session-error.ts";
import { isOwnChannel, presenceMethods } from "./shared-presence.ts";

type Call = (...args: unknown[]) => unknown;

const onChannels: ReadonlySet<string> = new Set(["subscribe", "unsubscribe", "publish"]);

/**
 * Makes whatever presence the server was given fit for a node of the cluster. What Colyseus itself keeps and says there is of
 * each process by itself, and stays in `local`: a shared store would bring it to all nodes, each of which has every room.
 * Inside of rooms it is refused: `this.presence` is theirs.
 */
export function adoptPresence(presence: Presence, local: Presence): void {
  // It knows by itself.
  if (presence === local) return;
  const table = presence as unknown as Record<string, Call>;
  for (const name of [...presenceMethods, "subscribe", "unsubscribe"]) {
    const own = (table[name] as Call).bind(presence);
    const kept = ((local as unknown as Record<string, Call>)[name] as Call).bind(local);
    table[name] = (...args) => {
      if (isColyseus(name, args[0])) return kept(...args);
      refuseInside(`matchMaker.presence.${name}`);
      return own(...args);
    };
  }
}

/** What each process counts, and the locks of its own `joinOrCreate`. */
function isColyseus(name: string, subject: unknown): boolean {
  if (typeof subject !== "string") return false;
  if (onChannels.has(name)) return isOwnChannel(subject);
  if (!name.startsWith("h")) return false;
  const isLock =
    subject.startsWith("ch:") && matchMaker.getRoomClass(subject.slice("ch:".length)) !== undefined;
  return subject === "roomcount" || isLock;
}
