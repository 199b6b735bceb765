/** One node with a replicated room and a plain one, each of which says what it hears of its node's end. */
import { type Client, defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, startTestudo } from "../../server/index.ts";

const CounterState = schema({ n: t.number().default(0), drops: t.number().default(0) }, "CounterState");

/** Counts aloud. */
class CounterRoom extends Room<{ state: InstanceType<typeof CounterState> }> {
  override state = new CounterState();
  override patchRate = 20;

  override onCreate(): void {
    this.clock.setInterval(() => this.broadcast("n", ++this.state.n), 20);
  }

  override onBeforeShutdown(): void {
    process.stderr.write("the replicated room was told of the end\n");
  }

  override onDrop(client: Client): void {
    this.state.drops++;
    this.allowReconnection(client, 60);
  }
}

const lastRoundMs = 4_000;

/** A match that is played to its end. */
class MatchRoom extends Room {
  override onBeforeShutdown(): void {
    this.broadcast("last round");
    this.clock.setTimeout(() => void this.disconnect(4_321), lastRoundMs);
  }
}

const server = defineServer({
  ...startTestudo().serverOptions,
  rooms: { counter: defineRoom(replicated(CounterRoom)), match: defineRoom(MatchRoom) },
});
await server.listen(undefined as never);
