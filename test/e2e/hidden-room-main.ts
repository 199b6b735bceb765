/** One node whose room hides something from its checkpoints, and does not save it itself. */
import { defineRoom, defineServer, Room } from "@colyseus/core";
import { replicated, testudo } from "../../server/index.ts";

class HiddenRoom extends Room {
  #drawn: number[] = [];
  override messages = { draw: () => this.#drawn.push(Math.random()) };
}

const server = defineServer({ ...testudo(), rooms: { hidden: defineRoom(replicated(HiddenRoom)) } });
await server.listen(undefined as never);
