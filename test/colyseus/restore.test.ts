// test-run: seconds=300 computes node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { RoomRandom } from "../../server/session/random.ts";
import { Deck, EverythingRoom } from "./everything-room.ts";
import { bytesFrame, defineTestRoom, Replica } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

await defineTestRoom("everything", EverythingRoom, { classes: [Deck], transient: ["scratch"] });

const names = ["p1", "p2w", "p3x", "p4", "p5w", "p6"];
const nodes = ["A", "B", "C"];

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

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random.next() * values.length)] as T;
  }

  async begin(): Promise<void> {
    await this.scene.create("everything", { bias: this.#random.uint32() % 9 });
    await this.scene.join("p1");
  }

  async act(): Promise<void> {
    const { scene } = this;
    if (this.chance(0.45)) return await scene.tick(this.pick([17, 50, 51, 120, 400]));
    if (this.chance(0.04)) return void (await scene.apply(scene.log.nodeLost("A", this.pick(nodes))));
    if (this.chance(0.05)) return void (await scene.call("hold", this.chance(0.4)));
    const sessionId = this.pick(names);
    const seat = scene.seat(sessionId);
    if (seat === undefined) return await this.#enter(sessionId);
    const kept = !scene.room().clients.some((client) => client.sessionId === sessionId);
    if (kept || this.chance(0.08)) return void (await scene.reconnect(sessionId, this.pick(nodes)));
    if (this.chance(0.1)) return void (await scene.drop(sessionId, this.pick([1006, 1001, 4000])));
    await this.#speak(sessionId);
  }

  async #enter(sessionId: string): Promise<void> {
    const { scene } = this;
    await scene.reserve(sessionId, { name: `n-${sessionId}`, slow: this.chance(0.3) });
    if (this.chance(0.85)) await scene.attach(sessionId, this.pick(nodes), { wrapper: this.chance(0.3) });
  }

  async #speak(sessionId: string): Promise<void> {
    const { scene } = this;
    if (this.chance(0.2)) return void (await scene.request(sessionId, "fire"));
    if (this.chance(0.06)) return void (await scene.frame(sessionId, bytesFrame("raw", Uint8Array.of(1, 2))));
    const said = this.pick<[string, unknown?]>([
      ["fire"],
      ["draw"],
      ["think", 130],
      ["throw"],
      ["reject"],
      ["alarm", 250],
      ["repeat", 90],
      ["closure", 110],
      ["pulse", this.pick(["pause", "resume", "clear", "reset"])],
      ["lock"],
      ["unlock"],
      ["unlock"],
      ["meta", 3],
      ["seats", this.pick([2, 3, 4, 5])],
      ["kick"],
      ["go", this.pick([1000, 4000, 4010])],
      ["say", "salve"],
      ["bench"],
      ["field", { deep: [1, -0, Number.NaN] }],
      ["unfield"],
      ["nobody listens"],
    ]);
    await scene.send(sessionId, said[0], said[1]);
  }
}

test("[D1, Y1] restored replicas equal one that never was, for 400 entries on, whatever the players do", async () => {
  let restored = 0;
  let longest = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const script = new Script(seed);
    const { scene } = script;
    await script.begin();
    let restoredOnceAt: number | null = null;
    while (scene.entries.length < 440 && !scene.isGone) {
      await script.act();
      if (scene.isGone) break;
      // B is restored again and again, C once: it must stay equal to A, which never is, until the end.
      if (script.chance(0.15) && (await scene.restore("B"))) restored++;
      if (restoredOnceAt === null && scene.entries.length > 8 && (await scene.restore("C")))
        restoredOnceAt = scene.entries.length;
      const hashes = await inMacrotask(() => scene.hashes());
      assert.equal(hashes, [hashes[0], hashes[0], hashes[0]], `seed ${seed}, entry ${scene.entries.length}`);
      const points = scene.replicas.map(({ machine }) => machine.rooms.get(scene.roomId)?.witness.last);
      assert.equal(
        points,
        [points[0], points[0], points[0]],
        `seed ${seed}, entry ${scene.entries.length}: hash point`,
      );
      const listings = scene.replicas.map(({ programs }) => {
        const [listing] = programs.listings.query({ roomId: scene.roomId });
        return [listing?.clients, listing?.locked, listing?.maxClients, listing?.metadata];
      });
      assert.equal(listings[1], listings[0], `seed ${seed}, entry ${scene.entries.length}: listing`);
    }
    longest = Math.max(longest, scene.entries.length - (restoredOnceAt ?? scene.entries.length));
  }
  assert.ok(longest >= 400, `the longest life after a restore was ${longest} entries`);
  assert.ok(restored > 100, `${restored} restores`);
});

test("[Y2] the same log applied 1, 2 and 7 entries at a time gives the same room", async () => {
  for (let seed = 50; seed < 54; seed++) {
    const script = new Script(seed);
    await script.begin();
    while (script.scene.entries.length < 210 && !script.scene.isGone) await script.act();
    const { entries, roomId } = script.scene;
    const ends: (string | null)[] = [script.scene.first.hash(roomId)];
    for (const batch of [2, 7]) {
      const replica = new Replica("A");
      for (let at = 0; at < entries.length; at += batch) {
        await inMacrotask(() => entries.slice(at, at + batch).map((entry) => replica.apply(entry)));
      }
      ends.push(replica.hash(roomId));
    }
    assert.equal(ends, [ends[0], ends[0], ends[0]], `seed ${seed}`);
  }
});

test.run();
