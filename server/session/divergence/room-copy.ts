import type { Checkpoint } from "../../storage/storage.ts";
import { otherCode } from "../absence.ts";
import type { SessionMachine } from "../session-machine.ts";
import type { OddReplica } from "./odd-replica.ts";
import { noHash } from "./room-witness.ts";

/** What a replica that differs asks a holder for. */
export interface CopyWish {
  readonly roomId: string;
  /** The verdict against it; 0: there was none yet, and whoever has the room is a holder. */
  readonly index: number;
  readonly hash: string;
  /** Where the one who asks stands. */
  readonly notBefore: number;
  /** The asker's version of the game's code. */
  readonly code: string;
  /** It is to see whether its code would take the room over. */
  readonly isTrial?: boolean;
}

export type Copied =
  | { readonly type: "copied"; readonly checkpoint: Checkpoint }
  | { readonly type: "refused"; readonly reason: string };

/** The room as it is here now, for a node whose replica differs; only from a holder of the hash that was agreed. */
export function copyRoom(machine: SessionMachine, wish: CopyWish): Copied {
  const replica = machine.rooms.get(wish.roomId);
  if (replica === undefined) return handedOver(machine.odd.get(wish.roomId), wish);
  if (machine.odd.has(wish.roomId)) return refused("this replica differs, too");
  const foreign = otherCode(replica.birth.code, wish.code);
  if (foreign !== null && wish.isTrial !== true)
    return refused(`here it runs under the game's code ${JSON.stringify(foreign.code)}`);
  const agreed = replica.witness.agreed ?? { index: 0, hash: noHash };
  const isHolder = agreed.index > wish.index || (agreed.index === wish.index && agreed.hash === wish.hash);
  if (!isHolder) return refused("the verdict has not come here yet");
  const index = Math.max(machine.appliedIndex, replica.index);
  if (index < wish.notBefore) return refused(`${index} is applied here, not yet ${wish.notBefore}`);
  const bytes = machine.copyOf(replica);
  if (bytes === null) return refused(`not at rest: ${replica.restlessBecause() ?? "no longer so"}`);
  return { type: "copied", checkpoint: { index, bytes } };
}

/** Only at the switch itself: who asks from further on gets it from those that have gone on. */
function handedOver(odd: OddReplica | undefined, { code, notBefore, isTrial }: CopyWish): Copied {
  const checkpoint = odd?.foreign?.code === code && isTrial !== true ? odd.handover : null;
  if (checkpoint === null) return refused("the room is not here");
  if (checkpoint.index < notBefore)
    return refused(`it was switched at entry ${checkpoint.index}, before ${notBefore}`);
  return { type: "copied", checkpoint };
}

function refused(reason: string): Copied {
  return { type: "refused", reason };
}
