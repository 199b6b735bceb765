/** One node with rooms that cannot be deterministic: their leader alone runs them. */
import { type Client, defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, testudo } from "../../server/index.ts";

const Guest = schema({ name: t.string().default(""), gold: t.number().default(0) }, "Guest");
const TavernState = schema(
  { total: t.number().default(0), throws: t.number().default(0), luck: t.float64(), guests: t.map(Guest) },
  "TavernState",
);
type Guest = InstanceType<typeof Guest>;

/** Real chance, real time, real waits, and fields that nobody can see. */
class TavernRoom extends Room<{ state: InstanceType<typeof TavernState> }> {
  override state = new TavernState();
  #won = 0;
  #opened = 0;

  override messages = {
    earn: (client: Client, gold: number) => {
      const guest = this.guest(client);
      guest.gold += gold;
      this.state.total += gold;
      this.state.luck = Math.random();
      this.broadcast("earned", this.state.total);
      return guest.gold;
    },
    /** As a look-up in a database would. */
    ask: async (_client: Client, ms: number) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return { at: process.pid, time: Date.now() };
    },
    won: () => ({ won: this.#won, opened: this.#opened, at: process.pid, elapsed: this.clock.elapsedTime }),
    hang: () => {
      for (;;);
    },
    fail: () => {
      throw new Error("the wine is off");
    },
  };

  override onCreate(): void {
    this.#opened = Date.now();
    this.setSimulationInterval(() => {
      this.state.throws++;
      if (Math.random() < 2) this.#won++;
    }, 20);
  }

  override onJoin(client: Client, { name = "" }: { name?: string }): void {
    this.state.guests.set(client.sessionId, Object.assign(new Guest(), { name }) as never);
    client.userData = { name };
    client.send("welcome", name);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  override onLeave(client: Client): void {
    this.state.guests.delete(client.sessionId);
  }

  override onCacheRoom(): unknown {
    return [this.#won, this.#opened];
  }

  override onRestoreRoom([won, opened]: [number, number]): void {
    this.#won = won;
    this.#opened = opened;
  }

  guest({ sessionId }: Client): Guest {
    return this.state.guests.get(sessionId) as never;
  }
}

/** Its fields would be lost. */
class ForgetfulRoom extends Room {
  secrets = new Map();
}

const server = defineServer({
  ...testudo(),
  rooms: {
    tavern: defineRoom(replicated(TavernRoom, { run: "leader", cacheEveryMs: 100 })),
    forgetful: defineRoom(replicated(ForgetfulRoom, { run: "leader" })),
  },
});
await server.listen(undefined as never);
