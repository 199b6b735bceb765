/** A room that asks the server's presence, in a scene that a node leads: the presence is one that all replicas share. */
import { type Client, LocalPresence, matchMaker, type Presence, Room } from "@colyseus/core";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { reportInWorld } from "../../server/session/sandbox.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

// As the node does.
process.on("unhandledRejection", (error) => {
  if (!reportInWorld(error)) throw error;
});

/** Outside of all replicas, as a store of their own would be. */
export class SharedPresence extends LocalPresence {
  readonly shared = true;
}

type Call = (...args: unknown[]) => unknown;

export class CallingRoom extends Room {
  told: unknown[] = [];
  heard: unknown[] = [];
  kept: Presence | null = null;

  override onCreate({ asks }: { asks?: boolean }) {
    this.autoDispose = false;
    this.onMessage("ask", async (_client, [method, ...args]: [keyof Presence, ...unknown[]]) => {
      const answer = await this.ask(method, args);
      this.told.push([method, answer, Math.random()]);
      return answer;
    });
    this.onMessage("keep", () => {
      this.kept = this.presence;
    });
    this.onMessage("forget", (_client, key: string) => void this.presence.set(key, "x"));
    if (asks) return this.presence.get("gold");
  }

  async ask(method: keyof Presence, args: unknown[]): Promise<unknown> {
    try {
      const call = this.presence[method] as Call;
      return (await call(...args)) ?? null;
    } catch (error) {
      return toldAs(error);
    }
  }

  override onDrop(client: Client) {
    this.allowReconnection(client, 60);
  }
}

export function toldAs(error: unknown): unknown {
  const { name, code, message } = error as Error & { code: unknown };
  return [name, code, message];
}

await defineTestRoom("calling", CallingRoom);

export async function usePresence<P extends Presence>(presence: P): Promise<P> {
  await matchMaker.setup(presence, matchMaker.driver, "");
  return presence;
}

/** B leads; the harness's commands are all of term 1. */
export async function callingScene(roomName = "calling", options: object = {}): Promise<Scene> {
  const made = new Scene();
  made.node("B").leadsTerm = 1;
  await made.create(roomName, options);
  return made;
}

/** The node goes without a word: another one leads. */
export async function fall(scene: Scene, to: string, term = 2): Promise<void> {
  for (const replica of scene.replicas) replica.leadsTerm = replica.nodeId === to ? term : null;
  for (const replica of scene.replicas) await inMacrotask(() => replica.effects.sweep());
}
