import { matchMaker, type Room } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import type { AuthOutcome } from "../session/auth-outcome.ts";
import { checkGraph, encodeGraph, hashGraph } from "../session/graph/graph.ts";
import { GraphError } from "../session/graph/graph-error.ts";
import type { LeftOut } from "../session/graph/graph-options.ts";
import type { EffectCall, RoomEnvironment, RoomProgram } from "../session/room-program.ts";
import type { RoomTimers } from "../session/room-timers.ts";
import { inWorld, outsideWorld } from "../session/sandbox.ts";
import type { Seat } from "../session/seat.ts";
import { originOf } from "./clock-patch.ts";
import { runEffect } from "./effects.ts";
import { hearEventual } from "./eventual-messages.ts";
import { changedHandlers } from "./late-handlers.ts";
import { LoggedClient } from "./logged-client.ts";
import { typeOf } from "./message-consistency.ts";
import { type NewsBatch, news, newsMethod } from "./presence/room-news.ts";
import { cachedPart } from "./room-cache.ts";
import { isCall } from "./room-calls.ts";
import { graphOf, graphOptions, keptClients, type RoomGraph, type RoomGraphOptions } from "./room-graph.ts";
import { partsOf, type RoomParts } from "./room-parts.ts";
import { rewoundEntities } from "./room-rewind.ts";
import { giveUpViews } from "./room-views.ts";
import type { Seam } from "./seam.ts";

const joinRoomCode = 10;
const requestCode = 21;
const nobody: readonly never[] = Object.freeze([]);

/** What a room class may have beside the stock hooks. */
export interface RoomUpgrade {
  /**
   * Called once, on every node alike, when a room goes on under this code that ran under another: with its fields and its state
   * as the other code has left them, and those that only this code has. Only a class that has it takes over a state with fields
   * that this code does not have.
   * @param oldState plain data, with such fields
   * @param from the other code's version
   */
  onUpgrade?(oldState: unknown, from: string): unknown;
}

/** As in the library's own toJSON. */
function plain([name, value]: [string, unknown]): [string, unknown][] {
  if (value === null || value === undefined) return [];
  const { toJSON } = value as { toJSON?: () => unknown };
  return [[name, typeof toJSON === "function" ? toJSON.call(value) : value]];
}

/** What `act` gets as JSON, with the fields that this code does not have. */
function withLeftOut<T>(leftOut: LeftOut, act: () => T): T {
  const told = [...leftOut].filter(([object]) => Object.isExtensible(object));
  for (const [object, fields] of told) {
    const own = (object as { toJSON(): object }).toJSON.bind(object);
    const toJSON = () => ({ ...own(), ...Object.fromEntries(Object.entries(fields).flatMap(plain)) });
    Object.defineProperty(object, "toJSON", { value: toJSON, configurable: true });
  }
  try {
    return act();
  } finally {
    for (const [object] of told) Reflect.deleteProperty(object, "toJSON");
  }
}

/** An ordinary Colyseus room as a program of the log: each command runs the stock Room's own method, on every replica. */
export class ColyseusRoom implements RoomProgram {
  /** Of a room that another code has saved. */
  readonly leftOut: LeftOut = new Map();
  readonly room: Room;
  readonly #seam: Seam;
  readonly #timers: RoomTimers;
  readonly #seats: ReadonlyMap<string, Seat>;
  /** The last client of each seat, present or kept. */
  readonly #clients = new Map<string, LoggedClient>();
  #discarded = false;
  #ended = false;

  constructor(
    room: Room,
    seam: Seam,
    environment: RoomEnvironment & { readonly seats: ReadonlyMap<string, Seat> },
  ) {
    this.room = room;
    this.#seam = seam;
    this.#timers = environment.world.timers;
    this.#seats = environment.seats;
    seam.lastClients = () => this.#clients.values();
    // Disconnecting is not the end yet: hooks that wait are waited for, and onDispose comes last.
    partsOf(room)._events.once("dispose", () => {
      this.#ended = true;
    });
  }

  get #parts(): RoomParts {
    return partsOf(this.room);
  }

  reserve({
    sessionId,
    options,
    auth,
    seconds,
  }: {
    sessionId: string;
    options: unknown;
    auth: unknown;
    seconds: number;
  }): Promise<boolean> {
    // joinById of a locked room is refused by matchmaking from a listing that may lag; the log has the last word.
    if (this.#parts.locked || this.disposed) return Promise.resolve(false);
    return this.#parts._reserveSeat(sessionId, options, auth ?? undefined, seconds);
  }

  hasReservation(sessionId: string): boolean {
    const reserved = this.#parts._reservedSeats[sessionId];
    return reserved !== undefined && reserved[2] !== true && reserved[3] !== true;
  }

  get reservedSeats(): number {
    return Object.values(this.#parts._reservedSeats).filter(
      (reserved) => reserved[2] !== true && reserved[3] !== true,
    ).length;
  }

  join(
    seat: Seat,
    {
      skipHandshake,
      reconnecting,
      auth,
      missed,
    }: { skipHandshake: boolean; reconnecting: boolean; auth: AuthOutcome; missed: readonly Uint8Array[] },
  ): Promise<void> {
    const dropped = this.#clients.get(seat.sessionId);
    const client = this.#newClient(seat);
    client.authOutcome = auth;
    client._enqueuedMessages = [...missed];
    // What waits for the next patch goes where the client is by then.
    if (reconnecting && dropped !== undefined)
      client._pendingFrames.push(...dropped._pendingFrames.splice(0));
    // The stock room knows the seat by the token of the connection before, whichever of its two tokens was shown.
    const connection = reconnecting
      ? { reconnectionToken: dropped?.reconnectionToken ?? "", skipHandshake }
      : { skipHandshake };
    return this.#parts._onJoin(
      client,
      { token: undefined, headers: new Headers(), ip: undefined },
      connection,
    );
  }

  async upgrade(from: string): Promise<void> {
    const { room } = this;
    const state = room.state as { toJSON?(): unknown } | undefined;
    const oldState = withLeftOut(this.leftOut, () => state?.toJSON?.());
    this.leftOut.clear();
    await (room as Room & RoomUpgrade).onUpgrade?.(oldState, from);
  }

  tokenShown(seat: Seat): void {
    const client = this.#clients.get(seat.sessionId);
    if (client !== undefined) client.hasToken = true;
  }

  drop(seat: Seat, code: number): void {
    this.#clients.get(seat.sessionId)?.connectionLost(code);
  }

  isKept(seat: Seat): boolean {
    const token = this.#clients.get(seat.sessionId)?.reconnectionToken;
    return (
      token !== undefined &&
      this.#parts._reconnections[token]?.[0] === seat.sessionId &&
      this.#parts._reservedSeats[seat.sessionId]?.[3] === true
    );
  }

  vacated(): readonly Seat[] {
    const { clients } = this.#parts;
    // As a rule everybody is here, and every command asks.
    if (clients.length === this.#seats.size) return nobody;
    const present = new Set<unknown>(clients);
    return [...this.#seats.values()].filter((seat) => {
      const client = this.#clients.get(seat.sessionId);
      return !present.has(client) && client?.isLeaving !== true && !this.isKept(seat);
    });
  }

  isPresent(seat: Seat): boolean {
    const client = this.#clients.get(seat.sessionId);
    return client !== undefined && this.#parts.clients.includes(client);
  }

  message(seat: Seat, frame: Uint8Array): void {
    const client = this.#clients.get(seat.sessionId);
    if (client === undefined) return;
    if (frame[0] === joinRoomCode) this.#seam.environment.acknowledged(seat);
    client.ref.emit("message", Buffer.from(frame));
  }

  latestType(frame: Uint8Array): string | null {
    return typeOf(frame, this.#seam.options.messages, "latest");
  }

  eventualType(frame: Uint8Array): string | null {
    return typeOf(frame, this.#seam.options.messages, "eventual");
  }

  hearEventual(seat: Seat, frame: Uint8Array): void {
    const client = this.#clients.get(seat.sessionId);
    if (client !== undefined) hearEventual(this.room, this.#seam, client, frame);
  }

  get messagesPerSecondMax(): number {
    return this.#parts.maxMessagesPerSecond;
  }

  repeat(seat: Seat, frame: Uint8Array): void {
    if (frame[0] !== requestCode) return;
    const reply = seat.replies.get(decode.number(frame, { offset: 1 }));
    if (reply !== undefined) this.#seam.environment.deliver(seat, seat.epoch, reply);
  }

  call(method: string, data: readonly unknown[]): unknown {
    if (method === newsMethod) return news(this.#seam).hear(data[0] as NewsBatch);
    const called = (this.room as unknown as Record<string, unknown>)[method];
    if (typeof called !== "function")
      throw new Error(`room "${this.room.roomName}" has no method "${method}" to propose`);
    return called.apply(this.room, data);
  }

  runEffect(name: string, argument: unknown, call: EffectCall): unknown {
    return isCall(name) ? this.#seam.call(name, argument, call) : runEffect(this.room, name, argument, call);
  }

  /** What the room has subscribed to, and behind which position. */
  get newsChannels(): ReadonlyMap<string, number | null> {
    return news(this.#seam).channels;
  }

  takeLeaves(): readonly { seat: Seat; code: number; reason: string }[] {
    if (this.#seam.leaves.length === 0) return nobody;
    return this.#seam.leaves
      .splice(0)
      .map(({ client, code, reason }) => ({ seat: client.seat, code, reason }));
  }

  get disposed(): boolean {
    // What its last hooks wait for from outside is still to come: a score that is saved, a continuation behind it.
    return this.#discarded || (this.#ended && !this.#seam.environment.world.effects.isWaiting);
  }

  restlessBecause(): string | null {
    const subscribed = news(this.#seam).restlessBecause();
    if (subscribed !== null) return subscribed;
    const handlers = changedHandlers(this.room);
    if (handlers !== null) return handlers;
    for (const delayed of this.#parts.clock.delayed) {
      const origin = originOf(delayed);
      if (delayed.active && (origin === undefined || origin.type === "closure"))
        return `a clock timer made at ${origin?.site ?? "an unknown place"} has not fired`;
    }
    const known = new Set<unknown>([
      this.#parts._autoDisposeTimeout,
      ...Object.values(this.#parts._reservedSeatTimeouts),
    ]);
    for (const timer of this.#timers.live) {
      if (timer.createOrdinal === null && !known.has(timer))
        return "patchRate, setTimestep() or a timer of Colyseus's own was changed after onCreate";
    }
    return null;
  }

  save(): Uint8Array {
    return this.#withGraph(encodeGraph);
  }

  hash(): string {
    return this.#withGraph(hashGraph);
  }

  /** @throws GraphError GRAPH_UNSAVABLE that lists paths and remedies */
  checkSavable(): void {
    const problems = this.#withGraph(checkGraph);
    if (problems.length === 0) return;
    const lines = problems.map(
      ({ path, what, remedy }) =>
        `${path.replace("room.fields.", "room.").replace("room.cached", "onCacheRoom()")} is ${what} (remedy: ${remedy})`,
    );
    throw new GraphError(
      "GRAPH_UNSAVABLE",
      `${this.room.constructor.name} cannot be saved: ${lines.join("; ")}`,
      { problems },
    );
  }

  /** Puts a restored client where `join` would have. */
  adopt(client: LoggedClient): void {
    this.#clients.set(client.sessionId, client);
  }

  clientOf(sessionId: string): LoggedClient | undefined {
    return this.#clients.get(sessionId);
  }

  get clients(): Iterable<LoggedClient> {
    return this.#clients.values();
  }

  discard(): void {
    if (this.#discarded) return;
    this.#discarded = true;
    discardStockRoom(this.room);
    inWorld(this.#seam.environment.world, () => giveUpViews(this.room));
  }

  #newClient(seat: Seat): LoggedClient {
    const client = new LoggedClient(
      {
        environment: this.#seam.environment,
        leave: (left, code, reason) => this.#seam.leaves.push({ client: left, code, reason }),
      },
      seat,
    );
    this.#clients.set(seat.sessionId, client);
    return client;
  }

  #kept(): Map<string, LoggedClient> {
    for (const sessionId of this.#clients.keys())
      if (!this.#seats.has(sessionId)) this.#clients.delete(sessionId);
    return keptClients(this.#clients, this.#seats, (seat) => this.isKept(seat));
  }

  /** What is found by walking the graph, and then belongs to it: past clients that room code still holds, past entities' histories. */
  #withGraph<T>(act: (graph: RoomGraph, options: RoomGraphOptions) => T): T {
    const kept = this.#kept();
    const cached = cachedPart(this.room, this.#seam);
    let past: readonly LoggedClient[] = [];
    let remembered = rewoundEntities(this.room);
    for (;;) {
      const options = graphOptions(this.room, this.#seam, this.#clients.values(), past, remembered);
      const graph = { ...graphOf(this.room, this.#seam, this.#timers, kept, past, remembered), ...cached };
      const result = act(graph, options);
      if (options.past.length === past.length && options.remembered.size === remembered.length) return result;
      past = options.past;
      remembered = [...options.remembered];
    }
  }
}

/** Takes a stock room out of Colyseus's own books without a word to its code. */
export function discardStockRoom(room: Room): void {
  const events = partsOf(room)._events;
  const [stockDispose] = events.listeners("dispose");
  if (stockDispose !== undefined) events.removeListener("dispose", stockDispose as () => void);
  events.emit("dispose");
  events.emit("disconnect");
  if (outsideWorld(() => matchMaker.getLocalRoomById(room.roomId)) === room)
    throw new Error(`room ${room.roomId} is still listed`);
}
