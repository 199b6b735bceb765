/** One node with the rooms that are tortured. */
import { defineRoom, defineServer } from "@colyseus/core";
import { replicated, testudo } from "../../server/index.ts";
import { TortureRoom } from "./torture-room.ts";

const server = defineServer({
  ...testudo(),
  rooms: { torture: defineRoom(replicated(TortureRoom)).filterBy(["room"]) },
});
await server.listen(undefined as never);
