import type { Mutant } from "./mutant.ts";
import { eventualMutants } from "./mutants/eventual.ts";
import { groupMutants } from "./mutants/group.ts";
import { keeperMutants } from "./mutants/keeper.ts";
import { ledMutants } from "./mutants/led.ts";
import { levelMutants } from "./mutants/levels.ts";
import { pinnedMutants } from "./mutants/pinned.ts";
import { presenceMutants } from "./mutants/presence.ts";
import { raftMutants } from "./mutants/raft.ts";
import { readMutants } from "./mutants/reads.ts";
import { sessionMutants } from "./mutants/session.ts";
import { storageMutants } from "./mutants/storage.ts";

export const mutants: readonly Mutant[] = [
  ...raftMutants,
  ...groupMutants,
  ...readMutants,
  ...sessionMutants,
  ...pinnedMutants,
  ...ledMutants,
  ...eventualMutants,
  ...presenceMutants,
  ...keeperMutants,
  ...levelMutants,
  ...storageMutants,
];
