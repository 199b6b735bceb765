/** One node with a room that may be without rest for as long as somebody wants it to. */
import { type Client, defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { type Effects, type ReplicatedRoom, replicated, testudo } from "../../server/index.ts";

const RestlessState = schema({ count: t.number().default(0), steps: t.number().default(0) }, "RestlessState");

class RestlessRoom extends Room<{ state: InstanceType<typeof RestlessState> }> {
  override state = new RestlessState();
  override autoDispose = false;
  declare effect: ReplicatedRoom["effect"];
  effects = { who: { timeoutMs: 5_000, run: () => process.pid } } satisfies Effects;
  fidgets = false;

  override messages = {
    add: () => ++this.state.count,
    fidget: () => {
      this.fidgets = true;
      this.fidget();
      return true;
    },
    calm: () => {
      this.fidgets = false;
      return true;
    },
    who: async () => await this.effect("who"),
    /** Nothing but bytes in the log. */
    pad: (_client: Client, padding: string) => padding.length,
  };

  override onCreate(): void {
    this.setTimestep(() => ++this.state.steps, 100);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 120);
  }

  private fidget(): void {
    if (this.fidgets) this.clock.setTimeout(() => this.fidget(), 200);
  }
}

const server = defineServer({
  ...testudo(),
  rooms: { restless: defineRoom(replicated(RestlessRoom)) },
});
await server.listen(undefined as never);
