import { defineRoom, defineServer } from "@colyseus/core";
import { replicated } from "../../../../server/colyseus/replicated.ts";
import * as rooms from "./rooms.ts";

export const server = defineServer({
  greet: false,
  rooms: {
    captured: defineRoom(rooms.CapturedRoom),
    loop: defineRoom(rooms.LoopRoom),
    fetching: defineRoom(rooms.FetchingRoom),
    table: defineRoom(rooms.SharedTableRoom),
    ability: defineRoom(rooms.AbilityRoom),
    bank: defineRoom(rooms.BankRoom),
    openBank: defineRoom(replicated(rooms.BankRoom, { transient: ["bank"] })),
    events: defineRoom(rooms.EventsRoom),
    sleeping: defineRoom(rooms.SleepingRoom),
    clients: defineRoom(rooms.ClientsRoom),
    teams: defineRoom(rooms.TeamsRoom),
    level: defineRoom(rooms.LevelRoom),
    bus: defineRoom(rooms.BusRoom),
    serializer: defineRoom(rooms.OwnSerializerRoom),
  },
});
await server.listen(2567);
