import type { Room } from "@colyseus/core";
import type { Schema } from "@colyseus/schema";
import { InputDecoder } from "@colyseus/schema/input";
import { type InputClass, inputsOf, inputsOwner } from "./input-definition.ts";
import type { LoggedClient } from "./logged-client.ts";

/** What the stock room's buffer of one client keeps: the part of it that room code or a client can see. */
interface InputBuffer {
  _items: Schema[];
  /** Those before it are consumed. */
  _head: number;
  _renderTimes: number[];
  _reckonTimes: number[];
  /** Of unreliable inputs only. */
  _seqs?: number[] | undefined;
  _lastSeq: number;
  _lastConsumedSeq: number;
  _lastRenderTime: number;
  _lastReckonTime: number;
  _lastWasIdle: boolean;
  /** A loop over it was begun and not ended. */
  _iterActive: boolean;
  consumedCount: number;
  /** The one object that stands in where there is no input. */
  _idle?: Schema | undefined;
  /** The one object that the `idle` callback is given. */
  _idleCtx: object;
  idleFrame(overrides: true): Schema;
}

type SavedBuffer = Omit<InputBuffer, "_head" | "idleFrame">;

/** What a client's connection has brought of inputs. */
interface SavedInputs {
  readonly latest: Schema;
  readonly stampBaseline: number;
  readonly receivedCount: number | undefined;
  readonly receivedAt: number | undefined;
  readonly buffer: SavedBuffer | null;
}

/** The inputs of a room in its graph; not there if it has none. */
export interface InputsPart {
  readonly inputs?: {
    readonly tickRate: number | undefined;
    readonly subSteps: number | undefined;
    /** By session id; each is the accessor of one of the clients. */
    readonly accessors: readonly (readonly [string, object])[];
    /** In the order of the graph's clients, and of its past ones. */
    readonly clients: readonly (SavedInputs | null)[];
    readonly past: readonly (SavedInputs | null)[];
  };
}

const apiName = "inputs";
const ofClient = "inputs of ";

export function inputsPart(
  room: Room,
  clients: readonly LoggedClient[],
  past: readonly LoggedClient[],
): InputsPart {
  const controller = inputsOf(room);
  if (controller === undefined) return {};
  const { options, accessors } = controller;
  return {
    inputs: {
      tickRate: options.tickRate,
      subSteps: options.subSteps,
      accessors: [...accessors],
      clients: clients.map(savedInputs),
      past: past.map(savedInputs),
    },
  };
}

export function inputClasses(room: Room): readonly InputClass[] {
  const controller = inputsOf(room);
  return controller === undefined ? [] : [controller.options.ctor];
}

/** What of the inputs room code may hold that is no data. */
export function inputReferences(room: Room): [object, string][] {
  const controller = inputsOf(room);
  return controller === undefined ? [] : [[controller.api, apiName]];
}

/** @returns undefined: it is not what `this.inputs.get()` gives */
export function inputsName(
  object: object,
  nameOf: (client: LoggedClient) => string | undefined,
): string | undefined {
  const client = inputsOwner(object);
  return client === undefined ? undefined : `${ofClient}${nameOf(client)}`;
}

/** The inverse. */
export function inputsNamed(name: string, resolve: (name: string) => object | undefined): object | undefined {
  if (!name.startsWith(ofClient)) return resolve(name);
  return (resolve(name.slice(ofClient.length)) as LoggedClient | undefined)?._inputAccessor;
}

/** First of all: room code may hold what `this.inputs.get()` gave it. */
export function allocateInputs(room: Room, clients: Iterable<LoggedClient>): void {
  const controller = inputsOf(room);
  if (controller === undefined) return;
  for (const client of clients) controller.allocate(client);
}

/** Lays what was saved over the inputs of clients that have joined anew. */
export function restoreInputs(
  room: Room,
  { inputs }: InputsPart,
  { clients, past }: { clients: readonly LoggedClient[]; past: readonly LoggedClient[] },
): void {
  const controller = inputsOf(room);
  if ((controller === undefined) !== (inputs === undefined))
    throw new Error("the checkpoint is of a room that defines its inputs otherwise");
  if (controller === undefined || inputs === undefined) return;
  const { tickRate, subSteps } = inputs;
  Object.assign(controller.options, { tickRate, subSteps });
  for (const [at, client] of clients.entries()) layOver(client, inputs.clients[at]);
  for (const [at, client] of past.entries()) layOver(client, inputs.past[at]);
  controller.accessors.clear();
  for (const [sessionId, accessor] of inputs.accessors) {
    controller.accessors.set(sessionId, accessor);
    const client = inputsOwner(accessor);
    if (client !== undefined) client._inputAccessor = accessor;
  }
}

function savedInputs(client: LoggedClient): SavedInputs | null {
  const { _input: latest, _inputBuffer: buffer } = client;
  if (latest === undefined) return null;
  return {
    latest,
    stampBaseline: client._reckonBaseline ?? 0,
    receivedCount: client._receivedInputCount,
    receivedAt: client._lastInputReceivedAt,
    buffer: buffer === undefined ? null : savedBuffer(buffer as InputBuffer),
  };
}

function savedBuffer(buffer: InputBuffer): SavedBuffer {
  const { _head, consumedCount, _idleCtx, _idle } = buffer;
  return {
    _items: buffer._items.slice(_head),
    _renderTimes: buffer._renderTimes.slice(_head),
    _reckonTimes: buffer._reckonTimes.slice(_head),
    _seqs: buffer._seqs?.slice(_head),
    _lastSeq: buffer._lastSeq,
    _lastConsumedSeq: buffer._lastConsumedSeq,
    _lastRenderTime: buffer._lastRenderTime,
    _lastReckonTime: buffer._lastReckonTime,
    _lastWasIdle: buffer._lastWasIdle,
    _iterActive: buffer._iterActive,
    consumedCount,
    _idle,
    _idleCtx,
  };
}

function layOver(client: LoggedClient, saved: SavedInputs | null | undefined): void {
  if (saved === null || saved === undefined) return;
  client._input = saved.latest;
  client._inputDecoder = new InputDecoder(saved.latest);
  client._reckonBaseline = saved.stampBaseline;
  if (saved.receivedCount !== undefined) client._receivedInputCount = saved.receivedCount;
  if (saved.receivedAt !== undefined) client._lastInputReceivedAt = saved.receivedAt;
  const buffer = client._inputBuffer as InputBuffer | undefined;
  if (buffer === undefined || saved.buffer === null) return;
  // The stock buffer reads the fields' names and defaults as it makes its idle frame.
  if (saved.buffer._idle !== undefined) buffer.idleFrame(true);
  Object.assign(buffer, saved.buffer, { _head: 0 });
}
