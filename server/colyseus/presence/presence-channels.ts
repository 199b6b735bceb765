import { LocalPresence } from "@colyseus/core";
import { currentWorld } from "../../session/sandbox.ts";

/** Of Colyseus's own: one process listens, and one asks it or answers. */
const betweenTwo = /^(?:p:|\$|ipc:)/;
/** What each process tells of its own rooms, and tells itself. */
const ofProcess = /^(?:\$lobby$|concurrent:)/;

/**
 * How a message travels. `local`: it stays in this process. `near`: likewise if somebody here listens, else it goes to
 * whoever does. `shared`: to everybody who listens, on every node.
 */
export type ChannelKind = "local" | "near" | "shared";

/** What Colyseus says inside of an apply it says on every node: each keeps that to itself. */
export function channelKind(channel: string, isPlainName: (name: string) => boolean): ChannelKind {
  const isInside = currentWorld() !== null;
  // Who waits in another node's `joinOrCreate` for the same room is to hear of it.
  if (channel.startsWith("concurrent:") && !isInside && isOfPlain(channel, isPlainName)) return "shared";
  if (ofProcess.test(channel)) return "local";
  if (!betweenTwo.test(channel)) return "shared";
  return isInside ? "local" : "near";
}

/** `concurrent:NAME:FILTER`: either may have colons in it. */
function isOfPlain(channel: string, isPlainName: (name: string) => boolean): boolean {
  const parts = channel.split(":").slice(1);
  return parts.some((_, at) => at > 0 && isPlainName(parts.slice(0, at).join(":")));
}

/**
 * Keys in which Colyseus keeps what each process knows of itself; see NodeCounts for the others' counts. Of plain rooms all
 * nodes together let one make what is missing; replicated ones are agreed anyhow.
 */
export function isOwnKey(key: unknown, isReplicatedName: (name: string) => boolean): boolean {
  if (typeof key !== "string") return false;
  const ofRoom = key.startsWith("ch:") && isReplicatedName(key.slice("ch:".length));
  return ofRoom || key === countsKey || key === "roomhistory" || key.startsWith("swept:");
}

/** Colyseus's own key for what each process counts. */
export const countsKey = "roomcount";

/** Redis's patterns: `*`, `?`, `[abc]`, `[^a-z]`, and a backslash before what stands for itself. */
export function globTest(pattern: string): (text: string) => boolean {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const sign = pattern[at] as string;
    const end = sign === "[" ? pattern.indexOf("]", at + 1) : -1;
    if (sign === "*") source += "[^]*";
    else if (sign === "?") source += "[^]";
    else if (end > at + 1) {
      const inside = pattern.slice(at + 1, end).replace(/[\\[\]]/g, "\\$&");
      source += `[${inside}]`;
      at = end;
    } else {
      if (sign === "\\" && at + 1 < pattern.length) at++;
      source += (pattern[at] as string).replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
    }
  }
  const expression = new RegExp(`^${source}$`);
  return (text) => expression.test(text);
}

/** What stays in this process. */
export class ProcessPresence extends LocalPresence {
  listens(channel: string): boolean {
    return this.subscriptions.listenerCount(channel) > 0;
  }
}
