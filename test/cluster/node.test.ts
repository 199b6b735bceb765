import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeLog } from "../../server/cluster/log.ts";
import { TestudoNode } from "../../server/cluster/node.ts";
import { codeOf } from "../../server/cluster/node-error.ts";
import { type NodeOptions, readNodeOptions } from "../../server/cluster/options.ts";
import type { LostPeer } from "../../server/cluster/peer-watch.ts";
import { eventually, freePort } from "./spawned.ts";
import { SumMachine } from "./sum-machine.ts";

const test = suite("nodes in one process, with real disks and links");

const ids = ["n1", "n2", "n3"] as const;
const folder = mkdtempSync(join(tmpdir(), "testudo-node-"));
const running = new Set<TestudoNode>();

test.after.each(async () => {
  await Promise.all([...running].map((node) => node.stop()));
  running.clear();
});
test.after(() => rmSync(folder, { recursive: true }));

let worlds = 0;

/** Three nodes' options: ports and folders of their own. */
async function world(
  members: readonly string[] = ids,
): Promise<(id: string, change?: Partial<NodeOptions>) => TestudoNode> {
  const port = await freePort([0, 1, 2, 100, 101, 102]);
  const data = join(folder, String(worlds++));
  const peers = members.map((id, k) => `${id}=ws://127.0.0.1:${port + 100 + k}`).join(",");
  return (id, change = {}) => {
    const k = members.indexOf(id);
    const argv = `--id=${id} --host=127.0.0.1 --peer-host=127.0.0.1 --port=${port + k} --peer-port=${port + 100 + k} --peers=${peers} --data=${data}/${id} --secret=0123456789abcdef --node-lost-ms=300`;
    const parsed = readNodeOptions({ argv: argv.split(" "), env: {}, cwd: folder });
    assert.is(parsed.type, "options");
    const options = { ...(parsed as { options: NodeOptions }).options, ...change };
    const fail = (error: unknown): never => {
      throw error;
    };
    const node = new TestudoNode({
      options,
      machineFor: () => new SumMachine(),
      log: makeLog({ node: id, level: "silent" }),
      fail,
    });
    running.add(node);
    return node;
  };
}

async function startAll(make: (id: string) => TestudoNode): Promise<TestudoNode[]> {
  const nodes = ids.map((id) => make(id));
  await Promise.all(nodes.map((node) => node.start()));
  await Promise.all(nodes.map((node) => node.ready()));
  return nodes;
}

async function stop(node: TestudoNode): Promise<void> {
  running.delete(node);
  await node.stop();
}

test("[C8] three blank nodes become one cluster that serves: commands, endpoints, peers", async () => {
  const nodes = await startAll(await world());
  const [first, second] = nodes as [TestudoNode, TestudoNode];
  assert.equal(new Set(nodes.map(({ founding }) => founding?.clusterId)).size, 1);
  for (const node of nodes) {
    assert.is(node.life.state, "serving");
    assert.equal(
      node.groups().map(({ id }) => id),
      [0, 1, 2, 3],
    );
  }
  assert.is(await first.engine.propose(2, new Uint8Array([5])), 5);
  assert.is(await second.engine.propose(2, new Uint8Array([7])), 12);
  await eventually("every node knows all endpoints", () =>
    nodes.every((node) => node.endpoints().length === 3),
  );
  assert.is(second.endpoints()[0]?.node, "n2", "a node's own endpoint comes first");
  assert.is(second.endpoints()[0]?.url, second.options.publicUrl);
  await eventually("round trips are measured", () =>
    first.peers().every(({ roundTripMs }) => roundTripMs !== null),
  );
  assert.equal(
    first.peers().map(({ node, state }) => ({ node, state })),
    [
      { node: "n2", state: "up" },
      { node: "n3", state: "up" },
    ],
  );
});

test("[C9] a node that stops and starts again is the same member with a new bootId, and knows what it knew", async () => {
  const make = await world();
  const [first, , third] = (await startAll(make)) as [TestudoNode, TestudoNode, TestudoNode];
  await third.engine.propose(0, new Uint8Array([40]));
  const lost: LostPeer[] = [];
  first.onPeerLost((peer) => lost.push(peer));
  await stop(third);
  assert.is(third.life.state, "stopped");
  await eventually("the stopped node is lost", () => lost.length > 0);
  assert.equal(lost, [{ nodeId: "n3", bootId: third.bootId }]);
  assert.equal(
    ["n2", "n3"].map((id) => first.isLost(id)),
    [false, true],
  );
  assert.is(await first.engine.propose(0, new Uint8Array([2])), 42, "two of three go on");
  const again = make("n3");
  await again.start();
  await again.ready();
  assert.is(again.identity.storeId, third.identity.storeId);
  assert.is(again.identity.bootCount, third.identity.bootCount + 1);
  assert.is.not(again.bootId, third.bootId);
  assert.equal(again.founding, first.founding);
  assert.is(await again.engine.propose(0, new Uint8Array([1])), 43);
  await eventually("it is lost no more", () => !first.isLost("n3"));
});

test("[C9] all nodes stop and start: one cluster, nothing forgotten", async () => {
  const make = await world();
  const before = await startAll(make);
  await before[1]?.engine.propose(3, new Uint8Array([9]));
  await Promise.all(before.map(stop));
  const after = await startAll(make);
  assert.equal(after[0]?.founding, before[0]?.founding);
  assert.is(await after[2]?.engine.propose(3, new Uint8Array([1])), 10);
});

test("[C9] a node that is stopped gives away what it leads first", async () => {
  const make = await world();
  const nodes = await startAll(make);
  const leads = (node: TestudoNode) => node.groups().filter(({ role }) => role === "leader").length;
  const leader = await eventually("somebody leads", () => nodes.find((node) => leads(node) > 0) ?? null);
  await stop(leader);
  const others = nodes.filter((node) => node !== leader);
  await eventually("every group is led by another", () =>
    others.every((node) =>
      node.groups().every((group) => group.leader !== null && group.leader !== leader.options.id),
    ),
  );
});

async function startError(node: TestudoNode): Promise<unknown> {
  const error = await node.start().then(
    () => null,
    (caught: unknown) => caught,
  );
  running.delete(node);
  assert.is(node.life.state, "failed");
  return error;
}

test("[C10] a node whose peer port is taken says so and leaves its folder free", async () => {
  const make = await world(["n1"]);
  const first = make("n1");
  await first.start();
  await first.ready();
  const error = await startError(make("n1", { data: join(folder, "elsewhere") }));
  assert.is(codeOf(error), "PORT_IN_USE");
  await stop(first);
  const again = make("n1", { data: join(folder, "elsewhere") });
  await again.start();
  await again.ready();
});

test("[C10] a folder that is open, or that is another node's, is refused", async () => {
  const make = await world(["n1"]);
  const first = make("n1");
  await first.start();
  await first.ready();
  const { data } = first.options;
  assert.is(codeOf(await startError(make("n1", { peerPort: await freePort() }))), "STORAGE_LOCKED");
  await stop(first);
  assert.is(codeOf(await startError(make("n1", { id: "n7", data }))), "STORAGE_FOREIGN");
  const again = make("n1");
  await again.start();
  await again.ready();
});

test("[C10] ready is refused by a node that stops before it serves, and a stop before the start is no trouble", async () => {
  const make = await world();
  const lonely = make("n1");
  await lonely.start();
  const ready = lonely.ready().then(
    () => "ready",
    (error: Error) => error.message,
  );
  assert.is(lonely.life.state, "founding");
  assert.throws(() => lonely.engine, /only once the cluster is founded; the node is founding/);
  await stop(lonely);
  assert.match(await ready, /the node is (stopping|stopped)/);
  await stop(make("n2"));
});

test("[C18] a node that is stopped while it opens its disk, or at any moment later on, closes it and says why it did not start", async () => {
  const make = await world(["n1"]);
  for (const delayMs of [-1, 0, 1, 2, 4, 8, 16, 32]) {
    const node = make("n1");
    const started = node.start().then(() => "started", codeOf);
    const ready = node.ready().then(() => "ready", codeOf);
    if (delayMs >= 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    await stop(node);
    assert.is(node.life.state, "stopped");
    if (delayMs < 0) assert.is(await started, "NODE_STOPPED");
    assert.ok(["started", "NODE_STOPPED"].includes(await started));
    assert.ok(["ready", "NODE_STOPPED"].includes(await ready));
  }
  const again = make("n1");
  await again.start();
  await again.ready();
});

test("[C18] a node that was stopped is not started any more", async () => {
  const node = (await world(["n1"]))("n1");
  await stop(node);
  assert.is(await node.start().then(() => null, codeOf), "NODE_STOPPED");
  assert.is(node.life.state, "stopped");
});

test("[C31] nodes tell each other how much they should lead, and the leads go there", async () => {
  const make = await world();
  const priorities: Readonly<Record<string, number>> = { n1: 0, n2: 10, n3: 5 };
  const [first] = await startAll((id) => make(id, { leadPriority: priorities[id] as number }));
  await eventually(
    "n2 leads everything",
    () => first?.groups().every(({ leader }) => leader === "n2") === true,
  );
});

/** True if a lease read was answered without asking anybody: before anything else could happen. */
async function isAnsweredAtOnce(node: TestudoNode): Promise<boolean> {
  let isAnswered = false;
  const read = node.engine.read(0, { consistency: "lease" }).then(() => {
    isAnswered = true;
  });
  for (let turn = 0; turn < 3; turn++) await Promise.resolve();
  const atOnce = isAnswered;
  await read;
  return atOnce;
}

for (const fastFailover of [false, true]) {
  test(`[C46] with fastFailover ${fastFailover} leaders answer reads ${fastFailover ? "on a quorum's word only" : "on a lease"}`, async () => {
    const make = await world();
    const nodes = await startAll((id) => make(id, { fastFailover }));
    const answered = async () => {
      const leader = nodes.find(({ engine }) => engine.isLeader(0));
      return leader !== undefined && (await isAnsweredAtOnce(leader));
    };
    if (fastFailover) for (let read = 0; read < 20; read++) assert.is(await answered(), false);
    else await eventually("a leader holds a lease", answered);
  });
}

test.run();
