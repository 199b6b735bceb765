import type { Mutant } from "../mutant.ts";

/** Bugs of what is agreed on between different versions of Testudo. */
export const levelMutants: readonly Mutant[] = [
  {
    name: "level-of-who-is-away",
    file: "server/raft/level-raise.ts",
    find: "saidBy(replica, member) ?? configuration.level",
    replace: "saidBy(replica, member) ?? options.levels.max",
    why: "a member that has not been asked may come back with an older version",
  },
  {
    name: "level-lost-with-the-log",
    file: "server/group/applier.ts",
    find: "this.#level = base.configuration.level;\n    this.#servesFrom",
    replace: "this.#servesFrom",
    why: "behind a snapshot a replica goes by an older level than the others",
  },
  {
    name: "level-falls-in-a-change",
    file: "server/raft/member-change.ts",
    find: "    addresses: [],\n    level,\n  };",
    replace: "    addresses: [],\n    level: 1,\n  };",
    why: "what the members have agreed on is taken back by the next change of them",
  },
];
