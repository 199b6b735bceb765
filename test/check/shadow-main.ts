/** One node with a room whose checkpoint does not bring it back. */
import { defineRoom, defineServer, Room } from "@colyseus/core";
import { replicated, testudo } from "../../server/index.ts";

let isFirst = true;

class OnceRoom extends Room {
  override autoDispose = false;
  beats = 0;
  override onCreate(): void {
    if (isFirst) this.clock.setInterval(() => this.beat(), 100);
    isFirst = false;
  }
  beat(): void {
    this.beats += 1;
  }
}

const server = defineServer({ ...testudo(), rooms: { once: defineRoom(replicated(OnceRoom)) } });
await server.listen(undefined as never);
