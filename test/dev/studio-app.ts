/** A studio's server as its tests boot it: in memory, with nothing else changed. */
import { defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, testudo } from "../../server/index.ts";

const CounterState = schema({ count: t.number().default(0), steps: t.number().default(0) }, "CounterState");

export class CounterRoom extends Room<{ state: InstanceType<typeof CounterState> }> {
  override state = new CounterState();
  override messages = {
    add: (_client: unknown, by: number) => {
      this.state.count += by;
      this.broadcast("added", this.state.count);
    },
  };

  override onCreate(): void {
    this.setTimestep(() => {
      this.state.steps += 1;
    }, 50);
  }
}

/** Anew for each boot: a Colyseus server listens once. */
export function makeServer() {
  return defineServer({
    ...testudo({ memory: true }),
    rooms: { counter: defineRoom(replicated(CounterRoom)) },
  });
}
