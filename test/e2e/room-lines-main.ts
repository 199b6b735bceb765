/** One node with a room for each thing that games do in their rooms; what each is for says its test. */
import { Command, Dispatcher } from "@colyseus/command";
import {
  type Client,
  type Delayed,
  defineRoom,
  defineServer,
  matchMaker,
  Room,
  ServerError,
} from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { type Effects, type ReplicatedRoom, replicated, startTestudo } from "../../server/index.ts";
import { BallsRoom, BricksRoom, CratesRoom, HerdRoom } from "../colyseus/game-rooms.ts";

// Libraries read these when they are loaded.
const { random } = Math;
const { now } = Date;
const nextId = (): string => crypto.randomUUID();

/** Whoever loses its node may come back. */
class LineRoom<State extends object = object> extends Room<{ state: State }> {
  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

const CountState = schema({ n: t.number().default(0), text: t.string().default("") }, "CountState");
type Count = InstanceType<typeof CountState>;

class OrdinaryRoom extends LineRoom<Count> {
  override state = new CountState();
  override messages = { who: (client: Client) => [client.auth, client.userData] };

  static override onAuth(): Promise<{ rank: number }> {
    return Promise.resolve({ rank: 3 });
  }
  override onCreate(): void {
    this.clock.setInterval(() => {
      this.state.n++;
      for (const client of this.clients) client.send("to you", [client.sessionId, this.state.n]);
      this.broadcast("to all", this.state.n);
    }, 100);
  }
  override onJoin(client: Client, { name }: { name: string }): void {
    client.userData = { name, at: this.clients.length };
  }
}

class AwaitingRoom extends LineRoom<Count> {
  override state = new CountState();
  override messages = {
    add: async (_client: Client, amount: number) => {
      const before = await Promise.resolve(this.state.n);
      await this.clock.duration(2_000);
      this.state.n = before + amount;
      return [before, this.state.n];
    },
  };
}

class KeepingRoom extends Room<{ state: Count }> {
  override state = new CountState();

  override async onDrop(client: Client): Promise<void> {
    this.state.text += "dropped ";
    await this.allowReconnection(client, 60);
    this.state.text += "back ";
  }
}

class PatientRoom extends Room<{ state: Count }> {
  override state = new CountState();

  override onDrop(client: Client): void {
    this.state.text += "dropped ";
    this.allowReconnection(client, "manual");
  }
  override onReconnect(): void {
    this.state.text += "back ";
  }
}

/** What no checkpoint can see: the room saves it itself. */
class HiddenRoom extends LineRoom<Count> {
  override state = new CountState();
  #drawn: number[] = [];
  override messages = {
    draw: () => {
      this.#drawn.push(Math.random());
      return this.#drawn;
    },
    look: () => this.#drawn,
  };

  override onCacheRoom(): unknown {
    return { drawn: this.#drawn };
  }
  override onRestoreRoom({ drawn }: { drawn: number[] }): void {
    this.#drawn = drawn;
  }
}

class PatchedRoom extends LineRoom<Count> {
  override state = new CountState();
  override patchRate = 200;
  override messages = {
    count: () => {
      this.state.n++;
      this.broadcast("at once", this.state.n);
      this.broadcast("patched", this.state.n, { afterNextPatch: true });
    },
  };
}

class TimersRoom extends LineRoom<Count> {
  override state = new CountState();
  alarm: Delayed | null = null;
  override messages = {
    set: () => {
      this.alarm = this.clock.setTimeout(() => {
        this.state.n += 1;
      }, 2_500);
      this.clock.setTimeout(this.respawn, 2_500, 10);
    },
    look: () => [this.state.n, this.alarm?.active],
  };
  respawn(amount: number): void {
    this.state.n += amount;
  }
}

class LoopRoom extends LineRoom<Count> {
  override state = new CountState();
  override messages = {
    begin: () => {
      const again = (): void => {
        this.state.n++;
        this.clock.setTimeout(again, 50);
      };
      again();
    },
  };
}

class OutsideRoom extends LineRoom<Count> {
  override state = new CountState();
  override messages = {
    timer: () => void setTimeout(() => this.state.n++, 1),
    interval: () => void setInterval(() => this.state.n++, 1),
    fetch: async () => await fetch("http://127.0.0.1:1"),
    fine: () => ++this.state.n,
  };
}

class RoutedRoom extends LineRoom<Count> {
  override state = new CountState();

  poke(amount: number): number {
    this.state.n += amount;
    return this.state.n;
  }
}

export class Deck {
  cards: number[] = [];
  draw(): number | undefined {
    return this.cards.pop();
  }
}

class FieldsRoom extends LineRoom {
  private readonly scores = new Map<string, { points: number }>();
  private readonly seen = new Set<string>();
  private readonly list: number[] = [];
  private readonly alias = this.list;
  private readonly byClient = new Map<Client, string>();
  private readonly deck = new Deck();
  dispatcher = new Dispatcher(this as FieldsRoom);
  override messages = {
    play: async (client: Client, points: number) => {
      await this.dispatcher.dispatch(new Play(), { client, points });
      return this.look();
    },
    look: () => this.look(),
  };

  override onJoin(client: Client): void {
    this.byClient.set(client, `player ${this.byClient.size + 1}`);
  }
  override onReconnect(client: Client): void {
    // One object an attachment, as in Colyseus.
    const [old] = [...this.byClient.keys()].filter(({ sessionId }) => sessionId === client.sessionId);
    if (old === undefined) return;
    this.byClient.set(client, this.byClient.get(old) as string);
    this.byClient.delete(old);
  }
  play(client: Client, points: number): void {
    this.scores.set(client.sessionId, { points });
    this.seen.add(`${client.sessionId}/${points}`);
    this.list.push(points, -0, Number.NaN);
    this.deck.cards.unshift(points);
  }
  look(): unknown {
    return {
      scores: [...this.scores].map(([, { points }]) => points),
      seen: this.seen.size,
      list: this.list.map((each) => (Object.is(each, -0) ? "-0" : String(each))),
      same: this.alias === this.list,
      players: [...this.byClient].map(([client, name]) => [name, this.clients.includes(client)]),
      deck: [this.deck instanceof Deck, this.deck.cards],
    };
  }
}

class Play extends Command<FieldsRoom, { client: Client; points: number }> {
  override execute({ client, points }: { client: Client; points: number }): void {
    this.room.play(client, points);
  }
}

class ThrowingRoom extends LineRoom<Count> {
  override state = new CountState();
  override messages = {
    half: () => {
      this.state.n++;
      throw new Error("half done");
    },
    later: async () => {
      this.state.n++;
      await Promise.resolve();
      throw new Error("half done later");
    },
  };
}

/** Who says more than 20 things a second is sent away. */
class RatedRoom extends LineRoom<Count> {
  override state = new CountState();
  override maxMessagesPerSecond = 20;
  override messages = { add: () => ++this.state.n, count: () => this.state.n };
}

/** Puts things on its clients, keeps some of them in a field, and sends them away by whatever code it is told. */
class GuardedRoom extends LineRoom<Count> {
  override state = new CountState();
  others: Client[] = [];
  override messages = {
    team: (client: Client, team: string) => {
      Object.assign(client, { team });
      this.others = this.clients.filter((each) => each !== client);
    },
    teams: () => [
      this.clients.map((each) => (each as { team?: string }).team ?? "none").sort(),
      this.others.map((each) => (each as { team?: string }).team),
    ],
    out: (client: Client, [code, reason]: [number, string]) => client.leave(code, reason),
    throwOut: (_client: Client, [who, code]: [string, number]) => this.kickClient(who, code),
    add: () => ++this.state.n,
  };
}

/** What it prints and what it counts is found in the nodes' own output. */
class TellingRoom extends LineRoom {
  declare onPrimary: ReplicatedRoom["onPrimary"];
  override messages = {
    tell: (_client: Client, what: string) => {
      console.log(`<printed ${what}>`);
      this.onPrimary(() => process.stdout.write(`<counted ${what}>\n`));
      return what;
    },
  };
}

/** Writes down each hook that it is called by. */
class HooksRoom extends Room<{ state: Count }> {
  override state = new CountState();
  log: string[] = [];
  patches = 0;
  override messages = {
    log: () => this.log,
    patches: () => this.patches,
    tell: (client: Client) => this.broadcast("told", nameOf(client), { except: client }),
    bytes: (client: Client) => client.sendBytes("raw", Uint8Array.of(7, 8)),
    explode: () => {
      throw new Error("too hot");
    },
    lock: async (_client: Client, on: boolean) => await (on ? this.lock() : this.unlock()),
    room: async (_client: Client, most: number) => {
      this.maxClients = most;
      await this.setMetadata({ most });
      return [this.maxClients, this.metadata];
    },
    kick: (_client: Client, name: string) => this.clients.find((each) => nameOf(each) === name)?.leave(4_000),
    end: () => void this.disconnect(),
  };

  static override onAuth(_token: string, { name }: { name: string }): Promise<{ name: string }> {
    return Promise.resolve({ name });
  }
  override onCreate({ name }: { name: string }): void {
    this.log.push(`created by ${name}`);
  }
  override onJoin(client: Client, { name }: { name: string }, auth: { name: string }): void {
    this.log.push(`${name} joins as ${auth.name} and ${nameOf(client)}`);
  }
  override onDrop(client: Client, code?: number): void {
    this.log.push(`${nameOf(client)} is dropped by ${code}`);
    this.allowReconnection(client, nameOf(client) === "fleeting" ? 2 : 60);
  }
  override onReconnect(client: Client): void {
    this.log.push(`${nameOf(client)} is back`);
  }
  override onLeave(client: Client, code?: number): void {
    this.log.push(`${nameOf(client)} leaves by ${code}`);
  }
  override onBeforePatch(): void {
    this.patches++;
  }
  override onUncaughtException(error: Error, where: string): void {
    this.log.push(`${error.message} in ${where}`);
  }
  override onDispose(): void {
    console.log(`<disposed behind ${this.log.length} lines>`);
  }
}

function nameOf({ auth }: Client): string {
  return (auth as { name: string }).name;
}

/** Steered more often than can be agreed. */
class SteeredRoom extends LineRoom<Count> {
  override state = new CountState();
  override maxMessagesPerSecond = Number.POSITIVE_INFINITY;
  taken: number[] = [];
  override messages = {
    steer: (_client: Client, to: number) => {
      this.taken.push(to);
      this.state.n = to;
    },
    taken: () => this.taken,
  };
}

class SayingRoom extends LineRoom {
  override messages = {
    say: (client: Client, last: string) => {
      this.broadcast("all", 1);
      this.broadcastBytes("bytes", Uint8Array.of(1, 2, 3), {});
      this.broadcast("others", 2, { except: client });
      const guest = this.clients.getById(last);
      guest?.leave(4_205, "off you go");
      guest?.send("all", "never");
    },
    nothing: () => null,
  };
}

/** Each wish comes to an end of its own, and none is granted. */
class WishingRoom extends LineRoom {
  declare effect: ReplicatedRoom["effect"];
  effects = {
    fails: {
      run: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        throw new Error("out of wishes");
      },
    },
    lasts: { timeoutMs: 2_000, run: () => new Promise<never>(() => {}) },
    regrets: { timeoutMs: 60_000, run: () => new Promise<never>(() => {}) },
  } satisfies Effects;
  log: string[] = [];

  override onCreate(): void {
    this.onMessage("log", () => this.log);
    for (const what of ["fails", "lasts", "regrets"] as const)
      this.onMessage(what, async () => {
        const wish = this.effect(what);
        if (what === "regrets") this.clock.setTimeout(() => wish.cancel(), 1_500);
        try {
          return await wish;
        } finally {
          this.log.push(what);
        }
      });
  }
}

/** Who comes in, or comes back, is sent away or kept in the way that they ask for. A plain one of it is beside it. */
class BouncerRoom extends Room {
  how: Record<string, string> = {};
  override messages = {
    how: ({ sessionId }: Client, how: string) => {
      this.how[sessionId] = how;
    },
  };

  override async onJoin(client: Client, { how }: { how: string }): Promise<void> {
    client.send("welcome", how);
    if (how === "late") {
      await this.clock.duration(100);
      throw new ServerError(4_778, "not you, late");
    }
    this.treat(client, how);
  }
  override onDrop(client: Client): void {
    // Of who has not joined Colyseus keeps no seat, and in a plain room a rejection ends the process.
    this.allowReconnection(client, 60).catch(() => {});
  }
  override onReconnect(client: Client): void {
    client.send("welcome", "back");
    this.treat(client, this.how[client.sessionId] ?? "");
  }
  treat(client: Client, how: string): void {
    if (how === "leave") client.leave(4_321, "out");
    if (how === "kick") this.kickClient(client.sessionId, 4_322);
    if (how === "throw") throw new ServerError(4_777, "not you");
    if (how === "end") void this.disconnect(4_323);
    if (how === "leave") client.send("welcome", "never");
  }
}

class ChanceRoom extends LineRoom {
  ids: string[] = [];
  override messages = {
    roll: () => {
      this.ids.push(nextId(), String(random()), String(now()), new Date().toISOString());
      return this.ids;
    },
  };
}

/** `/test/ACT/ROOM`: what a route of the game's own may do. */
const acts: Readonly<Record<string, (room: RoutedRoom & ReplicatedRoom) => unknown>> = {
  propose: (room) => room.propose("poke", 5),
  call: (room) => matchMaker.remoteRoomCall(room.roomId, "poke", [5]),
  mutate: (room) => room.poke(1),
  look: (room) => room.state.n,
};

const testudo = startTestudo();
const server = defineServer({
  ...testudo.serverOptions,
  rooms: {
    ordinary: defineRoom(replicated(OrdinaryRoom)),
    awaiting: defineRoom(replicated(AwaitingRoom)),
    keeping: defineRoom(replicated(KeepingRoom)),
    patient: defineRoom(replicated(PatientRoom)),
    hidden: defineRoom(replicated(HiddenRoom)),
    patched: defineRoom(replicated(PatchedRoom)),
    timers: defineRoom(replicated(TimersRoom)),
    loop: defineRoom(replicated(LoopRoom)),
    outside: defineRoom(replicated(OutsideRoom)),
    routed: defineRoom(replicated(RoutedRoom)),
    fields: defineRoom(replicated(FieldsRoom, { classes: [Deck], transient: ["dispatcher"] })),
    throwing: defineRoom(replicated(ThrowingRoom)),
    rated: defineRoom(replicated(RatedRoom)),
    guarded: defineRoom(replicated(GuardedRoom)),
    telling: defineRoom(replicated(TellingRoom)),
    hooks: defineRoom(replicated(HooksRoom)),
    steered: defineRoom(replicated(SteeredRoom, { messages: { steer: "latest" } })),
    saying: defineRoom(replicated(SayingRoom)),
    wishing: defineRoom(replicated(WishingRoom)),
    bouncer: defineRoom(replicated(BouncerRoom)),
    plainBouncer: defineRoom(BouncerRoom),
    chance: defineRoom(replicated(ChanceRoom)),
    balls: defineRoom(replicated(BallsRoom, { transient: ["world"] })),
    bricks: defineRoom(replicated(BricksRoom, { transient: ["world"] })),
    crates: defineRoom(replicated(CratesRoom)),
    herd: defineRoom(replicated(HerdRoom, { transient: ["world", "moving"] })),
  },
});
testudo.handleFirst((request, response) => {
  const [, act = "", roomId = ""] = /^\/test\/(\w+)\/([\w-]+)$/.exec(request.url ?? "") ?? [];
  const perform = acts[act];
  if (perform === undefined) return false;
  const reply = (status: number, body: unknown): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const room = matchMaker.getLocalRoomById(roomId) as unknown as RoutedRoom & ReplicatedRoom;
  const performed = async (): Promise<unknown> => await perform(room);
  performed().then(
    (value) => reply(200, value),
    (error: Error & { code?: unknown }) => reply(500, error.code),
  );
  return true;
});
await server.listen(undefined as never);
