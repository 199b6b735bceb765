// test-run: seconds=300 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RoomRandom } from "../../server/session/random.ts";
import { defineTestRoom, inMacrotask } from "./machine-harness.ts";
import { Scene } from "./scene.ts";
import { ViewsRoom } from "./views-room.ts";

await defineTestRoom("views", ViewsRoom);

const nodes = ["A", "B", "C"];
const acts = Object.getOwnPropertyNames(ViewsRoom.prototype).flatMap((name) =>
  name.startsWith("do") ? [name.slice(2)] : [],
);

/** A random player of the room: each call is one thing that somebody does. */
class Script {
  readonly scene = new Scene(nodes);
  readonly #random: RoomRandom;

  constructor(seed: number) {
    this.#random = RoomRandom.seeded(Uint8Array.of(...new Uint8Array(11), seed));
  }

  chance(share: number): boolean {
    return this.#random.next() < share;
  }

  below(n: number): number {
    return Math.floor(this.#random.next() * n);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  async act(): Promise<void> {
    const { scene } = this;
    if (this.chance(0.25)) return await scene.tick(this.pick([17, 50, 51, 120]));
    const sessionId = this.pick(["p1", "p2w", "p3", "p4", "j1"]);
    const seat = scene.seat(sessionId);
    if (seat === undefined)
      return void (await scene.join(sessionId, this.pick(nodes), { judge: sessionId === "j1" }));
    const kept = !scene.room().clients.some((client) => client.sessionId === sessionId);
    if (kept || this.chance(0.05)) return void (await scene.reconnect(sessionId, this.pick(nodes)));
    if (this.chance(0.04)) return void (await scene.drop(sessionId));
    if (this.chance(0.02)) return void (await scene.drop(sessionId, 4000));
    await scene.send(sessionId, "act", [this.pick(acts), this.below(1000), this.below(1000)]);
  }
}

test("[Y34, Y35] restored replicas see with every view what one sees that never was restored, whatever is done with views", async () => {
  let restored = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const script = new Script(seed);
    const { scene } = script;
    await scene.create("views");
    for (let step = 0; step < 300 && !scene.isGone; step++) {
      await script.act();
      if (scene.isGone) break;
      if (script.chance(0.15) && (await scene.restore("B"))) restored++;
      if (step === 60) await scene.restore("C");
      const sights = await inMacrotask(() => nodes.map((id) => scene.room<ViewsRoom>(id).sight()));
      assert.is(sights[1], sights[0], `seed ${seed}, step ${step}: B`);
      assert.is(sights[2], sights[0], `seed ${seed}, step ${step}: C`);
      const hashes = await inMacrotask(() => scene.hashes());
      assert.equal(hashes, [hashes[0], hashes[0], hashes[0]], `seed ${seed}, step ${step}`);
    }
  }
  assert.ok(restored > 100, `${restored} restores`);
});

test.run();
