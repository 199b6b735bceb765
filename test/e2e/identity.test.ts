// test-run: seconds=300
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, NodeProcess, sleep, withCluster } from "./cluster.ts";

const test = suite("disks and names that are not what they seem");

/** Longer than what stores have come to is told again (cluster/peer-admission). */
const toldMs = 1_500;

/** A match whose clock fills the log. */
async function play(cluster: Cluster): Promise<void> {
  const room = await new Client(cluster.url("n1")).joinOrCreate("arena", { name: "witness" });
  room.onMessage("*", () => {});
  room.reconnection.enabled = false;
}

function folderOf(cluster: Cluster, id: string): string {
  const flag = cluster.planOf(id).args.find((arg) => arg.startsWith("--data="));
  assert.ok(flag !== undefined);
  return flag.slice("--data=".length);
}

async function othersGoOn(cluster: Cluster, ids: readonly string[]): Promise<void> {
  await cluster.ready(ids);
  const indexes = async () => {
    const status = await cluster.status(ids[0] ?? "");
    return (status?.groups ?? []).reduce((sum, { commitIndex }) => sum + commitIndex, 0);
  };
  const before = await indexes();
  await cluster.until("the others commit more", async () => (await indexes()) > before);
}

for (const { what, stopsFirst } of [
  { what: "of an earlier start", stopsFirst: true },
  { what: "that was taken while the node ran", stopsFirst: false },
]) {
  test(`[I1, E14] an old image of a disk, ${what}, is refused; the others go on`, async () => {
    await withCluster({}, async (cluster) => {
      await play(cluster);
      const folder = folderOf(cluster, "n2");
      const image = join(cluster.data, "image");
      if (stopsFirst) await cluster.process("n2").end("SIGTERM");
      else cluster.process("n2").signal("SIGSTOP");
      cpSync(folder, image, { recursive: true });
      if (stopsFirst) cluster.launch("n2");
      else cluster.process("n2").signal("SIGCONT");
      await cluster.ready();
      await sleep(toldMs);
      await cluster.kill("n2");
      rmSync(folder, { recursive: true });
      cpSync(image, folder, { recursive: true });
      const { code } = await cluster.launch("n2").ended;
      const lines = cluster.process("n2").lines.join("\n");
      assert.is(code, 3, lines);
      assert.match(lines, /testudo: node n2 ends: STORE_OLD: the data folder of n2 .* is an old one/);
      await othersGoOn(cluster, ["n1", "n3"]);
    });
  });
}

test("[I2, E14] a second process with a node's id, on a copy of its disk, is refused; the first one goes on", async () => {
  await withCluster({}, async (cluster) => {
    await play(cluster);
    await cluster.process("n2").end("SIGTERM");
    const copy = join(cluster.data, "copy");
    cpSync(folderOf(cluster, "n2"), copy, { recursive: true });
    cluster.launch("n2");
    await cluster.ready();
    const { port } = cluster.planOf("n3");
    const other = [`--data=${copy}`, `--port=${port + 1}`, `--peer-port=${port + 101}`];
    const second = new NodeProcess(join(import.meta.dirname, "../../server/main.ts"), [
      ...cluster.planOf("n2").args,
      ...other,
    ]);
    try {
      await cluster.until("the second one is refused", () =>
        second.lines.some((line) => /NODE_DUPLICATE/.test(line)),
      );
      await othersGoOn(cluster, cluster.ids);
      assert.not.ok(second.lines.some((line) => line.includes('"event":"serving"')));
    } finally {
      await second.end("SIGKILL");
    }
  });
});

test("[U20] a node that would reckon otherwise, by its time zone, says so, runs no room of the others, and votes", async () => {
  await withCluster({}, async (cluster) => {
    await play(cluster);
    const { roomId } = (await cluster.status("n1"))?.rooms[0] ?? { roomId: "" };
    const standing = async () => (await cluster.room("n2", roomId))?.standing;
    await cluster.process("n2").end("SIGTERM");
    const { TZ } = process.env;
    process.env["TZ"] = "Asia/Tokyo";
    const elsewhere = cluster.launch("n2");
    if (TZ === undefined) delete process.env["TZ"];
    else process.env["TZ"] = TZ;
    await cluster.ready();
    await cluster.until("it says what differs, and what to do", () =>
      elsewhere.lines.some((line) =>
        /n1 runs other code: time zone .*, here time zone Asia\/Tokyo.*they run on n1.*testudo rooms switch/.test(
          line,
        ),
      ),
    );
    const told = (await cluster.status("n1"))?.codes.find(({ node }) => node === "n2");
    assert.match(told?.differs ?? "", /^time zone Asia\/Tokyo, here time zone /);
    await cluster.until("it keeps the room's log", async () => (await standing())?.type === "foreign");
    await cluster.kill("n3");
    await othersGoOn(cluster, ["n1", "n2"]);
    assert.is((await standing())?.type, "foreign");
    cluster.launch("n3");
    await cluster.ready();
    await elsewhere.end("SIGTERM");
    cluster.launch("n2");
    await othersGoOn(cluster, cluster.ids);
    await cluster.until("it runs the room again", async () => {
      const room = await cluster.room("n2", roomId);
      return room !== null && (room.standing ?? null) === null;
    });
  });
});

test("[E14] two clusters that are wired to each other by mistake are not linked, and both go on", async () => {
  await withCluster({}, async (one) => {
    await withCluster({}, async (other) => {
      const secret = other.planOf("n1").args.find((arg) => arg.startsWith("--secret-file=")) ?? "";
      const wrong = other.planOf("n1").args.find((arg) => arg.startsWith("--peers=")) ?? "";
      await play(one);
      await play(other);
      await one.process("n1").end("SIGTERM");
      // The first cluster's n1, which dials, with the second one's addresses and secret.
      const lost = one.launch("n1", [wrong, secret]);
      await one.until("it is refused", () => lost.lines.some((line) => line.includes("CLUSTER_DIFFERS")));
      await othersGoOn(one, ["n2", "n3"]);
      await othersGoOn(other, other.ids);
      assert.not.ok(lost.lines.some((line) => line.includes('"event":"serving"')));
      await lost.end("SIGKILL");
      one.launch("n1");
      await othersGoOn(one, one.ids);
    });
  });
});

test.run();
