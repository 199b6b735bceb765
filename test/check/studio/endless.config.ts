import { defineRoom, defineServer, Room } from "@colyseus/core";

class EndlessRoom extends Room {
  override onCreate(): void {
    this.onMessage("loop", () => {
      for (;;);
    });
  }
}

export const server = defineServer({ greet: false, rooms: { endless: defineRoom(EndlessRoom) } });
