/** A room that goes its own way on some nodes, and a scene of three replicas that can be condemned and healed. */
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import * as assert from "uvu/assert";
import { type CopyWish, copyRoom } from "../../../server/session/divergence/room-copy.ts";
import { noHash } from "../../../server/session/divergence/room-witness.ts";
import { inMacrotask } from "../../../server/session/macrotask.ts";
import type { RoomReplica } from "../../../server/session/room-replica.ts";
import { defineTestRoom, type LoggedCommand } from "../../colyseus/machine-harness.ts";
import { Scene } from "../../colyseus/scene.ts";

const State = schema({ shots: t.number() }, "DivergingState");

export class DivergingRoom extends Room<{ state: InstanceType<typeof State> }> {
  override state = new State();
  override autoDispose = false;
  /** What no replica but one has: as a module's global, or process.env, would. */
  bias = 0;
  steps = 0;

  override onCreate() {
    this.state.shots = 0;
    this.setTimestep(() => this.steps++, 100);
    this.onMessage("fire", () => (this.state.shots += 1 + this.bias));
    this.onMessage("wait", async (_client: Client, ms: number) => await this.clock.duration(ms));
  }

  override onDrop(client: Client) {
    this.allowReconnection(client, 5);
  }

  end(): void {
    void this.disconnect();
  }

  drawn(): number {
    return Math.random();
  }
}

await defineTestRoom("diverging", DivergingRoom);

export class Trial extends Scene {
  async begin(): Promise<this> {
    await this.create("diverging");
    await this.join("a", "A");
    await this.join("b", "B");
    await this.join("c", "C");
    await this.tick(100, 12);
    return this;
  }

  replica(nodeId: string): RoomReplica {
    const replica = this.node(nodeId).machine.rooms.get(this.roomId);
    if (replica === undefined) throw new Error(`${nodeId} has no room`);
    return replica;
  }

  /** Lets each of these nodes go its own way. */
  async bias(...nodeIds: string[]): Promise<void> {
    for (const [at, nodeId] of nodeIds.entries()) this.room<DivergingRoom>(nodeId).bias = at + 1;
    await this.send("a", "fire");
    await this.tick(1_000);
  }

  pointOf(nodeId: string): { index: number; hash: string } {
    const point = this.replica(nodeId).witness.last;
    if (point === null) throw new Error("no hash was taken");
    return point;
  }

  verdict(hash: string | null, index = this.pointOf("A").index): LoggedCommand {
    const hashes = this.replicas.map((replica): [string, string] => [
      replica.nodeId,
      replica.machine.rooms.get(this.roomId)?.witness.hashAt(index) ?? noHash,
    ]);
    return this.log.next("A", "verdicts", { verdicts: [{ roomId: this.roomId, index, hash, hashes }] });
  }

  /** A's hash is the majority's; C's is another. */
  async condemn(): Promise<CopyWish> {
    await this.bias("C");
    const { index, hash } = this.pointOf("A");
    await this.apply(this.verdict(hash));
    return { roomId: this.roomId, index, hash, notBefore: this.log.index, code: "" };
  }

  standing(nodeId: string): string {
    return this.node(nodeId).machine.standing(this.roomId)?.type ?? "serving";
  }

  async copy(from: string, wish: CopyWish) {
    return await inMacrotask(() => copyRoom(this.node(from).machine, wish));
  }

  async heal(nodeId: string, from: string, wish: CopyWish): Promise<void> {
    const copied = await this.copy(from, wish);
    if (copied.type === "refused") throw new Error(copied.reason);
    await inMacrotask(() => this.node(nodeId).machine.heal(this.roomId, copied.checkpoint));
  }

  async equal(): Promise<void> {
    const whole = await inMacrotask(() =>
      this.replicas.map(({ machine }) => {
        const replica = machine.rooms.get(this.roomId);
        const { world, origins, seats } = replica as RoomReplica;
        const states = [...seats.values()].map((seat) => seat.state);
        return JSON.stringify([replica?.program.hash(), world.state, origins.state, states]);
      }),
    );
    assert.is(new Set(whole).size, 1, whole.join("\n"));
  }
}
