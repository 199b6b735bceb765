/** A presence in a process of its own, which all nodes share: what a Redis would be. */
import { once } from "node:events";
import { LocalPresence, type Presence } from "@colyseus/core";
import { WebSocket, WebSocketServer } from "ws";
import { presenceMethods } from "../../server/colyseus/presence/shared-presence.ts";

type Call = (...args: unknown[]) => unknown;
type Ask = readonly [id: number, method: string, args: unknown[]];
/** An answer has an id, what is published has a channel. */
type Said =
  | readonly [id: number, value: unknown, error?: string]
  | readonly [channel: string, message: unknown];

export class PresenceServer {
  readonly presence = new LocalPresence();
  /** So many calls of each method were made, by whichever node. */
  readonly calls = new Map<string, number>();
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async listen(port: number): Promise<PresenceServer> {
    const server = new WebSocketServer({ host: "127.0.0.1", port });
    await once(server, "listening");
    return new PresenceServer(server);
  }

  #serve(socket: WebSocket): void {
    const ears = new Map<string, (message: unknown) => void>();
    const say = (said: Said) => socket.send(JSON.stringify(said));
    socket.on("message", async (bytes) => {
      const [id, method, args] = JSON.parse(String(bytes)) as Ask;
      const [channel] = args as [string];
      this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
      try {
        if (method === "subscribe" && !ears.has(channel)) {
          const ear = (message: unknown) => say([channel, message]);
          ears.set(channel, ear);
          this.presence.subscribe(channel, ear);
        } else if (method === "unsubscribe") {
          this.presence.unsubscribe(channel, ears.get(channel));
          ears.delete(channel);
        } else if (method !== "subscribe") {
          const call = (this.presence as unknown as Record<string, Call>)[method] as Call;
          const value = await call.apply(this.presence, args);
          say([id, value === this.presence ? null : (value ?? null)]);
          return;
        }
        say([id, null]);
      } catch (error) {
        say([id, null, String(error)]);
      }
    });
    socket.on("close", () => {
      for (const [channel, ear] of ears) this.presence.unsubscribe(channel, ear);
    });
  }

  close(): void {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
  }
}

/** The same from a node's side. */
export function remotePresence(port: number): Presence {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const opened = once(socket, "open");
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const ears = new Map<string, Set<Call>>();
  let asked = 0;
  socket.on("message", (bytes) => {
    const [key, value, error] = JSON.parse(String(bytes)) as [number | string, unknown, string?];
    if (typeof key === "string") {
      for (const ear of ears.get(key) ?? []) ear(value);
      return;
    }
    if (error === undefined) waiting.get(key)?.resolve(value);
    else waiting.get(key)?.reject(new Error(error));
    waiting.delete(key);
  });
  const ask = async (method: string, args: unknown[]): Promise<unknown> => {
    await opened;
    const id = ++asked;
    return await new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify([id, method, args]));
    });
  };
  const presence: Record<string, Call> = {};
  for (const method of presenceMethods) presence[method] = (...args) => ask(method, args);
  presence["subscribe"] = async (channel, ear) => {
    const all = ears.get(channel as string) ?? new Set();
    ears.set(channel as string, all.add(ear as Call));
    await ask("subscribe", [channel]);
    return presence;
  };
  presence["unsubscribe"] = async (channel, ear) => {
    const all = ears.get(channel as string);
    if (ear === undefined) all?.clear();
    else all?.delete(ear as Call);
    if (all?.size === 0) await ask("unsubscribe", [channel]);
  };
  presence["shutdown"] = () => socket.close();
  presence["setMaxListeners"] = () => {};
  return presence as unknown as Presence;
}
