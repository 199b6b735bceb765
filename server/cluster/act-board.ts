import assert from "node:assert/strict";
import { roomActs } from "../session/room-mark.ts";
import type { RoomActing } from "../session/room-watch.ts";

const roomIdCharsMax = 128;

const slots = Object.freeze({
  version: 0,
  isActing: 1,
  number: 2,
  group: 3,
  act: 4,
  idLength: 5,
  debugged: 6,
  beats: 7,
});
const indexAt = 32;
const roomIdAt = 40;
const bytes = roomIdAt + 2 * roomIdCharsMax;

/** What the thread that looks on finds. */
export interface BoardView {
  /** Of the act, counted from 1 by this start: another number, another act. */
  readonly number: number;
  readonly acting: RoomActing;
}

/**
 * A piece of memory that two threads share: the one that runs room code writes on it what it is about to do and wipes it
 * afterwards, the other one looks at it. A few stores an act, no call of the system: it is written for every command.
 */
export class ActBoard {
  readonly memory: SharedArrayBuffer;
  readonly #slots: Int32Array;
  readonly #index: Float64Array;
  readonly #roomId: Uint16Array;
  #number = 0;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(bytes)) {
    assert(memory.byteLength === bytes, `a board has ${bytes} bytes`);
    this.memory = memory;
    this.#slots = new Int32Array(memory, 0, indexAt / 4);
    this.#index = new Float64Array(memory, indexAt, 1);
    this.#roomId = new Uint16Array(memory, roomIdAt, roomIdCharsMax);
  }

  // ---- the thread that runs room code -----------------------------------------------------------------------------

  begin({ group, roomId, act, index }: RoomActing): void {
    const { length } = roomId;
    assert(length <= roomIdCharsMax, `a room's id has at most ${roomIdCharsMax} characters`);
    // While the version is odd the other thread does not believe what it reads.
    Atomics.add(this.#slots, slots.version, 1);
    this.#number = (this.#number + 1) | 0;
    this.#slots[slots.number] = this.#number;
    this.#slots[slots.group] = group;
    this.#slots[slots.act] = roomActs.indexOf(act);
    this.#slots[slots.idLength] = length;
    this.#index[0] = index;
    for (let at = 0; at < length; at++) this.#roomId[at] = roomId.charCodeAt(at);
    this.#slots[slots.isActing] = 1;
    Atomics.add(this.#slots, slots.version, 1);
  }

  end(): void {
    Atomics.store(this.#slots, slots.isActing, 0);
  }

  /** The event loop turns. */
  beat(): void {
    Atomics.add(this.#slots, slots.beats, 1);
  }

  /** A debugger may hold the process in the middle of room code for as long as it likes. */
  set isDebugged(isDebugged: boolean) {
    Atomics.store(this.#slots, slots.debugged, isDebugged ? 1 : 0);
  }

  // ---- the thread that looks on -----------------------------------------------------------------------------------

  get isDebugged(): boolean {
    return Atomics.load(this.#slots, slots.debugged) === 1;
  }

  /** Another number, and the other thread has done something meanwhile: another act, or a turn of its event loop. */
  get signsOfLife(): number {
    return (Atomics.load(this.#slots, slots.beats) + Atomics.load(this.#slots, slots.version)) | 0;
  }

  /** Null: no room code runs, or just begins. */
  look(): BoardView | null {
    const version = Atomics.load(this.#slots, slots.version);
    if (version % 2 !== 0 || Atomics.load(this.#slots, slots.isActing) === 0) return null;
    const number = this.#slots[slots.number] as number;
    const group = this.#slots[slots.group] as number;
    const act = roomActs[this.#slots[slots.act] as number];
    const index = this.#index[0] as number;
    const roomId = String.fromCharCode(...this.#roomId.subarray(0, this.#slots[slots.idLength]));
    if (Atomics.load(this.#slots, slots.version) !== version || act === undefined) return null;
    return { number, acting: { group, roomId, act, index } };
  }

  /** The act of this number is still under way. */
  isStillActing(number: number): boolean {
    return this.look()?.number === number;
  }
}
