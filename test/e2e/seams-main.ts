/** One node with rooms that use several things at once, each of which has a test of its own elsewhere. */
import { type Client, defineRoom, defineServer, matchMaker, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import {
  type EffectCall,
  type Effects,
  type ReplicatedRoom,
  replicated,
  startTestudo,
} from "../../server/index.ts";

const ForgeState = schema(
  { total: t.number().default(0), beats: t.number().default(0), paid: t.array("number") },
  "ForgeState",
);

/** Run by its leader: real waits, an effect, a clock, and a field that nobody sees. */
class ForgeRoom extends Room<{ state: InstanceType<typeof ForgeState> }> {
  declare effect: ReplicatedRoom["effect"];
  override state = new ForgeState();
  effects = {
    slow: {
      timeoutMs: 30_000,
      run: async ({ ms }: { ms: number }, { key }: EffectCall) => {
        process.stdout.write(`forge effect ${key}\n`);
        await new Promise((resolve) => setTimeout(resolve, ms));
        return process.pid;
      },
    },
  } satisfies Effects;
  #opened = 0;

  override messages = {
    earn: (_client: Client, gold: number) => {
      this.state.total += gold;
      this.broadcast("earned", this.state.total);
      return this.state.total;
    },
    slow: async (_client: Client, ms: number) => await this.effect("slow", { ms }),
    paid: () => [...this.state.paid],
    who: () => ({
      at: process.pid,
      opened: this.#opened,
      elapsed: this.clock.elapsedTime,
      total: this.state.total,
    }),
  };

  override onCreate(): void {
    this.#opened = Date.now();
    this.clock.setInterval(() => this.state.beats++, 20);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 600);
  }

  pay(number: number): number {
    return this.state.paid.push(number);
  }

  override onCacheRoom(): unknown {
    return this.#opened;
  }

  override onRestoreRoom(opened: number): void {
    this.#opened = opened;
  }
}

const HallState = schema({ total: t.number().default(0), drops: t.number().default(0) }, "HallState");

/** Everything that a client may say, and calls from outside. */
class HallRoom extends Room<{ state: InstanceType<typeof HallState> }> {
  declare effect: ReplicatedRoom["effect"];
  override state = new HallState();
  effects = {
    slow: {
      timeoutMs: 30_000,
      run: async ({ ms }: { ms: number }, { key }: EffectCall) => {
        process.stdout.write(`hall effect ${key}\n`);
        await new Promise((resolve) => setTimeout(resolve, ms));
        return process.pid;
      },
    },
  } satisfies Effects;
  /** By session: what it aimed at, in order. */
  aims: Record<string, number[]> = {};
  paid: number[] = [];

  override messages = {
    add: (_client: Client, by: number) => {
      this.state.total += by;
      this.broadcast("added", this.state.total);
      return this.state.total;
    },
    aim: ({ sessionId }: Client, at: number) => {
      this.aims[sessionId] = [...(this.aims[sessionId] ?? []).slice(-499), at];
    },
    aims: ({ sessionId }: Client) => this.aims[sessionId] ?? [],
    emote: ({ sessionId }: Client, n: number) => this.broadcast("emote", [sessionId, n]),
    slow: async (_client: Client, ms: number) => await this.effect("slow", { ms }),
    paid: () => this.paid,
  };

  override onDrop(client: Client): void {
    this.state.drops++;
    this.allowReconnection(client, 600);
  }

  pay(number: number): number {
    return this.paid.push(number);
  }
}

/** Without rest for as long as somebody wants it to, with all that waits for the outside. */
class RestlessRoom extends HallRoom {
  override autoDispose = false;
  fidgets = false;
  heard: number[] = [];

  override onCreate(): void {
    this.onMessage("fidget", async () => {
      this.fidgets = true;
      this.fidget();
      // Not at rest for that alone.
      await this.presence.subscribe("news", (n: number) => this.hear(n));
    });
    this.onMessage("calm", async () => {
      this.fidgets = false;
      await this.presence.unsubscribe("news");
    });
    this.onMessage("pad", (_client, padding: string) => padding.length);
    this.onMessage("heard", () => this.heard);
  }

  hear(n: number): void {
    this.heard.push(n);
    this.broadcast("news", n);
  }

  fidget(): void {
    if (this.fidgets) this.clock.setTimeout(() => this.fidget(), 200);
  }
}

const testudo = startTestudo();
const server = defineServer({
  ...testudo.serverOptions,
  rooms: {
    forge: defineRoom(replicated(ForgeRoom, { run: "leader", cacheEveryMs: 100 })),
    hall: defineRoom(replicated(HallRoom, { messages: { aim: "latest", emote: "eventual" } })),
    restless: defineRoom(replicated(RestlessRoom)),
  },
});

/** `/test/HOW/WHERE/NUMBER`: a call of a room from outside of it, by this node, or something published on a channel. */
testudo.handleFirst((request, response) => {
  const [, how, roomId = "", number = ""] =
    /^\/test\/(propose|call|publish)\/([\w-]+)\/(\d+)$/.exec(request.url ?? "") ?? [];
  if (how === undefined) return false;
  const ask = async () => {
    if (how === "publish") return await matchMaker.presence.publish(roomId, Number(number));
    if (how === "call") return await matchMaker.remoteRoomCall(roomId, "pay", [Number(number)]);
    return await (matchMaker.getLocalRoomById(roomId) as unknown as ReplicatedRoom).propose(
      "pay",
      Number(number),
    );
  };
  ask().then(
    (value) => response.end(JSON.stringify(value ?? null)),
    (error: Error) => response.writeHead(503).end(JSON.stringify(error.message)),
  );
  return true;
});
await server.listen(undefined as never);
