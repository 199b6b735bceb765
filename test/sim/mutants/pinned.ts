import type { Mutant } from "../mutant.ts";

/** Bugs of rooms whose log was cut while they were not at rest. */
export const pinnedMutants: readonly Mutant[] = [
  {
    name: "old-checkpoint-of-a-pinned-room",
    file: "server/group/checkpoints.ts",
    find: "      checkpoints.set(key, state);\n      saved.push({ key, index: state.index });\n",
    replace:
      "      if (state.bytes[0] !== 0xc1) checkpoints.set(key, state);\n      saved.push({ key, index: state.index });\n",
    mode: "rooms",
    why: "a pinned room's log is cut, and its older checkpoint stays: a restart takes that for the room",
  },
  {
    name: "stub-is-no-room",
    file: "server/session/machine-rooms.ts",
    find: "    else this.odd.absent(roomId, absence, checkpoint.index);\n",
    replace: "",
    why: "a restart takes a pinned room for one that has ended, or makes it anew",
  },
  {
    name: "stub-without-origins",
    file: "server/session/room-stub.ts",
    find: "    origins,\n    agreed,\n",
    replace: "    origins: [],\n    agreed,\n",
    why: "what a node proposes to an absent room looks like a gap to itself: it sends it again for ever",
  },
  {
    name: "lost-where-a-quorum-lacks-it",
    file: "server/session/divergence/endings.ts",
    find: "      if (all.every(({ nodeId }) => saidBy(nodeId).absent.has(roomId))) yield roomId;",
    replace:
      "      if (all.filter(({ nodeId }) => saidBy(nodeId).absent.has(roomId)).length * 2 > all.length) yield roomId;",
    why: "a minority still has the room, and it is closed",
  },
];
