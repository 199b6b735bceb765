// test-run: seconds=180
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InstallScene, type Passing } from "./install-scene.ts";

/** How often an install without any fault passes each. */
async function passings(): Promise<Record<Passing, number>> {
  const scene = await new InstallScene().begin();
  await scene.finish();
  assert.is(scene.installs, 1);
  return { ...scene.passed };
}

const passed = await passings();

test("[G61] rooms are created, tick and are disposed while a snapshot is sent, and all replicas are equal", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const scene = await new InstallScene({ seed }).begin();
    const answeredBefore = scene.answered;
    await scene.finish();
    assert.is(scene.installs, 1, `seed ${seed}`);
    assert.ok(scene.answered - answeredBefore > 5, "players were answered meanwhile");
  }
});

interface Fault {
  readonly what: string;
  readonly at: Passing;
  /** Another snapshot is begun, and finds what the first one has staged. */
  readonly isAnew: boolean;
  act(scene: InstallScene): Promise<void>;
}

const died = async (scene: InstallScene, id: string, keepUnfinished: boolean) => {
  scene.cluster.kill(id, { keepUnfinished });
  for (let ms = 0; ms < 30; ms++) await scene.step();
  await scene.reboot(id);
};

const leaderOf = (scene: InstallScene) =>
  scene.cluster.alive.find(({ engine }) => engine.isLeader(0))?.id ?? "";

const faults: readonly Fault[] = [
  {
    what: "the link is lost as a chunk leaves",
    at: "a chunk leaves",
    isAnew: false,
    async act(scene) {
      const leader = leaderOf(scene);
      scene.cluster.cut(leader, scene.late);
      for (let ms = 0; ms < 20; ms++) await scene.step();
      scene.cluster.heal(leader, scene.late);
    },
  },
  {
    what: "the link is lost for long as an answer leaves",
    at: "an answer leaves",
    isAnew: true,
    async act(scene) {
      const leader = leaderOf(scene);
      scene.cluster.cut(leader, scene.late);
      for (let ms = 0; ms < 400; ms++) await scene.step();
      scene.cluster.heal(leader, scene.late);
    },
  },
  {
    what: "the sender is killed as a chunk leaves",
    at: "a chunk leaves",
    isAnew: true,
    act: (scene) => died(scene, leaderOf(scene), true),
  },
  {
    what: "the sender is killed as an answer leaves",
    at: "an answer leaves",
    isAnew: true,
    act: (scene) => died(scene, leaderOf(scene), false),
  },
  {
    what: "the receiver is killed as a chunk leaves",
    at: "a chunk leaves",
    isAnew: true,
    act: (scene) => died(scene, scene.late, false),
  },
  {
    what: "the receiver is killed as an answer leaves",
    at: "an answer leaves",
    isAnew: true,
    act: (scene) => died(scene, scene.late, true),
  },
  {
    what: "the receiver is killed in a save, which is lost",
    at: "a save begins",
    isAnew: true,
    act: (scene) => died(scene, scene.late, false),
  },
  {
    what: "the receiver is killed in a save, which is kept",
    at: "a save begins",
    isAnew: true,
    act: (scene) => died(scene, scene.late, true),
  },
  {
    what: "another node takes the lead as a chunk leaves",
    at: "a chunk leaves",
    isAnew: true,
    async act(scene) {
      const leader = leaderOf(scene);
      const heir = scene.cluster.ids.find((id) => id !== leader && id !== scene.late) ?? "";
      scene.cluster
        .node(leader)
        .engine.transferLeader(0, heir)
        .catch(() => undefined);
      for (let ms = 0; ms < 20; ms++) await scene.step();
    },
  },
];

for (const { what, at, isAnew, act } of faults) {
  test(`[G61, G59] ${what}: at each of ${passed[at]}`, async () => {
    let held = 0;
    for (let number = 0; number < passed[at]; number++) {
      const scene = await new InstallScene().begin();
      let isDue = false;
      scene.onPassing = (passing, passes) => {
        if (passing === at && passes === number) isDue = true;
      };
      for (let ms = 0; !isDue && ms < 3000; ms++) await scene.step();
      assert.ok(isDue, `it came to number ${number}`);
      await act(scene);
      try {
        await scene.finish();
      } catch (error) {
        throw new Error(`at number ${number}: ${(error as Error).message}`, { cause: error });
      }
      held += scene.held;
    }
    // Nothing is asked for twice that is staged and good (the scene looks at each manifest); and there was something.
    assert.is(held > 0, isAnew, `${held} staged parts were of use`);
  });
}

test("[G60] a link that takes nothing stalls neither the leader nor its log: what pins it is given up, and begun anew from later", async () => {
  const scene = await new InstallScene({ engine: { snapshotLogEntriesMax: 120 } }).begin();
  const { cluster } = scene;
  for (let ms = 0; scene.passed["an answer leaves"] < 3 && ms < 3000; ms++) await scene.step();
  const leader = leaderOf(scene);
  const before = cluster.status(leader);
  cluster.buffered.set(scene.late, 1 << 20);
  const answered = scene.answered;
  let longest = 0;
  for (let ms = 0; ms < 800; ms++) {
    await scene.step();
    const { appliedIndex, baseIndex } = cluster.status(leader);
    longest = Math.max(longest, appliedIndex - baseIndex);
  }
  assert.ok(scene.answered - answered > 100, "players were answered meanwhile");
  assert.ok(cluster.status(leader).baseIndex > before.baseIndex + 200, "the log was cut");
  assert.ok(longest < 300, `the log had ${longest} entries`);
  assert.ok(cluster.node(leader).logged.some(({ facts }) => /too long/.test(JSON.stringify(facts))));
  cluster.buffered.delete(scene.late);
  await scene.finish();
  assert.ok(scene.manifests > 1);
});

test("[G60] who does not catch up behind its snapshot stalls the log no longer either", async () => {
  const scene = await new InstallScene({ engine: { snapshotLogEntriesMax: 120 } }).begin();
  const { cluster } = scene;
  for (let ms = 0; scene.installs === 0 && ms < 3000; ms++) await scene.step();
  assert.is(scene.installs, 1);
  const leader = leaderOf(scene);
  const before = cluster.status(leader).baseIndex;
  cluster.stall(scene.late);
  let longest = 0;
  for (let ms = 0; ms < 800; ms++) {
    await scene.step();
    const { appliedIndex, baseIndex } = cluster.status(leader);
    longest = Math.max(longest, appliedIndex - baseIndex);
  }
  assert.ok(longest > 120, `its log was kept: ${longest} entries`);
  assert.ok(longest < 300, `the log had ${longest} entries`);
  assert.ok(cluster.status(leader).baseIndex > before + 200, "the log was cut");
  assert.ok(cluster.node(leader).logged.some(({ facts }) => /too long/.test(JSON.stringify(facts))));
  cluster.unstall(scene.late);
  for (let ms = 0; scene.installs < 2 && ms < 3000; ms++) await scene.step();
  assert.is(scene.installs, 2);
  await scene.rest();
});

test("[G62] a replica that is brought up by a log after all deletes what was staged", async () => {
  const scene = await new InstallScene({ keepsLog: true }).begin();
  const { cluster } = scene;
  for (let ms = 0; scene.staged.size < 4 && ms < 3000; ms++) await scene.step();
  assert.ok(scene.staged.size >= 4);
  const leader = leaderOf(scene);
  const heir = cluster.ids.find((id) => id !== leader && id !== scene.late) ?? "";
  assert.is((await cluster.value(cluster.node(leader).engine.transferLeader(0, heir))).type, "done");
  for (let ms = 0; scene.staged.size > 0 && ms < 3000; ms++) await scene.step();
  assert.is(scene.staged.size, 0);
  assert.is(scene.installs, 0);
  assert.is(cluster.status(scene.late).snapshotReceiving, null);
  cluster.node(heir).machines[0]!.held.clear();
  await scene.rest();
});

test.run();
