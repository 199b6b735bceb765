import { type Client, Room } from "@colyseus/core";
import { type SchemaType, schema, t } from "@colyseus/schema";
import type { Effects } from "../../server/colyseus/effects.ts";
import type { ReplicatedRoom } from "../../server/colyseus/replicated.ts";
import type { EffectCall } from "../../server/session/room-program.ts";
import { roomListener } from "./sim-room.ts";

const LedSeat = schema(
  {
    online: t.boolean().default(true),
    returns: t.uint32().default(0),
    roll: t.int32().default(0),
  },
  "LedSeat",
);

export const LedState = schema(
  {
    /** One more with each change. */
    version: t.uint32().default(0),
    clockMs: t.float64().default(0),
    beats: t.uint32().default(0),
    slow: t.uint32().default(0),
    deposits: t.uint32().default(0),
    /** By session id, also of those who have left. */
    shots: t.map("uint32"),
    seats: t.map(LedSeat),
    order: t.array("string"),
    recent: t.array("uint32"),
  },
  "LedState",
);
export type LedState = SchemaType<typeof LedState>;

interface Cached {
  readonly version: number;
  readonly notes: readonly (readonly [string, number])[];
}

/** A room that its leader runs: nothing of it is in the log but what came of it. */
export class SimLedRoom extends Room<{ state: LedState }> {
  declare effect: ReplicatedRoom["effect"];
  effects = {
    look: {
      timeoutMs: 3_000,
      run: (_by: string, { key }: EffectCall) => roomListener()?.looksUp(key),
    },
  } satisfies Effects;
  override maxClients = 3;
  override patchRate = 150;
  override state = new LedState();
  override seatReservationTimeout = 4;
  keepSeconds = 20;
  /** No part of the state: as old as the room's last cache with the next leader. */
  readonly notes = new Map<string, number>();

  override messages = {
    fire: (client: Client) => {
      const { state } = this;
      const shots = (state.shots.get(client.sessionId) ?? 0) + 1;
      state.shots.set(client.sessionId, shots);
      this.note(client.sessionId);
      return { shots, clockMs: this.seenMs() };
    },
    roll: (client: Client) => {
      const seat = this.state.seats.get(client.sessionId);
      if (seat !== undefined) seat.roll = this.state.version % 1_000;
      this.note("roll");
      return { roll: seat?.roll };
    },
    slow: async (client: Client, { ms }: { ms: number }) => {
      await this.clock.duration(ms);
      await this.effect("look", client.sessionId).catch(() => null);
      this.state.slow += 1;
      this.note("slow");
      return { slow: this.state.slow };
    },
    throws: (client: Client) => {
      this.note("throws");
      throw new Error(`thrown for ${client.sessionId}`);
    },
    rejects: async (client: Client) => {
      await Promise.resolve();
      this.note("rejects");
      throw new Error(`rejected for ${client.sessionId}`);
    },
    shout: (client: Client, text: string) => this.say("shout", { from: client.sessionId, text }),
    later: (client: Client, { ms }: { ms: number }) => {
      for (const delayMs of [ms + 3, ms])
        this.clock.setTimeout(() => {
          const seat = this.state.seats.get(client.sessionId);
          if (seat !== undefined) seat.returns += 100;
          this.state.recent.push(delayMs);
          if (this.state.recent.length > 6) this.state.recent.shift();
          this.note("later");
        }, delayMs);
    },
    closure: (client: Client, { ms }: { ms: number }) => {
      this.clock.setTimeout(() => client.send("closure", { clockMs: this.seenMs() }), ms);
    },
  };

  override onCreate(options: { keepSeconds?: number; stepMs?: number }): void {
    this.keepSeconds = options.keepSeconds ?? 20;
    this.setTimestep(() => {
      this.state.clockMs = this.clock.elapsedTime;
      this.state.version += 1;
    }, options.stepMs ?? 100);
    this.clock.setInterval(() => this.say("beat", {}), 200);
    roomListener()?.created(this.roomId);
  }

  override async onJoin(client: Client): Promise<void> {
    await Promise.resolve();
    this.state.order.push(client.sessionId);
    this.state.seats.set(client.sessionId, new LedSeat());
    this.note("join");
  }

  override onDrop(client: Client): void {
    const seat = this.state.seats.get(client.sessionId);
    if (seat === undefined) return;
    seat.online = false;
    this.note("drop");
    this.allowReconnection(client, this.keepSeconds);
  }

  override onReconnect(client: Client): void {
    const seat = this.state.seats.get(client.sessionId);
    if (seat === undefined) return;
    seat.online = true;
    seat.returns += 1;
    this.note("reconnect");
  }

  override async onLeave(client: Client): Promise<void> {
    await Promise.resolve();
    this.state.seats.delete(client.sessionId);
    const at = this.state.order.indexOf(client.sessionId);
    if (at >= 0) this.state.order.splice(at, 1);
    this.note("leave");
  }

  override onDispose(): void {
    roomListener()?.disposed(this.roomId);
  }

  override onCacheRoom(): Cached {
    return { version: this.state.version, notes: [...this.notes] };
  }

  override onRestoreRoom(cached: Cached): void {
    for (const [name, count] of cached.notes) this.notes.set(name, count);
    roomListener()?.ledRestored(this.roomId, cached, this.state.version);
  }

  /** For room.propose(): from outside of the room, through the log. */
  deposit(amount: number): number {
    this.state.deposits += amount;
    this.note("deposit");
    return this.state.deposits;
  }

  /** As it is shown to players, which is as old as the last step of the room. */
  private seenMs(): number {
    return this.state.clockMs;
  }

  private note(name: string): void {
    this.notes.set(name, (this.notes.get(name) ?? 0) + 1);
    this.state.version += 1;
  }

  private say(type: string, message: object): void {
    this.state.beats += 1;
    this.note("say");
    this.broadcast(type, { ...message, clockMs: this.seenMs(), beats: this.state.beats });
  }
}
