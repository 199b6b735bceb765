import { type Client, Room } from "@colyseus/core";
import { type SchemaType, StateView, schema, t } from "@colyseus/schema";
import type { Effects } from "../../server/colyseus/effects.ts";
import type { ReplicatedRoom } from "../../server/colyseus/replicated.ts";
import type { EffectCall } from "../../server/session/room-program.ts";
import type { RoomReplica } from "../../server/session/room-replica.ts";
import { currentWorld } from "../../server/session/sandbox.ts";

const SimSeat = schema(
  {
    shots: t.uint32().default(0),
    online: t.boolean().default(true),
    node: t.string().default(""),
    returns: t.uint32().default(0),
    /** For its player only. */
    roll: t.uint32().default(0).view(),
  },
  "SimSeat",
);

const SimState = schema(
  {
    clockMs: t.float64().default(0),
    ticks: t.uint32().default(0),
    seats: t.map(SimSeat),
    order: t.array("string"),
  },
  "SimState",
);
type SimState = SchemaType<typeof SimState>;

/** What the simulation hears from inside the rooms, on every replica: not part of their state. */
export interface RoomListener {
  fired(roomId: string, sessionId: string, shots: number): void;
  deposited(roomId: string, total: number): void;
  /** Time as room code sees it, on one replica. */
  time(
    room: object,
    roomId: string,
    now: { readonly clockMs: number; readonly dateMs: number; readonly performanceMs: number },
  ): void;
  /** One more of the steps that a timestep owes, on one replica. */
  stepped(room: object, roomId: string): void;
  /** A broadcast that is about to go out, on one replica; `number`: of the room's. */
  said(roomId: string, number: number, sessionIds: readonly string[]): void;
  created(roomId: string): void;
  /** An attempt at an effect, on the leader's node; settled some time later. */
  looksUp(key: string): Promise<number>;
  /** What runs now never comes back. */
  poisoned(roomId: string): void;
  disposed(roomId: string): void;
  /** The server's presence has counted a room's call, on one replica; or told the room something. */
  counted(roomId: string, call: number, tally: number): void;
  heard(roomId: string, number: number, message: string): void;
  /** The next leader of a room that its leader runs goes on with these fields, and a state of that version. */
  ledRestored(roomId: string, cached: object, version: number): void;
}

let listener: RoomListener | null = null;

/** There is one at a time; null: nobody listens. */
export function listenToRooms(next: RoomListener | null): void {
  listener = next;
}

export function roomListener(): RoomListener | null {
  return listener;
}

interface SimRoomOptions {
  readonly keepSeconds?: number;
  readonly stepMs?: number;
}

/** An ordinary Colyseus room with a little of everything that a game's room may do. */
export class SimRoom extends Room<{ state: SimState }> {
  declare effect: ReplicatedRoom["effect"];
  effects = {
    look: {
      timeoutMs: 3_000,
      run: (_by: string, { key }: EffectCall) => listener?.looksUp(key),
    },
  } satisfies Effects;
  override maxClients = 3;
  override patchRate = 200;
  override state = new SimState();
  override seatReservationTimeout = 4;
  readonly tallies = new Map<string, number>();
  readonly names = new Set<string>();
  readonly rolls: number[] = [];
  readonly marks = new Map<string, { readonly atMs: number; readonly dateMs: number }>();
  keepSeconds = 20;
  beats = 0;
  deposits = 0;
  poisonsDue = 0;
  slow = 0;
  /** What effects resolved or failed with, the newest ones. */
  readonly found: unknown[] = [];
  timersMade = 0;
  isFidgeting = false;
  fidgets = 0;
  /** Nothing in the room changes it: who has another than 0 was tampered with, or has its state from one that was. */
  taint = 0;

  override messages = {
    fire: (client: Client) => {
      const shots = (this.tallies.get(client.sessionId) ?? 0) + 1;
      this.tallies.set(client.sessionId, shots);
      const seat = this.state.seats.get(client.sessionId);
      if (seat !== undefined) seat.shots = shots;
      listener?.fired(this.roomId, client.sessionId, shots);
      return { shots, clockMs: this.state.clockMs };
    },
    roll: (client: Client) => {
      this.rolls.push(Math.floor(Math.random() * 1000));
      if (this.rolls.length > 8) this.rolls.shift();
      const seat = this.state.seats.get(client.sessionId);
      if (seat !== undefined) seat.roll = this.rolls.at(-1) ?? 0;
      this.marks.set(client.sessionId, { atMs: this.clock.elapsedTime, dateMs: Date.now() });
      return { roll: this.rolls.at(-1) };
    },
    slow: async (client: Client, { ms }: { ms: number }) => {
      await Promise.resolve();
      this.names.add(`slow ${client.sessionId}`);
      await this.clock.duration(ms);
      this.found.push(
        await this.effect("look", client.sessionId).catch(({ code }: { code: string }) => code),
      );
      if (this.found.length > 8) this.found.shift();
      this.names.delete(`slow ${client.sessionId}`);
      this.slow += 1;
      return { slow: this.slow };
    },
    throws: (client: Client) => {
      this.rolls.push(-1);
      throw new Error(`thrown for ${client.sessionId}`);
    },
    rejects: async (client: Client) => {
      await Promise.resolve();
      this.rolls.push(-2);
      await Promise.reject(new Error(`rejected for ${client.sessionId}`));
    },
    shout: (client: Client, text: string) => {
      this.say("shout", { from: client.sessionId, text });
    },
    later: (client: Client, { ms }: { ms: number }) => {
      // The later ones first, so close that one command finds them due, and two of them at once.
      for (const delayMs of [ms + 3, ms + 1, ms, ms])
        this.clock.setTimeout(this.respawn, delayMs, client.sessionId, ++this.timersMade);
    },
    closure: (client: Client, { ms }: { ms: number }) => {
      this.timersMade += 1;
      this.clock.setTimeout(() => {
        this.rolls.push(Math.floor(Math.random() * 10));
        client.send("closure", { clockMs: this.state.clockMs });
      }, ms);
    },
  };

  override onCreate(options: SimRoomOptions): void {
    this.keepSeconds = options.keepSeconds ?? 20;
    this.setTimestep((deltaMs) => this.step(deltaMs), options.stepMs ?? 100);
    this.clock.setInterval(() => this.say("beat", {}), 200);
    this.clock.setTimeout(() => this.names.add("warm"), 700);
    listener?.created(this.roomId);
  }

  override async onJoin(client: Client): Promise<void> {
    await Promise.resolve();
    this.names.add(client.sessionId);
    await Promise.resolve().then(() => this.state.order.push(client.sessionId));
    const seat = new SimSeat();
    seat.node = nodeOf(client);
    this.state.seats.set(client.sessionId, seat);
    client.view = new StateView();
    client.view.add(seat);
  }

  override onDrop(client: Client): void {
    const seat = this.state.seats.get(client.sessionId);
    if (seat === undefined) return;
    seat.online = false;
    // Not awaited: the seat waits as data, and the room stays at rest.
    this.allowReconnection(client, this.keepSeconds);
  }

  override onReconnect(client: Client): void {
    const seat = this.state.seats.get(client.sessionId);
    if (seat === undefined) return;
    seat.online = true;
    seat.node = nodeOf(client);
    seat.returns += 1;
  }

  override async onLeave(client: Client): Promise<void> {
    await Promise.resolve();
    this.state.seats.delete(client.sessionId);
    const at = this.state.order.indexOf(client.sessionId);
    if (at >= 0) this.state.order.splice(at, 1);
    this.names.delete(client.sessionId);
  }

  override onDispose(): void {
    listener?.disposed(this.roomId);
  }

  respawn(sessionId: string, number: number): void {
    const seat = this.state.seats.get(sessionId);
    if (seat !== undefined) seat.returns += 100;
    // The order in which timers fire is seen by it.
    this.rolls.push(Math.floor(Math.random() * 100) + 100 * number);
    if (this.rolls.length > 8) this.rolls.shift();
  }

  /** For room.propose(): from outside of the room, through the log. */
  deposit(amount: number): number {
    this.deposits += amount;
    listener?.deposited(this.roomId, this.deposits);
    return this.deposits;
  }

  /** For room.propose(), and for a timer. */
  poison(): void {
    listener?.poisoned(this.roomId);
  }

  poisonLater(ms: number): void {
    this.poisonsDue += 1;
    this.clock.setTimeout(this.poisonAtLast, ms);
  }

  poisonAtLast(): void {
    this.poisonsDue -= 1;
    this.poison();
  }

  /** A closure that is made anew whenever it has fired: the room is not at rest until it is calmed. */
  fidget(): void {
    const again = () => {
      this.fidgets += 1;
      if (this.isFidgeting) this.clock.setTimeout(again, 150);
      else this.fidgets = 0;
    };
    if (!this.isFidgeting) this.clock.setTimeout(again, 150);
    this.isFidgeting = true;
  }

  calm(): void {
    this.isFidgeting = false;
  }

  private step(deltaMs: number): void {
    this.state.clockMs += deltaMs;
    this.state.ticks += 1;
    listener?.stepped(this, this.roomId);
    if (currentWorld() !== null) {
      const now = { clockMs: this.state.clockMs, dateMs: Date.now(), performanceMs: performance.now() };
      listener?.time(this, this.roomId, now);
    }
  }

  private say(type: string, message: object): void {
    this.beats += 1;
    const sessionIds = this.clients.map((client) => client.sessionId);
    listener?.said(this.roomId, this.beats, sessionIds);
    this.broadcast(type, { ...message, clockMs: this.state.clockMs, beats: this.beats });
  }
}

function nodeOf(client: Client): string {
  return (client as { node?: string }).node ?? "";
}

function roomOf(replica: RoomReplica): SimRoom {
  return (replica.program as unknown as { readonly room: SimRoom }).room;
}

/** It is not at rest, nor will be before it is calmed. */
export function isFidgeting(replica: RoomReplica): boolean {
  return replica.program.led === undefined && roomOf(replica).isFidgeting;
}

/** 0: it is what the log has made of it. */
export function taintOf(replica: RoomReplica): number {
  return replica.program.led === undefined ? roomOf(replica).taint : 0;
}

/** Behind the log's back. In a macrotask. */
export function corruptRoom(replica: RoomReplica, taint: number, kind: number): void {
  const room = roomOf(replica);
  replica.world.run(() => {
    room.taint = taint;
    if (kind === 1) room.state.ticks += 1_000;
    if (kind === 2) Math.random();
    if (kind === 3) void room.disconnect();
  }, "corruption");
}
