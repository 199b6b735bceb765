// test-run: seconds=120
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, sleep, unhurried, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** A room on the cluster's own presence, on three real nodes: its leader is killed under what it asks for and listens to. */
const test = suite("own presence");

let cluster: Cluster;
const shown = shareCluster(test, { main: "test/e2e/host-rooms-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});

async function ask<T>(id: string, what: string): Promise<T> {
  const answer = await fetch(`${cluster.url(id)}/test/${what}`);
  const { value, error } = (await answer.json()) as { value: T; error?: string };
  if (error !== undefined) throw new Error(error);
  return value;
}

async function enter(id: string, roomId: string | null): Promise<{ room: Room; heard: unknown[] }> {
  const client = new Client(cluster.url(id));
  const room = roomId === null ? await client.create("host") : await client.joinById(roomId);
  room.reconnection.enabled = false;
  const heard: unknown[] = [];
  room.onMessage("news", (words: unknown) => heard.push(words));
  return { room, heard };
}

shown(
  "[Y142] a room's presence calls are done once, and its subscriptions miss nothing, past its leader's death",
  async () => {
    const first = await enter("n1", null);
    const { roomId } = first.room;
    const players = [first, await enter("n2", roomId), await enter("n3", roomId)];
    const group = (await cluster.room("n1", roomId))?.group;
    const leaderOf = async (id: string) =>
      (await cluster.status(id))?.groups.find((each) => each.id === group)?.leader ?? null;
    const leader = await until("a leader", () => leaderOf("n1"));
    const at = cluster.ids.indexOf(leader);
    const [one, other] = players.filter((_, each) => each !== at) as [typeof first, typeof first];
    const [home = "", away = ""] = cluster.ids.filter((id) => id !== leader);
    await until("it listens", async () => {
      await ask(home, "publish/0");
      return players.every(({ heard }) => heard.length > 0);
    });

    const hits: Promise<unknown>[] = [];
    const published: Promise<unknown>[] = [];
    for (let n = 1; n <= 100; n++) {
      hits.push(one.room.request("hit"));
      published.push(ask(away, `publish/${n}`));
      if (n === 50) void cluster.kill(leader);
      await sleep(20);
    }
    const counts = (await Promise.all(hits)) as number[];
    assert.is(new Set(counts).size, 100, "no two of them have counted the same");
    assert.is(await ask(home, "hits"), String(Math.max(...counts)));
    assert.is(Math.max(...counts), 100, "and none has counted twice");

    await Promise.all(published);
    for (const { heard } of [one, other]) {
      await until("the last news", () => heard.includes(100));
      const numbers = heard.filter((each) => each !== 0) as number[];
      assert.equal(
        numbers.toSorted((a, b) => a - b),
        [...Array(100).keys()].map((n) => n + 1),
      );
    }
    const order = (heard: unknown[]) => heard.filter((each) => each !== 0);
    assert.equal(order(one.heard), order(other.heard), "in one order");
  },
);

test.run();
