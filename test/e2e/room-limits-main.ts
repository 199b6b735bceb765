/** One node with rooms that come to hold more, or other things, than can be saved; what each is for says its test. */
import { type Client, defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, testudo } from "../../server/index.ts";

const CountState = schema({ n: t.number().default(0) }, "CountState");

class LimitRoom extends Room<{ state: InstanceType<typeof CountState> }> {
  override state = new CountState();
  override autoDispose = false;

  override onDrop(client: Client): void {
    this.allowReconnection(client, 120);
  }
}

/** Nobody has told Testudo of it. */
class Relic {
  uses = 0;
}

class RelicRoom extends LimitRoom {
  relic: Relic | null = null;
  override messages = {
    find: () => {
      this.relic = new Relic();
    },
    use: () => {
      this.state.n++;
      return this.relic && ++this.relic.uses;
    },
    lose: () => {
      this.relic = null;
    },
  };
}

class HoardRoom extends LimitRoom {
  hoard: string[] = [];
  override messages = {
    hoard: (_client: Client, length: number) => this.hoard.push(String(Math.random()).padEnd(length, "g")),
    last: () => [++this.state.n, this.hoard.length, this.hoard.at(-1)?.slice(0, 20)],
    spend: () => {
      this.hoard = [];
    },
  };
}

class SteeredRoom extends LimitRoom {
  override messages = { steer: () => {} };
}

const server = defineServer({
  ...testudo(),
  rooms: {
    relic: defineRoom(replicated(RelicRoom)),
    hoard: defineRoom(replicated(HoardRoom)),
    steered: defineRoom(replicated(SteeredRoom, { messages: { stear: "latest" } })),
  },
});
await server.listen(undefined as never);
