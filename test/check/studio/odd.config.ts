/** Rooms that a check must not be stopped by, and what @colyseus/tools takes instead of a server. */
import { Room } from "@colyseus/core";
import { z } from "zod";

class SecretRoom extends Room {
  #secret = 1;

  override onCreate(): void {
    this.onMessage("ask", () => this.#secret++);
  }
}

class CapturingRoom extends Room {
  best = 0;

  override onCreate({ start }: { start?: number }): void {
    if (start === undefined) throw new Error("start is needed");
    let last = start;
    this.onMessage("go", () => {
      last += 1;
      this.best = last;
    });
  }
}

const known = z.object({
  kind: z.literal("bow"),
  at: z.array(z.number().min(3)).min(2),
  note: z.string().min(8),
});

class PickyRoom extends Room {
  kinds: string[] = [];
  recorded = 0;

  override onCreate(): void {
    this.onMessage("pick", known, (_client, { kind, at, note }) => {
      if (at.length < 2 || note.length < 8) throw new Error("no sample");
      this.kinds.push(kind);
      setTimeout(() => {}, 1);
    });
    this.onMessage("never", z.string().startsWith("a secret"), () => {
      setInterval(() => {}, 1);
    });
    this.onMessageBytes("raw", () => {});
  }
}

/** Drawn by each process for itself. */
const salt = Math.random();

class SaltedRoom extends Room {
  salt = 0;

  override onCreate(): void {
    this.onMessage("season", () => {
      this.salt = salt;
    });
  }
}

export default {
  rooms: { salted: SaltedRoom, secret: SecretRoom, picky: PickyRoom },
  initializeGameServer: (server: { define(name: string, roomClass: unknown): void }) => {
    server.define("capturing", CapturingRoom);
  },
};
