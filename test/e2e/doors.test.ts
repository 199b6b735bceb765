// test-run: seconds=300 waits
import { Client as StockClient } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, type Failover } from "../../client/testudo-client.ts";
import { type Cluster, unhurried, until } from "./cluster.ts";
import { FrontDoor } from "./front-door.ts";
import { shareCluster } from "./shared-cluster.ts";

/** Wrapper clients that come to each node by a door of its own, which may be far away, or shut. */
const test = suite("a door for each node");

let cluster: Cluster;
const doors = new Map<string, FrontDoor>();

const door = (id: string): FrontDoor => doors.get(id) as FrontDoor;
const launch = (id: string): void => void cluster.launch(id, [`--public-url=${door(id).url}`]);

const shown = shareCluster(
  test,
  {
    main: "test/e2e/feature-rooms-main.ts",
    // What a node's death means for its clients' seats is not found out while a test still needs it.
    args: [...unhurried, "--node-lost-ms=60000"],
    launchAll: async ({ plans, ids }) => {
      for (const { id, url } of plans) doors.set(id, await FrontDoor.open([Number(new URL(url).port)]));
      for (const id of ids) launch(id);
    },
  },
  (shared) => {
    cluster = shared;
  },
);

test.after(async () => {
  await Promise.all([...doors.values()].map((each) => each.close()));
});

shown("[W31] the nearest node that answers is chosen, and when it dies the next one", async () => {
  const farMs = { n1: 300, n2: 0, n3: 700 };
  for (const [id, ms] of Object.entries(farMs)) door(id).delayMs = ms;
  const urls = cluster.ids.map((id) => door(id).url);
  const client = await Client.selectByLatency(urls);
  const nearestFirst = ["n2", "n1", "n3"].map((id) => door(id).url);
  assert.equal(
    client.endpoints.map(({ url }) => url),
    nearestFirst,
  );
  const room = await client.create("shout");
  const told: Failover[] = [];
  room.onMessage("shout", () => {});
  room.onFailover((failover) => told.push(failover));
  assert.is(room.endpoint?.node, "n2");
  assert.is(await room.request("shout", [1, 1]), 1);
  await cluster.kill("n2");
  await until("it goes on", () => told.length === 1);
  assert.equal([told[0]?.from.node, told[0]?.to.node], ["n2", "n1"]);
  assert.is(await room.request("shout", [1, 1]), 2);
  // Who comes now: of a node that does not answer the others are the nearest.
  const next = await Client.selectByLatency(urls);
  assert.is(next.endpoints[0]?.url, door("n1").url);
  launch("n2");
  await cluster.ready();
  await room.leave();
  for (const each of doors.values()) each.delayMs = 0;
});

shown("[W32] what a seat's outbox could not keep while its node was dead is counted", async () => {
  const talker = await new StockClient(cluster.url("n3")).create("shout");
  talker.onMessage("shout", () => {});
  const client = new Client(cluster.ids.map((id) => door(id).url));
  const room = await client.joinById(talker.roomId);
  const heard: number[] = [];
  const told: Failover[] = [];
  room.onMessage("shout", ([n]: [number]) => heard.push(n));
  room.onFailover((failover) => told.push(failover));
  const shout = async (count: number, bytes: number) =>
    (await talker.request("shout", [count, bytes])) as number;
  await shout(2, 10);
  await until("it hears them", () => heard.length === 2);
  /** What is said when its node has died, and before it is anywhere else; the room takes it for there. */
  const orphaned = async (to: string, act: () => Promise<number>): Promise<Failover> => {
    const before = told.length;
    for (const each of doors.values()) each.shut();
    const node = room.endpoint?.node as string;
    await cluster.kill(node);
    const last = await act();
    door(to).reopen();
    await until("it has heard the last one", () => heard.at(-1) === last);
    assert.is(told.length, before + 1);
    for (const each of doors.values()) each.reopen();
    launch(node);
    await cluster.ready();
    return told[before] as Failover;
  };
  // More than are kept: the oldest are gone.
  const many = await orphaned("n2", () => shout(300, 10));
  assert.equal([many.from.node, many.to.node, many.messagesLost], ["n1", "n2", 44]);
  assert.equal(heard.splice(0), [1, 2, ...Array.from({ length: 256 }, (_, at) => 47 + at)]);
  // One is bigger than all that may be kept: it, and all before it.
  const big = await orphaned("n1", async () => {
    await shout(5, 10);
    await shout(1, 70_000);
    return await shout(3, 10);
  });
  assert.equal([big.from.node, big.messagesLost], ["n2", 6]);
  assert.equal(heard.splice(0), [309, 310, 311]);
  // To who is there it comes, whatever its size.
  await shout(1, 70_000);
  await until("it hears it", () => heard.at(-1) === 312);
  for (const id of cluster.ids) assert.is((await cluster.status(id))?.divergences.count, 0);
  await Promise.all([room, talker].map((each) => each.leave()));
});

test.run();
