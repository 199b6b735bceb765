/** One node with the rooms of the benchmark: what server/main.ts is to the game. */
import { defineRoom, defineServer } from "@colyseus/core";
import { replicated, testudo } from "../../server/index.ts";
import { BenchRoom, PulseRoom } from "./bench-room.ts";

const server = defineServer({
  ...testudo(),
  rooms: { bench: defineRoom(replicated(BenchRoom)), pulse: defineRoom(replicated(PulseRoom)) },
});
// Without a port: where the options say.
await server.listen(undefined as never);
