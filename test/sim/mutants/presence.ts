import type { Mutant } from "../mutant.ts";

/** Bugs of what rooms ask of the server's presence, and hear there. */
export const presenceMutants: readonly Mutant[] = [
  {
    name: "asked-again-is-done-again",
    file: "server/menu/presence-state.ts",
    find: "let outcome = this.#calls.of(once);",
    replace: 'let outcome = this.#calls.of("");',
    mode: "rooms",
    why: "what the next leader asks again, with the same key, counts twice",
  },
  {
    name: "news-heard-twice",
    file: "server/colyseus/presence/room-news.ts",
    find: "const isKnown = position !== null && last !== null && position <= last;",
    replace: "const isKnown = false;",
    why: "what the leader tells again, since nobody knew whether it was agreed, is heard again",
  },
  {
    name: "next-leader-listens-from-now-on",
    file: "server/colyseus/presence/news-keeper.ts",
    find: "await presence.subscribeFrom(channel, after, heard, lost);",
    replace: "await presence.subscribeFrom(channel, null, heard, lost);",
    why: "what was published while the lead moved is missed",
  },
];
