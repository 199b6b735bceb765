import { Decoder, Reflection, type Schema } from "@colyseus/schema";
import type { LedRoomData } from "../../colyseus/led/led-room-data.ts";
import type { RoomClass } from "../../colyseus/led/live-room.ts";

type Sent = NonNullable<LedRoomData["state"]>;
type SchemaClass = typeof Schema & (new () => Schema);

/**
 * The state of a room that its leader ran, as its clients were sent it: its code need not run for that. Its schema is what
 * whoever joined was told; if nobody has joined, what the class's constructor makes.
 */
export class LedState {
  readonly #newDecoder: () => Decoder;
  #decoder: Decoder | null = null;
  #full: Sent["full"] | null = null;
  #patches = 0;

  private constructor(newDecoder: () => Decoder) {
    this.#newDecoder = newDecoder;
  }

  /** Null: what its state is made of is nowhere to be had. */
  static from(reflection: Uint8Array | null, roomClass: RoomClass): LedState | null {
    if (reflection !== null) return new LedState(() => Reflection.decode(reflection, { offset: 0 }));
    const stateClass = stateClassOf(roomClass);
    if (stateClass === null) return null;
    return new LedState(() => new Decoder(stateClass.initializeForDecoder()));
  }

  /** Undefined: the room has none yet. */
  of({ state }: Pick<LedRoomData, "state">): unknown {
    if (state === null) return undefined;
    const { full, patches } = state;
    if (full !== this.#full || this.#decoder === null) {
      this.#decoder = this.#newDecoder();
      this.#decoder.decode(full.frame, { offset: 1 });
      this.#full = full;
      this.#patches = 0;
    }
    for (; this.#patches < patches.length; this.#patches++)
      this.#decoder.decode(patches[this.#patches] as Uint8Array, { offset: 1 });
    return this.#decoder.state;
  }
}

function stateClassOf(roomClass: RoomClass): SchemaClass | null {
  try {
    const { state } = new roomClass() as { state?: object };
    return (state?.constructor as SchemaClass | undefined) ?? null;
  } catch {
    // It wants what only a server has: then there is no state to be shown, which is told.
    return null;
  }
}
