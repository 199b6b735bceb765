import { describeOtherCode } from "./absence.ts";
import type { OddRooms } from "./divergence/odd-rooms.ts";
import type { RoomReplica } from "./room-replica.ts";
import { packStub } from "./room-stub.ts";

interface PinnedRoomsParts {
  readonly group: number;
  /** This node's. */
  readonly code: string;
  readonly log: { warn(fields: object, message: string): void };
  readonly rooms: ReadonlyMap<string, RoomReplica>;
  readonly odd: OddRooms;
}

/**
 * The rooms of one group that have not been at rest for so long that their log is not kept any more (design 5.5). Each
 * node decides so for itself. From then on its disk has a stub of the room: a start that finds one knows that the room is
 * not here, and asks the others for it.
 */
export class PinnedRooms {
  readonly #parts: PinnedRoomsParts;

  constructor(parts: PinnedRoomsParts) {
    this.#parts = parts;
  }

  /** From now on the room is saved as a stub, until it comes to rest; null: there is no replica of it at all. */
  pin(roomId: string): Uint8Array | null {
    const odd = this.#parts.odd.get(roomId);
    const replica = this.#parts.rooms.get(roomId);
    if (odd?.foreign)
      odd.pinnedBecause ??= `${describeOtherCode(odd.foreign)} for so long that its log was cut`;
    else if (odd !== undefined)
      odd.pinnedBecause ??= `it differs from the others': ${odd.divergence.waitsFor}`;
    else if (replica !== undefined && !replica.isPinned) this.#pin(replica);
    return this.stub(roomId);
  }

  #pin(replica: RoomReplica): void {
    const { roomId, roomName } = replica.birth;
    const { log, group } = this.#parts;
    replica.isPinned = true;
    const because = replica.restlessBecause();
    const facts = { event: "room-pinned", group, roomId, room: roomName, index: replica.index, because };
    const what = `room ${roomId} (${roomName}) is pinned to the nodes that run it, and lost if all of them end`;
    log.warn(facts, `${what}: it has not been at rest while the log grew past roomLogBytesMax: ${because}`);
  }

  /** It is saved as it is. */
  unpin(replica: RoomReplica): void {
    if (!replica.isPinned) return;
    const { roomId, roomName } = replica.birth;
    const { log, group } = this.#parts;
    replica.isPinned = false;
    const facts = { event: "room-unpinned", group, roomId, room: roomName };
    log.warn(facts, `room ${roomId} (${roomName}) has come to rest, and is pinned no more`);
  }

  /** What is to be on the disk of a pinned room; null: it has a checkpoint, or is not here. */
  stub(roomId: string): Uint8Array | null {
    const { code } = this.#parts;
    const odd = this.#parts.odd.get(roomId);
    if (odd !== undefined) {
      const { origins, pinnedBecause: because, divergence, foreign } = odd;
      const { index, hash } = divergence;
      const agreed = index === 0 ? null : { index, hash };
      return because === null ? null : packStub({ because, origins, agreed, code: foreign?.code ?? code });
    }
    const replica = this.#parts.rooms.get(roomId);
    if (!replica?.isPinned) return null;
    const because = replica.restlessBecause() ?? "it could not be saved";
    return packStub({ because, origins: replica.origins.state, agreed: replica.witness.agreed, code });
  }
}
