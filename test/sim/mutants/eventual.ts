import type { Mutant } from "../mutant.ts";

/** Bugs of messages that are in no log. */
export const eventualMutants: readonly Mutant[] = [
  {
    name: "eventual-message-may-change-the-room",
    file: "server/colyseus/lent.ts",
    find: "  const world = currentWorld();\n  if (world?.forbids === undefined) return value;",
    replace:
      "  if (value === undefined || path !== undefined) return value;\n  const world = currentWorld();",
    why: "each node that has clients of the room has another one then",
  },
];
