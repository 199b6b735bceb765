import { type Client, Room, validate } from "@colyseus/core";
import { type SchemaType, schema, t } from "@colyseus/schema";
import { z } from "zod";

const Counter = schema({ count: t.uint32().default(0) }, "Counter");
const PoisonState = schema(
  {
    /** What everybody adds to. */
    count: t.uint32().default(0),
    ticks: t.uint32().default(0),
    /** What the failing handlers had done before they failed. */
    stains: t.uint32().default(0),
    players: t.map(Counter),
  },
  "PoisonState",
);
type PoisonState = SchemaType<typeof PoisonState>;

const addSchema = z.object({ by: z.number().int().min(1).max(100) });

interface JoinOptions {
  /** The hook that throws for this player. */
  readonly curse?: "onJoin" | "onDrop" | "onLeave" | "onReconnect";
}

/** What a timestep needs, and `breakTick` takes away. */
interface Gauge {
  readonly step: number;
}

/** A room with every way to fail that a handler, hook or timer has, beside an honest counter. */
export class PoisonRoom extends Room<{ state: PoisonState }> {
  override state = new PoisonState();
  override patchRate = 20;
  override maxMessagesPerSecond = 200;
  readonly curses = new Map<string, string>();
  gauge: Gauge | null = { step: 1 };

  override messages = {
    add: validate(addSchema, (client, { by }) => this.add(client.sessionId, by)),
    throws: () => {
      throw new TypeError("poisoned");
    },
    throwsString: () => {
      throw "only words";
    },
    throwsNothing: () => {
      throw undefined;
    },
    throwsBareObject: () => {
      throw Object.create(null);
    },
    throwsTrap: () => {
      throw new TrapError("sprung");
    },
    throwsAfterChange: () => {
      this.state.stains += 1;
      throw new Error("after a change");
    },
    rejects: async () => {
      await Promise.resolve();
      throw new RangeError("late poison");
    },
    rejectsAfterChange: async () => {
      this.state.stains += 10;
      await Promise.resolve();
      this.state.stains += 10;
      throw new Error("after two changes");
    },
    forgets: () => {
      void Promise.reject(new Error("nobody waits for this"));
      return "sent";
    },
    forgetsLater: () => {
      void (async () => {
        await this.clock.duration(60);
        throw new Error("nobody waits for this, later");
      })();
      return "sent";
    },
    forgetsMicrotask: () => {
      queueMicrotask(() => {
        throw new Error("nobody waits for this microtask");
      });
      return "sent";
    },
    forgetsTick: () => {
      process.nextTick(() => {
        throw new Error("nobody waits for this tick");
      });
      return "sent";
    },
    recurses: () => this.recurse(1),
    neverAnswers: () => new Promise<never>(() => {}),
    circular: () => {
      const ring: { self?: object } = {};
      ring.self = ring;
      return ring;
    },
    answersFunction: () => () => 1,
    breakTick: () => {
      this.gauge = null;
    },
    mendTick: () => {
      this.gauge = { step: 1 };
    },
    wrongType: () => {
      (this.state as { count: unknown }).count = "not a number";
    },
    rightType: () => {
      this.state.count = 0;
    },
    wrongChild: (client: Client) => {
      (this.state.players as unknown as Map<string, unknown>).set(client.sessionId, { count: 7 });
    },
    loseState: () => {
      (this as { state: unknown }).state = null;
    },
    timerThrows: () => {
      this.clock.setTimeout(this.explode, 40);
    },
    timerRejects: () => {
      this.clock.setTimeout(this.explodeLater, 40);
    },
    timerClosure: () => {
      this.clock.setTimeout(() => this.stain(100), 1_500);
    },
    realTimer: () => {
      setTimeout(() => this.stain(1_000), 10);
    },
    realInterval: () => {
      setInterval(() => this.stain(1_000), 10);
    },
    fetches: async () => {
      await fetch("http://127.0.0.1:1/");
    },
    curse: (client: Client, hook: string) => {
      this.curses.set(client.sessionId, hook);
    },
  };

  override onCreate(): void {
    this.setTimestep(() => this.step(), 16);
  }

  override onJoin(client: Client, options: JoinOptions = {}): void {
    this.state.players.set(client.sessionId, new Counter());
    if (options.curse !== undefined) this.curses.set(client.sessionId, options.curse);
    this.suffer("onJoin", client);
  }

  override onDrop(client: Client): void {
    this.suffer("onDrop", client);
    this.allowReconnection(client, 20);
  }

  override onReconnect(client: Client): void {
    this.suffer("onReconnect", client);
  }

  override onLeave(client: Client): void {
    this.state.players.delete(client.sessionId);
    this.suffer("onLeave", client);
  }

  add(sessionId: string, by: number): { count: number; own: number } {
    const player = this.state.players.get(sessionId);
    this.state.count += by;
    if (player !== undefined) player.count += by;
    return { count: this.state.count, own: player?.count ?? 0 };
  }

  /** For `room.propose`. */
  stain(by: number): number {
    this.state.stains += by;
    return this.state.stains;
  }

  /** For `room.propose`. */
  explode(): void {
    throw new Error("exploded");
  }

  async explodeLater(): Promise<void> {
    await Promise.resolve();
    throw new Error("exploded later");
  }

  private step(): void {
    this.state.ticks += (this.gauge as Gauge).step;
  }

  private suffer(hook: string, client: Client): void {
    if (this.curses.get(client.sessionId) === hook) throw new Error(`cursed in ${hook}`);
  }

  private recurse(depth: number): number {
    return this.recurse(depth + 1) + 1;
  }
}

/** An error whose very message fails. */
class TrapError extends Error {
  override get message(): string {
    throw new Error("a trap within a trap");
  }
}
