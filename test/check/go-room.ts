import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import type { CheckScript, CheckStep } from "../../server/check.ts";

const State = schema({ n: t.number().default(0), words: t.array("string") }, "CheckedState");
type State = InstanceType<typeof State>;

export const join = (client: string): CheckStep => ({ type: "join", client });
export const say = (client: string, message: string, payload?: unknown): CheckStep => ({
  type: "message",
  client,
  message,
  payload,
});
export const tick = (ms: number): CheckStep => ({ type: "tick", ms });

export const script: CheckScript = {
  steps: [
    ...[join("ann"), join("ben"), tick(100), say("ann", "go"), say("ben", "go"), tick(500)],
    ...[say("ann", "go"), { type: "leave", client: "ben", consented: false } as const, tick(200)],
    ...[say("ann", "go"), { type: "reconnect", client: "ben" } as const, say("ben", "go"), tick(1_000)],
  ],
};

/** A room whose handler of "go" does what is to be looked at. */
export abstract class GoRoom extends Room<{ state: State }> {
  override state = new State();
  override autoDispose = false;
  override onCreate(): void | Promise<void> {
    this.onMessage("go", (client) => this.go(client));
  }
  override onDrop(client: Client): void {
    this.allowReconnection(client, 30);
  }
  abstract go(client: Client): unknown;
}

export class BulkyRoom extends GoRoom {
  bulk = "";
  go() {
    this.bulk = String(Math.random()).padEnd(1_300_000, "x");
  }
  grow() {
    this.bulk = this.bulk.padEnd(5 * 1024 * 1024, "x");
  }
}
