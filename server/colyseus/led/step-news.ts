import type { Room } from "@colyseus/core";
import { sessionLimits } from "../../session/limits.ts";
import { checkPlainData } from "../../session/plain-data.ts";
import type { RoomParts } from "../room-parts.ts";
import type { LedRoomData } from "./led-room-data.ts";
import { packed, unpacked } from "./led-step.ts";
import { nextIndexesOf } from "./state-handover.ts";
import type { StepDraft } from "./step-draft.ts";

/** What of a live room's state, records and fields the replicas do not know yet. */
export class StepNews {
  readonly #data: LedRoomData;
  /** Patches behind the full state, in bytes. */
  #patchBytes = 0;
  #needsFull: boolean;
  #cached: Uint8Array | null;
  #flags: Uint8Array | null;

  constructor(data: LedRoomData) {
    const { state, cached, flags } = data;
    this.#data = data;
    this.#needsFull = state === null;
    for (const patch of state?.patches ?? []) this.#patchBytes += patch.length;
    this.#cached = cached;
    this.#flags = flags;
  }

  patched(bytes: number): void {
    this.#patchBytes += bytes;
  }

  /** For whoever has just come, and when the patches behind the last one have become more than it. */
  takeFull({ _serializer: serializer }: RoomParts, draft: StepDraft): void {
    const { encoder, getFullState } = serializer as typeof serializer & { getFullState(): Uint8Array };
    if (encoder === undefined) return;
    const { full } = this.#data.state ?? {};
    const most = Math.max(full?.frame.length ?? 0, sessionLimits.patchBytesKeptMin);
    if (!this.#needsFull && !draft.needsFull && this.#patchBytes <= most) return;
    Object.assign(serializer, { needFullEncode: true });
    const frame = Uint8Array.from(getFullState.call(serializer));
    draft.full({ frame, nextIndexes: nextIndexesOf(encoder) });
    this.#patchBytes = 0;
    this.#needsFull = false;
  }

  takeFlags(parts: RoomParts, draft: StepDraft): void {
    const { processId: _, publicAddress: __, roomId: ___, name: ____, ...listing } = parts._listing;
    const { locked, maxClients, autoDispose, seatReservationTimeout, maxMessagesPerSecond } = parts;
    const flags = {
      ...{ listing, locked, lockedExplicitly: parts._lockedExplicitly, maxClients, autoDispose },
      ...{ seatReservationTimeout, maxMessagesPerSecond },
    };
    const bytes = packed(flags);
    if (isSame(this.#flags, bytes)) return;
    this.#flags = bytes;
    draft.flags(flags);
  }

  /** True if the room has cached something else. @throws what onCacheRoom throws, or SessionError NOT_PLAIN_DATA */
  takeCached(room: Room, draft: StepDraft): boolean {
    const value: unknown = room.onCacheRoom?.();
    checkPlainData(value, "what onCacheRoom returns");
    const bytes = packed(value);
    if (isSame(this.#cached, bytes)) return false;
    this.#cached = bytes;
    draft.cached(unpacked(bytes));
    return true;
  }
}

function isSame(one: Uint8Array | null, other: Uint8Array): boolean {
  return one !== null && Buffer.compare(one, other) === 0;
}
