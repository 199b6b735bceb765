// test-run: seconds=300
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, unhurried, withCluster } from "./cluster.ts";
import { flagOf, testudo, toNode } from "./testudo-process.ts";

const test = suite("backup, restore and recovery");

/** Somebody who has a seat and some shots. */
async function shoot(
  url: string,
): Promise<{ roomId: string; sessionId: string; token: string; shots: number }> {
  const room = await new Client(url).joinOrCreate("arena", { name: "witness" });
  room.onMessage("*", () => {});
  room.reconnection.enabled = false;
  let shots = 0;
  while (shots < 3) shots = ((await room.request("fire")) as { shots: number }).shots;
  const { roomId, sessionId, reconnectionToken: token } = room;
  const left = new Promise((resolve) => room.onLeave(resolve));
  room.connection.close();
  await left;
  return { roomId, sessionId, token, shots };
}

/** The seat is there, in the same room, with its shots. */
async function comesBack(url: string, seat: Awaited<ReturnType<typeof shoot>>): Promise<void> {
  const room = await new Client(url).reconnect(seat.token);
  room.onMessage("*", () => {});
  assert.equal([room.roomId, room.sessionId], [seat.roomId, seat.sessionId]);
  assert.equal(await room.request("fire"), { shots: seat.shots + 1 });
  await room.leave();
}

const alone = (cluster: Cluster, id: string) => `--peers=${id}=ws://127.0.0.1:${cluster.planOf(id).peerPort}`;

test("[B3, E15] a backup of a running cluster, restored: a new cluster with the same match", async () => {
  await withCluster({ args: unhurried }, async (cluster) => {
    const seat = await shoot(cluster.url("n2"));
    const node = toNode(cluster, "n3");
    let backups = 0;
    // The first checkpoints come within a second or two; before that a backup has entries alone.
    const file = await cluster.until("a backup has checkpoints, too", async () => {
      const path = join(cluster.data, `arena-${++backups}.backup`);
      const taken = await testudo("backup", path, "--json", ...node);
      assert.is(taken.code, 0, taken.err);
      return JSON.parse(taken.out).parts > 0 && path;
    });
    const again = await testudo("backup", file, ...node);
    assert.equal([again.code, /FILE_EXISTS/.test(again.err)], [2, true]);
    for (const id of cluster.ids) await cluster.kill(id);
    const data = join(cluster.data, "restored");
    const restored = await testudo("restore", file, "--id", "n1", "--data", data);
    assert.is(restored.code, 0, restored.err);
    const twice = await testudo("restore", file, "--id", "n1", "--data", data);
    assert.equal([twice.code, /FOLDER_NOT_BLANK/.test(twice.err)], [2, true]);
    cluster.launch("n1", [alone(cluster, "n1"), `--data=${data}`]);
    await cluster.ready(["n1"]);
    await comesBack(cluster.url("n1"), seat);
  });
});

test("[B4, E15] most nodes are lost for good: a survivor goes on only when it is told to, and keeps what it was", async () => {
  await withCluster({ args: unhurried }, async (cluster) => {
    const seat = await shoot(cluster.url("n2"));
    await cluster.until("everybody has the shots", async () => {
      const [first, ...others] = await Promise.all(cluster.ids.map((id) => cluster.status(id)));
      const applied = first?.groups.map(({ commitIndex }) => commitIndex) ?? [];
      return others.every((status) =>
        status?.groups.every(({ appliedIndex }, group) => appliedIndex >= (applied[group] ?? 0)),
      );
    });
    for (const id of cluster.ids) await cluster.kill(id);
    const data = flagOf(cluster, "n3", "data");
    const unasked = await testudo("recover", "--id", "n3", "--data", data);
    assert.equal([unasked.code, /DATA_LOSS_NOT_ACCEPTED.*nothing was done/.test(unasked.err)], [2, true]);
    const recovered = await testudo("recover", "--id", "n3", "--data", data, "--i-accept-data-loss");
    assert.is(recovered.code, 0, recovered.err);
    assert.ok(existsSync(`${data}.before-recovery`));
    cluster.launch("n3", [alone(cluster, "n3")]);
    await cluster.ready(["n3"]);
    await comesBack(cluster.url("n3"), seat);
    // The old cluster's nodes are strangers to it.
    const old = cluster.launch("n1");
    await cluster.until("n1 is refused", () => old.lines.some((line) => line.includes("CLUSTER_DIFFERS")));
  });
});

test.run();
