/** One node with a small room for each thing that a Colyseus room may use; what each is for says its test. */
import {
  type AuthContext,
  type Client,
  definePlugins,
  defineRoom,
  defineServer,
  matchMaker,
  Room,
  RoomPlugin,
  ServerError,
} from "@colyseus/core";
import { Encoder, StateView, schema, t } from "@colyseus/schema";
import {
  type EffectCall,
  type Effects,
  type ReplicatedRoom,
  replicated,
  startTestudo,
} from "../../server/index.ts";

const StepsState = schema({ next: t.number().default(0), gaps: t.number().default(0) }, "StepsState");

/** Counts its steps, and whether one was ever left out or done twice. */
class StepsRoom extends Room<{ state: InstanceType<typeof StepsState> }> {
  override state = new StepsState();

  override onCreate(): void {
    this.setFixedTimestep(
      ({ tick, subSteps, subDtMs }) => {
        if (tick !== this.state.next || subSteps !== 5 || subDtMs !== 10) this.state.gaps++;
        this.state.next = tick + 1;
      },
      20,
      { subSteps: 5 },
    );
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

/** Asks at its own door, which takes its time. */
class DoorRoom extends Room {
  override messages = { who: (client: Client) => [client.auth, client.userData] };

  override async onAuth(client: Client, options: { name: string }, { token }: AuthContext): Promise<unknown> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (token !== "opens") throw new ServerError(4_303, `${options.name} has the wrong key`);
    client.userData = { at: process.pid };
    return { name: options.name, key: Math.random() };
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

class DicePlugin extends RoomPlugin {
  throws = [Math.random()];
}

/** Keeps what was said, and what its dependency throws for it. */
class ChatPlugin extends RoomPlugin {
  static dependencies = [DicePlugin];
  override readonly pluginName = "chat" as const;
  history: string[] = [];

  protected override messages = {
    chat: (client: Client, text: string) => {
      this.history.push(`${client.sessionId}: ${text} ${Math.random()}`);
      this.room.broadcast("chat", this.history.at(-1));
      return this.history;
    },
  };
  protected override onJoin(client: Client): void {
    this.history.push(`${client.sessionId} joins`);
  }
  protected override onLeave(client: Client): void {
    this.history.push(`${client.sessionId} leaves`);
  }
}

class ChatRoom extends Room {
  override plugins = definePlugins([new ChatPlugin()]);

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

/** Counts aloud. */
class CounterRoom extends Room {
  n = 0;
  /** By session: how far it had counted when it saw the client go last. */
  dropped: Record<string, number> = {};
  override messages = { dropped: (client: Client) => this.dropped[client.sessionId] };

  override onCreate(): void {
    this.clock.setInterval(() => this.broadcast("n", ++this.n), 20);
  }

  override onDrop(client: Client): void {
    this.dropped[client.sessionId] = this.n;
    this.allowReconnection(client, 60);
  }
}

/** Says as much as it is told to, and nothing else. */
class ShoutRoom extends Room {
  said = 0;
  override messages = {
    shout: (_client: Client, [count, bytes]: [number, number]) => {
      for (let n = 0; n < count; n++) this.broadcast("shout", [++this.said, "x".repeat(bytes)]);
      return this.said;
    },
  };

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

const Card = schema({ face: t.string() }, "Card");
const Player = schema({ count: t.number().default(0), hand: t.array(Card).view() }, "Player");
const CardsState = schema(
  { turn: t.string().default(""), players: t.map(Player), pile: t.array(Card) },
  "CardsState",
);
type Player = InstanceType<typeof Player>;

/** Everybody has a hand that only they see, and they play by turns. */
class CardsRoom extends Room<{ state: InstanceType<typeof CardsState> }> {
  override state = new CardsState();
  dealt = 0;

  override messages = {
    play: (client: Client, at: number) => {
      if (this.state.turn !== client.sessionId) return "not your turn";
      const player = this.playerOf(client);
      const [card] = player.hand.splice(at, 1);
      if (card === undefined) return "no such card";
      client.view?.remove(card);
      this.state.pile.push(card);
      this.deal(client);
      const everybody = [...this.state.players.keys()] as string[];
      this.state.turn = everybody[(everybody.indexOf(client.sessionId) + 1) % everybody.length] ?? "";
      return card.face;
    },
  };

  override onJoin(client: Client): void {
    this.state.players.set(client.sessionId, new Player() as never);
    client.view = new StateView();
    client.view.add(this.playerOf(client));
    for (let n = 0; n < 3; n++) this.deal(client);
    if (this.state.turn === "") this.state.turn = client.sessionId;
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  playerOf({ sessionId }: Client): Player {
    return this.state.players.get(sessionId) as never;
  }

  deal(client: Client): void {
    const card = Object.assign(new Card(), { face: `${++this.dealt} of ${client.sessionId}` });
    const player = this.playerOf(client);
    player.hand.push(card as never);
    player.count = player.hand.length;
    client.view?.add(card);
  }
}

/** Looks up who joins, somewhere that takes its time; each attempt leaves a line. */
class ProfileRoom extends Room {
  declare effect: ReplicatedRoom["effect"];
  effects = {
    profile: {
      timeoutMs: 30_000,
      run: async ({ name, ms }: { name: string; ms: number }, { key }: EffectCall) => {
        process.stdout.write(`effect ${key} for ${name}\n`);
        await new Promise((resolve) => setTimeout(resolve, ms));
        return { name, gold: name.length, at: process.pid };
      },
    },
    much: { run: ({ bytes }: { bytes: number }) => new Uint8Array(bytes) },
  } satisfies Effects;
  known: unknown[] = [];

  override onCreate(): void {
    this.onMessage("rich", async (client, ms: number) => {
      const { name } = client.userData as { name: string };
      const profile = await this.effect("profile", { name, ms });
      client.send("told", profile);
      this.known.push(["asked", profile, Math.random()]);
      return profile;
    });
    this.onMessage("much", async (_client, bytes: number) => (await this.effect("much", { bytes })).length);
    this.onMessage("known", () => this.known);
  }

  override async onJoin(client: Client, { name }: { name: string }): Promise<void> {
    client.userData = await this.effect("profile", { name, ms: 20 });
    this.known.push(["joined", client.userData]);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 600);
  }
}

/** Paid from outside, by the node that its client comes to. */
class TillRoom extends Room {
  private paid: unknown[] = [];
  override messages = { paid: () => this.paid };

  override async onAuth(_client: Client, { gold }: { gold: number }): Promise<unknown> {
    return { count: await matchMaker.remoteRoomCall(this.roomId, "pay", [gold]) };
  }

  pay(gold: number): number {
    return this.paid.push([gold, Math.random()]);
  }
}

/** Emotes are seen and forgotten; what is counted is agreed. One of them tries to change the room. */
class StageRoom extends Room {
  cheers = 0;
  seen = new Map<string, number>();
  override messages = {
    emote: (client: Client, what: string) =>
      this.broadcast("emote", [client.sessionId, what, this.cheers, Math.random()]),
    slip: (client: Client) => {
      this.broadcast("slip", this.cheers);
      this.seen.set(client.sessionId, 1);
    },
    cheer: () => {
      this.broadcast("cheer", ++this.cheers);
      return this.seen.size;
    },
  };

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

/** How often something was encoded for a view, on this node. */
let encodedForViews = 0;
for (const method of ["encodeView", "encodeAllView"] as const) {
  const stock = Encoder.prototype[method] as (...given: unknown[]) => Uint8Array;
  Encoder.prototype[method] = function (this: Encoder, ...given: unknown[]) {
    encodedForViews++;
    return stock.apply(this, given);
  };
}

const testudo = startTestudo();
const server = defineServer({
  ...testudo.serverOptions,
  rooms: {
    steps: defineRoom(replicated(StepsRoom)),
    chat: defineRoom(replicated(ChatRoom)),
    door: defineRoom(replicated(DoorRoom)),
    counter: defineRoom(replicated(CounterRoom)),
    shout: defineRoom(replicated(ShoutRoom)),
    cards: defineRoom(replicated(CardsRoom)),
    profile: defineRoom(replicated(ProfileRoom)),
    till: defineRoom(replicated(TillRoom)),
    stage: defineRoom(replicated(StageRoom, { messages: { emote: "eventual", slip: "eventual" } })),
  },
});
testudo.handleFirst((request, response) => {
  if (request.url !== "/test/encoded") return false;
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(encodedForViews));
  return true;
});
await server.listen(undefined as never);
