// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { newsMethod } from "../../server/colyseus/presence/room-news.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { seededRandom } from "../raft/seeded-random.ts";
import { turns } from "./asking-room.ts";
import {
  agree,
  Ear,
  type HearingRoom,
  heard,
  hearing,
  LoggingPresence,
  type Told,
  tend,
} from "./hearing-room.ts";

const seeds = 60;
const steps = 60;

/** What happened in all runs: each of it has to. */
const seen = new Map<string, number>();

async function run(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const below = (count: number) => Math.floor(random() * count);
  const presence = new LoggingPresence();
  const { scene, ears } = await hearing(presence);
  await agree(scene, ears);
  let published = 0;
  let term = 1;
  const late: { nodeId: string; told: Told }[] = [];
  const leader = () => scene.replicas.find(({ leadsTerm }) => leadsTerm !== null)?.nodeId ?? null;
  const commit = async (nodeId: string, { roomId, batch }: Told) => {
    await scene.apply(scene.log.call(nodeId, roomId, newsMethod, batch));
  };
  const acts: Record<string, () => Promise<void>> = {
    publish: async () => {
      for (let times = 1 + below(4); times > 0; times--) presence.publish("news", ++published);
    },
    "is agreed": async () => {
      for (const [nodeId, ear] of ears)
        for (const told of ear.told.splice(0)) {
          await commit(nodeId, told);
          told.agreed();
        }
    },
    "is refused": async () => {
      for (const ear of ears.values()) for (const { refused } of ear.told.splice(0)) refused(new Error("no"));
    },
    "is under way": async () => {
      for (const [nodeId, ear] of ears) for (const told of ear.told.splice(0)) late.push({ nodeId, told });
    },
    "comes late": async () => {
      const [one] = late.splice(below(late.length), 1);
      if (one === undefined) return;
      await commit(one.nodeId, one.told);
      // Its node may have heard that it was agreed, or that nobody knows.
      if (below(2) === 0) one.told.agreed();
      else one.told.refused(new Error("nobody knows"));
    },
    "another leads": async () => {
      const to = ["A", "B", "C", null][below(4)] ?? null;
      if (to !== leader()) term += 1;
      for (const replica of scene.replicas) replica.leadsTerm = replica.nodeId === to ? term : null;
    },
    "is restored": async () => {
      const nodeId = ["A", "B", "C"][below(3)] as string;
      const { leadsTerm } = scene.node(nodeId);
      if (!(await scene.restore(nodeId))) return;
      ears.get(nodeId)?.keeper.stop();
      const replica = scene.node(nodeId);
      replica.leadsTerm = leadsTerm;
      ears.set(nodeId, new Ear(replica, presence));
    },
    "is tended to": () => tend(ears),
  };
  const names = Object.keys(acts);
  for (let step = 0; step < steps; step++) {
    const name = names[below(names.length)] as string;
    seen.set(name, (seen.get(name) ?? 0) + 1);
    await acts[name]?.();
    await turns(1);
  }
  for (const { told } of late) told.refused(new Error("nobody knows"));
  if (leader() === null) scene.node("A").leadsTerm = term + 1;
  for (let round = 0; round < 3; round++) {
    await tend(ears);
    await agree(scene, ears);
  }
  const numbers = heard(scene).map((each) => (each as unknown[])[1]);
  assert.equal(
    numbers,
    Array.from({ length: published }, (_, at) => at + 1),
    `seed ${seed}`,
  );
  for (const { keeper } of ears.values()) await inMacrotask(() => keeper.stop());
  assert.is((scene.room() as HearingRoom).heard.length, published);
}

test("[Y136] numbered news are heard once and in order in random schedules of leaders, restores, and what comes late", async () => {
  for (let seed = 1; seed <= seeds; seed++) await run(seed);
  for (const name of ["publish", "is agreed", "is refused", "comes late", "another leads", "is restored"])
    assert.ok((seen.get(name) ?? 0) > seeds, name);
});

test.run();
