// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import crypto from "node:crypto";
import { generateId, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkDeterminism } from "../../server/check/check-determinism.ts";
import { defineTestRoom, type Replica } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const draws: Record<string, () => unknown> = {
  uuid: () => crypto.randomUUID(),
  bytes: () => crypto.randomBytes(8).toString("hex"),
  values: () => [...globalThis.crypto.getRandomValues(new Uint8Array(3))],
  dice: () => crypto.randomInt(1, 7),
  id: () => generateId(),
  chance: () => Math.random(),
};

class DealerRoom extends Room {
  override autoDispose = false;
  readonly drawn: unknown[] = [];

  draw(name: string): unknown {
    this.drawn.push(draws[name]?.());
    return this.drawn.at(-1);
  }

  int(low: number, high: number): number {
    return crypto.randomInt(low, high);
  }
}

for (const name of ["dealer", "quiet", "loud", "loud too"])
  await defineTestRoom(name, class extends DealerRoom {});

const told = ({ warnings }: Replica) =>
  warnings.filter((fields) => (fields as { event?: string }).event === "secret-in-room");

test("[Y146] what crypto draws is the same on every replica, and goes on through a checkpoint", async () => {
  const scene = new Scene();
  await scene.create("dealer");
  for (const name of Object.keys(draws)) await scene.call("draw", name);
  assert.is(await scene.restore("B"), true);
  for (const name of Object.keys(draws)) await scene.call("draw", name);
  const [first, ...others] = scene.replicas.map(({ nodeId }) => scene.room<DealerRoom>(nodeId).drawn);
  assert.is(new Set(first?.map((each) => JSON.stringify(each))).size, first?.length);
  for (const other of others) assert.equal(other, first);
  assert.is(new Set(scene.hashes()).size, 1);
});

test("[Y146] it takes nothing from Math.random, and its numbers are as many of each", async () => {
  const [one, other] = [new Scene(["A"]), new Scene(["A"])];
  for (const scene of [one, other]) await scene.create("dealer");
  for (const name of ["uuid", "bytes", "dice", "id", "values"]) await other.call("draw", name);
  assert.is(await one.call("draw", "chance"), await other.call("draw", "chance"));

  const counts = new Map<number, number>();
  for (let draw = 0; draw < 1_200; draw++) {
    const thrown = (await one.call("int", 1, 7)) as number;
    counts.set(thrown, (counts.get(thrown) ?? 0) + 1);
  }
  assert.equal([...counts.keys()].sort(), [1, 2, 3, 4, 5, 6]);
  // Six standard deviations; the seed is fixed, so this holds for good or never.
  for (const count of counts.values()) assert.ok(Math.abs(count - 200) < 6 * Math.sqrt(200), `${count}`);
  for (const [low, high] of [
    [5, 5],
    [5, 1],
    [0, 2 ** 48],
    [0.5, 3],
  ]) {
    const refused = (await one.call("int", low, high)) as { refused?: string; message?: string };
    assert.is(refused.refused, "APPLICATION");
    assert.match(
      refused.message ?? "",
      `crypto.randomInt(${low}, ${high}): two safe whole numbers are allowed`,
    );
  }
});

test("[Y147] a secret that is made in a room is told of once for rooms of that name, on each node; dice and ids are not", async () => {
  const quiet = new Scene();
  await quiet.create("quiet");
  for (const name of ["dice", "id", "chance"]) await quiet.call("draw", name);
  for (const replica of quiet.replicas) assert.equal(told(replica), []);

  const scene = new Scene();
  await scene.create("loud");
  for (const name of ["bytes", "bytes", "uuid", "values"]) await scene.call("draw", name);
  for (const replica of scene.replicas)
    assert.equal(told(replica), [{ event: "secret-in-room", roomId: scene.roomId, room: "loud" }]);
  const second = scene.log.allocate("A", `${scene.roomId}x`, "loud too");
  await scene.apply(second);
  for (const name of ["bytes", "uuid"])
    await scene.apply(scene.log.call("A", `${scene.roomId}x`, "draw", name));
  for (const replica of scene.replicas) assert.is(told(replica).length, 2, "one for each name");
});

test("[Y148] before the match it is a warning with its place, once", async () => {
  class LotteryRoom extends Room {
    prizes: string[] = [];
    override messages = { go: () => this.prizes.push(crypto.randomBytes(4).toString("hex")) };
  }
  const say = { type: "message", client: "ann", message: "go" } as const;
  const report = await checkDeterminism(LotteryRoom, {
    steps: [{ type: "join", client: "ann" }, say, say, { type: "tick", ms: 100 }],
  });
  assert.equal([report.firstDifference, report.problems], [null, []]);
  assert.is(report.warnings.length, 1);
  assert.match(
    report.warnings[0] ?? "",
    /^crypto\.randomBytes at .*secrets\.test\.ts:\d+, inside a room: good for ids, .* make tokens and secrets in onAuth, or in an effect$/,
  );
});

test.run();
