import { defineRoom, defineServer } from "@colyseus/core";
import { ArenaRoom, ChangeRoom, DeckRoom } from "./rooms.ts";

export const server = defineServer({
  greet: false,
  rooms: {
    arena: defineRoom(ArenaRoom).filterBy(["mode"]),
    deck: defineRoom(DeckRoom),
    change: defineRoom(ChangeRoom),
  },
});
await server.listen(2567);
