import type { DefineInputOptions, Room } from "@colyseus/core";
import { decode, type Schema } from "@colyseus/schema";
import { sessionLimits } from "../session/limits.ts";
import { SessionError } from "../session/session-error.ts";
import type { LoggedClient } from "./logged-client.ts";
import { seamOfRoom } from "./seam.ts";

/** What `defineInput` makes of its options; the rates may be set later by the room's timestep. */
interface InputRates {
  tickRate?: number | undefined;
  subSteps?: number | undefined;
}

/** The stock room's inputs, as the seam uses them. */
export interface InputController {
  readonly options: InputRates & { readonly ctor: InputClass };
  /** What `this.inputs` is. */
  readonly api: object;
  /** What `this.inputs.get(sessionId)` gives: of everybody who is here, and of who may come back. */
  readonly accessors: Map<string, object>;
  allocate(client: LoggedClient): void;
  decodeUnreliable(client: LoggedClient, frame: Buffer, modifiers: number): void;
}

interface TimelineRoom {
  _timelineMode(): { readonly snapshot?: boolean; readonly reckon?: boolean } | undefined;
}

export type InputClass = new () => Schema;

const timed = 0x80;
/** What the stamps of a ring begin with: the instant itself, then how far behind it others are shown. */
const seriesAnchorBytes = [4, 2];

export function inputsOf(room: Room): InputController | undefined {
  return (room as unknown as { readonly _inputController?: InputController })._inputController;
}

const owners = new WeakMap<object, LoggedClient>();

/** The client whose inputs an object of `this.inputs.get()` reads. */
export function inputsOwner(accessor: object): LoggedClient | undefined {
  return owners.get(accessor);
}

/**
 * The stock room's `defineInput`, for what a checkpoint can keep.
 * @throws SessionError NOT_SUPPORTED @throws RangeError
 */
export function defineInputs(
  room: Room,
  { type, options }: { type: InputClass; options?: DefineInputOptions | undefined },
  stock: () => object,
): object {
  const { name } = room.constructor;
  if (seamOfRoom(room)?.creating === false)
    throw new SessionError(
      "NOT_SUPPORTED",
      `${name} calls defineInput() after onCreate, and a restored room would not: declare \`inputs = this.defineInput(…)\` as a field`,
    );
  checkFlat(name, type);
  checkBuffer(name, options?.bufferMaxSize);
  const api = stock();
  const controller = inputsOf(room);
  if (controller === undefined) throw new Error("the stock room keeps its inputs somewhere else");
  guard(room, controller);
  return api;
}

/** Fixed steps are what clients predict with. */
export function advertiseSteps(room: Room, rates: { tickRate: number; subSteps: number }): void {
  const controller = inputsOf(room);
  if (controller !== undefined) Object.assign(controller.options, rates);
}

/** What a decoder knows of nested instances beside their values is in no checkpoint; Colyseus's own encoder refuses them, too. */
function checkFlat(room: string, type: InputClass): void {
  const metadata = (type as unknown as Record<symbol, Record<number, { name: string; type: unknown }>>)[
    Symbol.metadata as symbol
  ];
  for (const field of Object.values(metadata ?? {})) {
    const { name, type: kind } = field;
    if (typeof name !== "string") continue;
    if (typeof kind === "string" || (typeof kind === "object" && kind !== null && "quantized" in kind))
      continue;
    throw new SessionError(
      "NOT_SUPPORTED",
      `${room}: the input's field "${name}" holds more than one value: an input has numbers, strings and booleans only; send the rest as a message`,
    );
  }
}

function checkBuffer(room: string, size: number | undefined): void {
  const { inputsBufferedMax } = sessionLimits;
  if (size === undefined || (Number.isSafeInteger(size) && size >= 0 && size <= inputsBufferedMax)) return;
  throw new RangeError(
    `${room}.defineInput(): bufferMaxSize is ${size}: a whole number from 0 to ${inputsBufferedMax} is allowed`,
  );
}

/** Once a room: `defineInput` may be called again, for a class and for one that extends it. */
function guard(room: Room, controller: InputController): void {
  if (Object.hasOwn(controller, "allocate")) return;
  const { allocate, decodeUnreliable } = controller;
  controller.allocate = (client) => {
    allocate.call(controller, client);
    const accessor = client._inputAccessor;
    if (accessor !== undefined) owners.set(accessor, client);
  };
  controller.decodeUnreliable = (client, frame, modifiers) => {
    const { snapshot, reckon } = (room as unknown as TimelineRoom)._timelineMode() ?? {};
    const stampSeries = (modifiers & timed) === 0 ? 0 : snapshot === true && reckon === true ? 2 : 1;
    if (isRing(frame, stampSeries)) decodeUnreliable.call(controller, client, frame, modifiers);
  };
}

/**
 * False for a ring that the stock decoder would not come back from: it goes back by a length that is negative, and makes
 * as many stamps as it is told. One such frame would end every node.
 */
function isRing(frame: Buffer, stampSeries: 0 | 1 | 2): boolean {
  const at = { offset: 1 };
  if (stampSeries > 0) {
    const stamps = decode.number(frame, at);
    if (!(stamps >= 1 && stamps <= frame.length)) return false;
    for (const anchorBytes of seriesAnchorBytes.slice(0, stampSeries)) {
      at.offset += anchorBytes;
      for (let stamp = 1; stamp < stamps; stamp++) decode.number(frame, at);
    }
  }
  decode.number(frame, at);
  while (at.offset < frame.length) {
    const length = decode.number(frame, at);
    if (!(Number.isSafeInteger(length) && length >= 0)) return false;
    at.offset += length;
  }
  return at.offset === frame.length;
}
