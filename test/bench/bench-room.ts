import { type Client, Room } from "@colyseus/core";
import { type SchemaType, schema, t } from "@colyseus/schema";

export const BenchState = schema(
  {
    /** How many commands of each seat were applied. */
    counts: t.map("uint32"),
    beats: t.uint32().default(0),
  },
  "BenchState",
);
export type BenchState = SchemaType<typeof BenchState>;

/** Nothing but commands: each adds one to its seat's counter, and the reply is the counter. */
export class BenchRoom extends Room<{ state: BenchState }> {
  override maxClients = 100;
  /** Patches are another measurement's: with 0, Colyseus would tick its clock 60 times a second instead. */
  override patchRate = 60_000;
  override state = new BenchState();

  override messages = {
    add: (client: Client): number => {
      const count = (this.state.counts.get(client.sessionId) ?? 0) + 1;
      this.state.counts.set(client.sessionId, count);
      return count;
    },
  };

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

/** The same with a match going on: 20 steps, and 20 patches, a second. */
export class PulseRoom extends BenchRoom {
  override patchRate = 50;

  override onCreate(): void {
    this.setTimestep(() => {
      this.state.beats += 1;
    }, 50);
  }
}
