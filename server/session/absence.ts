import type { OriginsState } from "../group/origins.ts";
import type { Checkpoint } from "../storage/storage.ts";
import type { HashPoint } from "./divergence/room-witness.ts";
import { engineOf, gameOf } from "./room-code.ts";
import { unpackStub } from "./room-stub.ts";
import { unpackRoom } from "./saved-room.ts";

/** Another code than this node's: one log is never run by two (design 5.4). */
export interface OtherCode {
  /** The room's. */
  readonly code: string;
  /** This node's. */
  readonly own: string;
}

/** Why there is no replica of a room on this node although its disk has something of it, and what goes on being counted. */
export interface Absence {
  /** The disk has no more than a stub: why the room could not be saved. Null: it has all that is needed. */
  readonly because: string | null;
  /** Null: this node could run it. */
  readonly foreign: OtherCode | null;
  readonly origins: OriginsState;
  /** The last verdict that named a hash: a copy comes only from who has applied it. */
  readonly agreed: HashPoint | null;
  /** The room as it was when it left this node's code, for the nodes that have its new one. */
  readonly handover?: Checkpoint;
}

/** Null: a checkpoint that comes to life here. */
export function absenceIn(bytes: Uint8Array, own: string): Absence | null {
  const stub = unpackStub(bytes);
  if (stub !== null) {
    const { because, origins, agreed, code } = stub;
    return { because, origins, agreed, foreign: otherCode(code, own) };
  }
  const { birth, origins, witness } = unpackRoom(bytes);
  const foreign = otherCode(birth.code, own);
  return foreign === null ? null : { because: null, origins, agreed: witness.agreed, foreign };
}

export function otherCode(code: string, own: string): OtherCode | null {
  return code === own ? null : { code, own };
}

export function describeOtherCode({ code, own }: OtherCode): string {
  const [theirs, here] = [JSON.stringify(gameOf(code)), JSON.stringify(gameOf(own))];
  const engines = `on engine ${engineOf(code)}, and this node is ${engineOf(own)} (/testudo/status says what that is)`;
  if (theirs === here) return `it runs ${engines}`;
  const games = `it runs under the game's code ${theirs}, and this node has ${here}`;
  return engineOf(code) === engineOf(own) ? games : `${games}; ${engines}`;
}
