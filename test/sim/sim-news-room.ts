import { type Client, LocalPresence, type Presence } from "@colyseus/core";
import { isOwnChannel } from "../../server/colyseus/presence/shared-presence.ts";
import { roomListener, SimRoom } from "./sim-room.ts";

export const tallyKey = "tally";
export const newsChannel = "news";

/** A room that asks the server's presence, and listens there. */
export class SimNewsRoom extends SimRoom {
  calls = 0;
  published = 0;
  heard = 0;
  lastNews = "";
  lastTally = 0;

  override onCreate(options: object): void {
    super.onCreate(options);
    this.onMessage("tally", async (_client: Client) => {
      const call = ++this.calls;
      try {
        this.lastTally = await this.presence.incr(tallyKey);
      } catch (error) {
        return { failed: (error as Error).message };
      }
      roomListener()?.counted(this.roomId, call, this.lastTally);
      return { tally: this.lastTally };
    });
    this.onMessage("publish", async (_client: Client) => {
      const message = `${this.roomId} ${++this.published}`;
      const failed = await this.presence.publish(newsChannel, message)?.then(
        () => null,
        (error: Error) => error.message,
      );
      return { failed };
    });
    // In no log: it may look and speak.
    this.onMessage("emote", (client: Client, { number }: { number: number }) => {
      this.broadcast("emote", { from: client.sessionId, number, ticks: this.state.ticks });
      if (number % 3 === 0) this.names.add(`emote ${number}`);
    });
    void this.presence.subscribe(newsChannel, this.hears);
  }

  hears(message: string): void {
    this.heard += 1;
    this.lastNews = message;
    roomListener()?.heard(this.roomId, this.heard, message);
  }
}

const colyseus = new LocalPresence();
let ofNode: () => Presence | null = () => null;

/** Whose process it is that does something just now; null: Colyseus's own books, which all simulated nodes share. */
export function presenceBy(next: () => Presence | null): void {
  ofNode = next;
}

function of(presence: Presence, name: string | symbol): unknown {
  return (presence as unknown as Record<string | symbol, unknown>)[name];
}

/** What stands for the presence of each simulated node in Colyseus's one matchmaker, which listens for each room. */
export const nodePresence = new Proxy(colyseus, {
  get: (_, name) => {
    // Rooms may use it.
    if (name === "shared") return true;
    const presence = ofNode() ?? colyseus;
    const value = of(presence, name);
    if (typeof value !== "function") return value;
    return (...args: unknown[]) => {
      const isColyseus = presence === colyseus || isOwnChannel(args[0]);
      const [whose, method] = isColyseus ? [colyseus, of(colyseus, name)] : [presence, value];
      return (method as (...args: unknown[]) => unknown).apply(whose, args);
    };
  },
});
