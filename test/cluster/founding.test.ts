import { test } from "uvu";
import * as assert from "uvu/assert";
import { FoundingProtocol, foundingDefaults } from "../../server/cluster/founding.ts";
import type { NodeError } from "../../server/cluster/node-error.ts";
import type { Founding } from "../../server/raft/founding.ts";
import { levels } from "../../server/raft/level.ts";
import { FoundingWorld } from "./founding-world.ts";

const ids = ["n1", "n2", "n3"];

async function foundedWorld(): Promise<FoundingWorld> {
  const world = new FoundingWorld(ids);
  for (const id of ids) world.boot(id);
  await world.settle();
  return world;
}

function assertOneCluster(world: FoundingWorld): void {
  const [first] = world.saved;
  assert.ok(first);
  for (const founding of world.saved) assert.equal(founding, first);
  for (const node of world.nodes.values()) {
    assert.equal(node.disk, first);
    assert.equal(node.run?.protocol.founding, first);
    assert.is(node.run?.founded, 1, "founded is told once a run");
    for (const other of world.nodes.values()) {
      if (other !== node)
        assert.is(
          node.run?.admitted.get(other.nodeId),
          other.run?.bootId,
          `${node.nodeId} admits ${other.nodeId}`,
        );
    }
  }
}

test("[C3] three blank nodes found one cluster with all their disks as members", async () => {
  const world = await foundedWorld();
  assertOneCluster(world);
  const members = ids.map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` }));
  const addresses = ["n2", "n3"].map((nodeId) => ({ nodeId, url: `ws://${nodeId}` }));
  assert.equal(world.node("n1").disk, {
    clusterId: world.saved[0]?.clusterId,
    members,
    addresses,
    groups: 4,
    level: 1,
  });
  assert.match(world.saved[0]?.clusterId ?? "", /^[0-9a-f]{16}$/);
  assert.is(world.clock.timers, 0, "nothing is repeated once all have answered");
});

test("[C3] nothing is founded before all nodes are linked", async () => {
  const world = new FoundingWorld(ids);
  world.boot("n1");
  world.boot("n2");
  await world.settle();
  world.clock.advance(60_000);
  assert.is(world.saved.length, 0);
  world.boot("n3");
  await world.settle();
  assertOneCluster(world);
});

test("[C3] a node alone founds its own cluster at once", async () => {
  const world = new FoundingWorld(["solo"]);
  world.boot("solo");
  await world.settle();
  assertOneCluster(world);
});

test("[C4] whichever node crashes at whichever step, before or after its saves, one cluster comes out of it", async () => {
  let steps = 0;
  for (const victim of ids) {
    for (let at = 0; ; at++) {
      const world = new FoundingWorld(ids);
      for (const id of ids) world.boot(id);
      let done = false;
      for (let step = 0; step < at && !done; step++) done = !(await world.step());
      if (done) break;
      steps++;
      world.crash(victim);
      await world.settle();
      world.boot(victim);
      await world.settle();
      world.clock.advance(foundingDefaults.foundRetryMs * 2);
      await world.settle();
      assertOneCluster(world);
    }
  }
  assert.ok(steps > 20, `${steps} crashes`);
});

test("[C4] the founder goes on with what it saved, though it told nobody", async () => {
  const world = new FoundingWorld(ids);
  for (const id of ids) world.boot(id);
  world.lose = () => true;
  await world.settle();
  world.crash("n1");
  assert.is(world.saved.length, 1);
  assert.is(world.node("n2").disk, null);
  world.lose = () => false;
  world.boot("n1");
  await world.settle();
  assertOneCluster(world);
});

test("[C4] another founded node hands the founding on while the founder is away", async () => {
  const world = new FoundingWorld(ids);
  for (const id of ids) world.boot(id);
  while (world.node("n2").disk === null) await world.step();
  world.crash("n1");
  await world.settle();
  assert.equal(world.node("n3").disk, world.node("n2").disk);
  world.boot("n1");
  await world.settle();
  assertOneCluster(world);
});

test("[C4] what a bad line loses is told again", async () => {
  const world = new FoundingWorld(ids);
  let seed = 7;
  world.lose = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % 3 !== 0;
  };
  for (const id of ids) world.boot(id);
  for (let round = 0; round < 60; round++) {
    await world.settle();
    world.clock.advance(foundingDefaults.foundRetryMs);
  }
  assertOneCluster(world);
});

test("[C4] telling a node that never answers ends after foundRetriesMax", async () => {
  const world = new FoundingWorld(["n1", "n2"]);
  let told = 0;
  world.lose = (message) => {
    if (message.type === "found") told++;
    return true;
  };
  world.boot("n1");
  world.boot("n2");
  await world.settle();
  world.clock.advance(foundingDefaults.foundRetryMs * foundingDefaults.foundRetriesMax * 2);
  assert.is(told, foundingDefaults.foundRetriesMax + 1);
  assert.is(world.clock.timers, 0);
});

for (const victim of ids) {
  test(`[C20] ${victim} with an emptied disk takes the founding that does not name it, and changes nothing`, async () => {
    const world = await foundedWorld();
    const before = world.node(victim).disk;
    world.crash(victim);
    world.wipe(victim);
    world.boot(victim);
    await world.settle();
    assert.equal([...world.failed.keys()], []);
    assert.equal(world.node(victim).disk, before, "the same one, with the disk that is lost");
    assert.is(world.node(victim).run?.founded, 1);
    assert.equal(new Set(world.saved.map(({ clusterId }) => clusterId)).size, 1);
  });
}

test("[C20] an emptied founder that meets one founded node founds nothing anew", async () => {
  const world = await foundedWorld();
  for (const id of ids) world.crash(id);
  world.wipe("n1");
  world.boot("n1");
  world.boot("n3");
  await world.settle();
  assert.is(world.node("n1").disk?.clusterId, world.node("n3").disk?.clusterId);
});

test("[C20] a node that the founding does not name is of the cluster, whatever its --peers name", async () => {
  const world = new FoundingWorld([...ids, "n4"]);
  for (const id of ids)
    world.boot(
      id,
      ids.filter((other) => other !== id),
    );
  await world.settle();
  world.boot("n4", ["n1", "n2", "n3"]);
  await world.settle();
  assert.equal(world.node("n4").disk, world.node("n1").disk);
  assert.ok(world.node("n1").run?.admitted.has("n4"));
});

test("[C5] a founded node never takes another founding, and two clusters do not hear each other", async () => {
  const world = await foundedWorld();
  const before = world.node("n2").disk;
  const other = await foundedWorld();
  for (const id of ids) {
    world.crash(id);
    other.crash(id);
  }
  world.node("n1").disk = { ...other.node("n1").disk, clusterId: "00000000000000ff" } as never;
  for (const id of ids) world.boot(id);
  world.node("n2").run?.protocol.message("n1", { type: "found", founding: world.node("n1").disk as never });
  await world.settle();
  assert.is(world.node("n2").disk, before);
  assert.is(world.node("n2").run?.protocol.founding, before);
  assert.equal([...(world.node("n2").run?.admitted.keys() ?? [])], ["n3"]);
  assert.equal([...(world.node("n1").run?.admitted.keys() ?? [])], []);
});

test("[C5] nodes that are founded together and name different ones stop with PEERS_DIFFER", async () => {
  const world = new FoundingWorld(["n1", "n2", "n3"]);
  world.boot("n1");
  world.boot("n2");
  world.boot("n3", ["n1", "n9"]);
  await world.settle();
  const error = world.failed.get("n3");
  assert.is(error?.code, "PEERS_DIFFER");
  assert.match(error?.message ?? "", /names the nodes n1, n3, n9, but .* founded with n1, n2, n3/);
  assert.is(world.failed.size, 1);
});

test("[V27] a cluster is founded on what every founder can read", async () => {
  const saved: Founding[] = [];
  const world = new FoundingWorld(["n1"]);
  const protocol = new FoundingProtocol({
    self: { nodeId: "n1", storeId: "s1" },
    peerIds: ["n2"],
    addresses: [],
    groups: 1,
    levels: { min: 2, max: 4 },
    founding: null,
    clock: world.clock,
    log: undefined as never,
    newClusterId: () => "0000000000000001",
    send: () => {},
    save: async (founding) => void saved.push(founding),
    founded: () => {},
    admitted: () => {},
    fail: () => 0 as never,
  });
  protocol.start();
  const peer = { nodeId: "n2", storeId: "s2", bootId: "b2", clusterId: null, agreedLevel: null };
  protocol.linkUp({ ...peer, levels: { min: 3, max: 5 } });
  assert.is(saved[0]?.level, 3);
  protocol.stop();
});

test("[C5] a founding that cannot be saved ends the node", async () => {
  const errors: NodeError[] = [];
  const world = new FoundingWorld(["n1"]);
  const protocol = new FoundingProtocol({
    self: { nodeId: "n1", storeId: "s1" },
    peerIds: [],
    addresses: [],
    groups: 1,
    levels,
    founding: null,
    clock: world.clock,
    log: undefined as never,
    newClusterId: () => "0000000000000001",
    send: () => assert.unreachable(),
    save: () => Promise.reject(new Error("no space left")),
    founded: () => assert.unreachable(),
    admitted: () => assert.unreachable(),
    fail: (error) => errors.push(error),
  });
  protocol.start();
  await new Promise(setImmediate);
  assert.equal(
    errors.map(({ code }) => code),
    ["DISK"],
  );
});

test.run();
