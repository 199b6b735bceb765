import type { Mutant } from "../mutant.ts";

/** Bugs of locks, and of keys that expire. */
export const keeperMutants: readonly Mutant[] = [
  {
    name: "lock-jumps-the-queue",
    file: "server/menu/lock-state.ts",
    find: "this.#locks.set(name, [...claims, claim]);",
    replace: "this.#locks.set(name, [...claims.slice(0, 1), claim, ...claims.slice(1)]);",
    why: "who came last is served first",
  },
  {
    name: "lock-token-comes-again",
    file: "server/menu/lock-state.ts",
    find: "claim.token = index;",
    replace: "claim.token = 1 + (index % 64);",
    why: "a later holder's token is smaller than an earlier one's, so that old writes pass",
  },
  {
    name: "lock-not-lost-with-its-lease",
    file: "server/menu/lock-state.ts",
    find: "const isOver = ({ untilMs }: Claim) => untilMs !== null && untilMs <= context.logTimeMs;",
    replace:
      "const isOver = ({ untilMs, token }: Claim) => untilMs !== null && token === 0 && untilMs <= context.logTimeMs;",
    why: "a holder that is gone holds its lock for ever",
  },
  {
    name: "fence-of-anybody",
    file: "server/menu/keeper.ts",
    find: "lock.state.holder(name)?.token === token;",
    replace: "token > 0 && lock.state !== null && name !== null;",
    mode: "keeper",
    why: "who has lost its lock writes all the same",
  },
  {
    name: "key-expires-early",
    file: "server/menu/kv-state.ts",
    find: "(first.expiresAtMs as number) > logTimeMs)",
    replace: "(first.expiresAtMs as number) > logTimeMs + 40)",
    why: "a key is gone before its time",
  },
  {
    name: "eviction-of-the-last-to-expire",
    file: "server/menu/kv-state.ts",
    find: "for (const one of this.#expiring) {",
    replace: "for (const one of [...this.#expiring].reverse()) {",
    why: "what would live longest has to go first",
  },
  {
    name: "expiry-forgotten-in-a-checkpoint",
    file: "server/menu/kv-state.ts",
    find: "expiresAtMs: expiries[row] ?? null",
    replace: "expiresAtMs: row === 0 ? null : (expiries[row] ?? null)",
    why: "a replica that was brought back keeps a key for ever, the others do not",
  },
];
