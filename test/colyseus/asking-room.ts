/** A room that waits for things from outside, in a scene that a node leads. Whoever uses it says when they come. */
import { type Client, Room } from "@colyseus/core";
import * as assert from "uvu/assert";
import type { Effects } from "../../server/colyseus/effects.ts";
import type { ReplicatedRoom } from "../../server/colyseus/replicated.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import type { EffectCall } from "../../server/session/room-program.ts";
import { currentWorld, reportInWorld } from "../../server/session/sandbox.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

// As the node does.
process.on("unhandledRejection", (error) => {
  if (!reportInWorld(error)) throw error;
});

export interface Attempt extends EffectCall {
  readonly argument: unknown;
  readonly isOutside: boolean;
  answer(value: unknown): void;
  fail(error: unknown): void;
}

/** Attempts of any replica, in order. */
export const attempts: Attempt[] = [];

export async function attempt(argument: unknown, { key, signal }: EffectCall): Promise<unknown> {
  const isOutside = currentWorld() === null;
  return await new Promise((answer, fail) => {
    attempts.push({ argument, key, signal, isOutside, answer, fail });
  });
}

export const bytes = (length: number) => new Uint8Array(length);

export class AskingRoom extends Room {
  declare effect: ReplicatedRoom["effect"];
  effects = {
    look: { timeoutMs: 1_000, run: attempt },
    quick: { run: async ({ id }: { id: string }) => ({ id, is: "quick" }) },
    nothing: { run: () => undefined },
  } satisfies Effects;
  found: unknown[] = [];
  asking: (() => void) | undefined;

  override onCreate() {
    this.autoDispose = false;
    this.onMessage("look", async (_client, id: string) => {
      const answer = await this.effect("look", { id });
      this.found.push([id, answer, Math.random()]);
      return answer;
    });
    this.onMessage(
      "try",
      async (_client, { argument, times = 1 }: { argument?: unknown; times?: number }) => {
        for (let time = 1; time < times; time++) void this.tried(argument);
        return await this.tried(argument);
      },
    );
    this.onMessage("changing", async () => {
      const asked = { id: "before" };
      const answer = this.effect("look", asked);
      asked.id = "after";
      await answer;
    });
    this.onMessage("forgetful", () => {
      void this.effect("look", "nobody waits");
    });
    this.onMessage("regret", () => this.effect("look", "regretted").cancel());
    this.onMessage("cancel", async () => {
      const asked = this.effect("look", "cancelled");
      this.clock.setTimeout(() => asked.cancel(), 200);
      return await asked.catch(toldAs);
    });
    this.onMessage("nothing", () => this.effect("nothing"));
  }

  override async onJoin(_client: Client, { looksUp }: { looksUp?: string }) {
    if (looksUp === undefined) return;
    this.found.push(["joins", (await this.effect("quick", { id: looksUp })).id]);
  }

  async tried(argument: unknown) {
    try {
      const answer = await this.effect("look", argument);
      this.found.push(answer);
      return { answer };
    } catch (error) {
      const told = toldAs(error);
      this.found.push(told);
      return told;
    }
  }

  override onDrop(client: Client) {
    this.allowReconnection(client, 20);
  }

  async told(method: "giveMap" | "giveMuch" | "giveUnknown" | "giveInherited") {
    return await this[method]().catch(toldAs);
  }
  giveMap() {
    return this.effect("look", { deck: new Map() });
  }
  giveMuch() {
    return this.effect("look", bytes(sessionLimits.effectBytesMax));
  }
  giveUnknown() {
    return this.effect("lok" as "look", null);
  }
  giveInherited() {
    return this.effect("toString" as "look", null);
  }

  askMany(times: number) {
    for (let time = 0; time < times; time++) void this.tried(time);
  }

  holds() {
    const asked = this.effect("look", null);
    this.asking = () => asked.cancel();
  }

  ask(id: string) {
    return this.effect("look", { id });
  }
}

function toldAs(error: unknown): unknown {
  const { name, code, message } = error as Error & { code: unknown };
  return [name, code, message];
}

await defineTestRoom("asking", AskingRoom);

/** B leads; the harness's commands are all of term 1. */
export async function scene(roomName = "asking"): Promise<Scene> {
  attempts.length = 0;
  const made = new Scene();
  made.node("B").leadsTerm = 1;
  await made.create(roomName);
  return made;
}

/** Whatever runs outside of the log goes on. */
export async function turns(count = 4): Promise<void> {
  for (let turn = 0; turn < count; turn++) await inMacrotask(() => {});
}

/** What a node wants to have agreed is committed. */
export async function agree(scene: Scene, nodeId = "B"): Promise<void> {
  await turns();
  for (const { roomId, number, outcome } of scene.node(nodeId).effectsDone.splice(0))
    await scene.apply(scene.log.effectDone(nodeId, roomId, number, outcome));
  await turns();
}

export function same(scene: Scene): void {
  const [first, ...others] = scene.hashes();
  assert.ok(first);
  for (const hash of others) assert.is(hash, first);
  for (const { machine } of scene.replicas) {
    const { world } = machine.rooms.get(scene.roomId) as { world: { state: unknown } };
    assert.equal(world.state, scene.first.machine.rooms.get(scene.roomId)?.world.state);
  }
}

export async function lead(scene: Scene, nodeId: string | null, term: number): Promise<void> {
  for (const replica of scene.replicas) replica.leadsTerm = replica.nodeId === nodeId ? term : null;
  for (const replica of scene.replicas) await inMacrotask(() => replica.effects.sweep());
  await turns();
}
