// The one place that knows which client library carries the page.
import { Client, type Room } from "@colyseus/sdk";
import type { FireReply, SteerMessage } from "../../shared/arena/messages.ts";
import type { ArenaState } from "./arena-state.ts";
import type { Endpoint } from "./node-status.ts";

const pingMs = 1_000;

export type SessionEvent =
  | { readonly type: "patch"; readonly state: ArenaState }
  | { readonly type: "dropped" }
  | { readonly type: "resumed" }
  | { readonly type: "left"; readonly code: number };

/** A seat in the arena. */
export class Session {
  readonly room: Room<unknown, ArenaState>;
  #roundTripMs: number | null = null;

  /** @param endpoints at least one, the preferred one first */
  static async open(endpoints: readonly Endpoint[], name: string): Promise<Session> {
    const [first] = endpoints;
    if (first === undefined) throw new TypeError("no endpoint to connect to");
    const client = new Client(first.url);
    return new Session(await client.joinOrCreate<ArenaState>("arena", { name }));
  }

  private constructor(room: Room<unknown, ArenaState>) {
    this.room = room;
    // A seat is worth waiting for, however young it is.
    room.reconnection.minUptime = 0;
    setInterval(
      () =>
        this.room.ping((ms) => {
          this.#roundTripMs = ms;
        }),
      pingMs,
    );
  }

  /** To the attached node and back, or null before the first answer. */
  get roundTripMs(): number | null {
    return this.#roundTripMs;
  }

  /** The address of the node that the seat is attached to: `http://host:port`. */
  get url(): string {
    const { url } = this.room.connection as unknown as { url?: string };
    return url === undefined ? "" : new URL(url.replace(/^ws/, "http")).origin;
  }

  listen(listener: (event: SessionEvent) => void): void {
    this.room.onStateChange((state) => listener({ type: "patch", state }));
    this.room.onDrop(() => listener({ type: "dropped" }));
    this.room.onReconnect(() => listener({ type: "resumed" }));
    this.room.onLeave((code) => listener({ type: "left", code }));
  }

  steer(message: SteerMessage): void {
    if (this.room.connection.isOpen) this.room.send("steer", message);
  }

  fire(): Promise<FireReply> {
    return this.room.request<undefined, FireReply>("fire");
  }
}
