import type { Mutant } from "../mutant.ts";

/** Bugs of what is agreed on between different versions of Testudo. */
export const levelMutants: readonly Mutant[] = [
  {
    name: "level-without-the-learners",
    file: "server/raft/level-raise.ts",
    find: "const all = [...members(configuration), ...recipients];",
    replace: "const all = configuration.voters;",
    why: "a learner of an older version is sent what it does not know",
  },
  {
    name: "level-without-those-who-leave",
    file: "server/raft/level-raise.ts",
    find: "const all = [...members(configuration), ...recipients];",
    replace: "const all = members(configuration);",
    why: "a node that is being removed is still sent the log, and with it what it does not know",
  },
  {
    name: "level-of-who-is-away",
    file: "server/raft/level-raise.ts",
    find: "saidBy(replica, member) ?? configuration.level",
    replace: "saidBy(replica, member) ?? options.levels.max",
    why: "a member that has not been asked may come back with an older version",
  },
  {
    name: "level-of-any-disk",
    file: "server/raft/level-raise.ts",
    find: "return linked?.storeId === member.storeId ? linked.levelMax : null;",
    replace: "return linked?.levelMax ?? null;",
    why: "another disk speaks for the member that it has not taken the place of yet",
  },
  {
    name: "folder-forgets-its-level",
    file: "server/storage/level-storage.ts",
    find: "if (this.#identity !== null && level > this.#identity.record.level)",
    replace: "if (this.#identity !== null && level > this.#identity.record.level + 1)",
    why: "an older version opens a folder that it cannot read",
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
