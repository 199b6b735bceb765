// The one place that knows which client library carries the page.
import type { FireReply, SteerMessage } from "../../shared/arena/messages.ts";
import { Client, type FailoverRoom } from "../testudo-client.ts";
import type { ArenaState } from "./arena-state.ts";
import type { Endpoint } from "./node-status.ts";

const roomName = "arena";
const pingMs = 1_000;
/** In the tab's own storage, and only while the page is being reloaded: a copied tab must not find it. */
const seatKey = "testudo.seat";

export type ArenaConnection = FailoverRoom<unknown, ArenaState>;

export type SessionEvent =
  | { readonly type: "patch"; readonly state: ArenaState }
  | { readonly type: "dropped" }
  | { readonly type: "resumed" }
  /** The seat goes on behind another node (or the same one); `gapMs` as the client library measured it. */
  | { readonly type: "moved"; readonly from: string; readonly to: string; readonly gapMs: number }
  | { readonly type: "left"; readonly code: number };

/** A seat in the arena. */
export class Session {
  readonly room: ArenaConnection;
  #roundTripMs: number | null = null;
  #attached = true;

  /** The seat from before a reload, if there is one, else a new one. @param endpoints at least one, the preferred one first */
  static async open(endpoints: readonly Endpoint[], name: string): Promise<Session> {
    const client = new Client(
      endpoints.map(({ url }) => url),
      { latest: { [roomName]: ["steer"] } },
    );
    const token = window.sessionStorage.getItem(seatKey);
    window.sessionStorage.removeItem(seatKey);
    if (token !== null) {
      try {
        return new Session(await client.reconnect<ArenaState>(token));
      } catch {
        // It waited too long, or its match is over: a new one is just as good.
      }
    }
    return new Session(await client.joinOrCreate<ArenaState>(roomName, { name }));
  }

  private constructor(room: ArenaConnection) {
    this.room = room;
    // On a plain server too a seat is worth coming back to, however young it is.
    room.reconnection.minUptime = Math.min(0, room.reconnection.minUptime);
    setInterval(() => {
      if (this.#attached) {
        room.ping((ms) => {
          this.#roundTripMs = ms;
        });
      }
    }, pingMs);
  }

  /** To the attached node and back, or null before the first answer. */
  get roundTripMs(): number | null {
    return this.#roundTripMs;
  }

  /** The node that the connection goes to; "" on a plain server. */
  get node(): string {
    return this.room.endpoint?.node ?? "";
  }

  /** The page goes: its next life in this tab, after a reload, may have the seat. */
  keepSeat(): void {
    window.sessionStorage.setItem(seatKey, this.room.reconnectionToken);
  }

  /** The page is here. */
  forgetSeat(): void {
    window.sessionStorage.removeItem(seatKey);
  }

  listen(listener: (event: SessionEvent) => void): void {
    this.room.onStateChange((state) => listener({ type: "patch", state }));
    this.room.onDrop(() => {
      this.#attached = false;
      listener({ type: "dropped" });
    });
    this.room.onReconnect(() => {
      this.#attached = true;
      listener({ type: "resumed" });
    });
    this.room.onFailover(({ from, to, gapMs }) => {
      listener({ type: "moved", from: from.node ?? from.url, to: to.node ?? to.url, gapMs });
    });
    this.room.onLeave((code) => {
      this.#attached = false;
      listener({ type: "left", code });
    });
  }

  /** Tells a wish, unless nobody is there to hear it: the next one counts as well. */
  steer(message: SteerMessage): void {
    if (this.#attached) this.room.send("steer", message);
  }

  /** Fires once, whatever happens to the node meanwhile. Rejects when it cannot be known to have happened. */
  async fire(): Promise<FireReply> {
    return await this.room.request<undefined, FireReply>("fire");
  }
}
