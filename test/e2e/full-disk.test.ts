// test-run: seconds=300
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Client } from "../../client/testudo-client.ts";
import { exitCodes } from "../../server/cluster/node-error.ts";
import { sleep, unhurried, withCluster } from "./cluster.ts";

const quotaKiB = 1_024;
const messageBytes = 40_000;
/** The room takes 30 messages a second. */
const pauseMs = 100;
/** More than the quota holds. */
const messages = 60;

test("[E16] a disk that is full ends that node, with the file system's own words; nothing that was acknowledged is lost, and with space it comes back", async () => {
  await withCluster({ main: "test/e2e/rooms-main.ts", args: unhurried }, async (cluster) => {
    await cluster.process("n1").end("SIGTERM");
    const full = cluster.launch("n1", [], { fileKiBMax: quotaKiB });
    await cluster.ready();
    const room = await new Client([cluster.url("n2"), cluster.url("n3")]).create("strict", { level: 1 });
    for (let n = 1; n <= messages; n++) {
      assert.is(await room.request("text", "x".repeat(messageBytes)), messageBytes);
      assert.is(await room.request("add", { by: 1 }), n);
      await sleep(pauseMs);
    }
    await cluster.until("the node with the full disk has ended", () => full.isOver);
    const { code } = await full.ended;
    assert.is(code, exitCodes.failed, full.lines.slice(-10).join("\n"));
    const words = full.lines.filter((line) => line.includes("STORAGE_FAILED"));
    assert.match(words.join("\n"), /File too large/);
    // The disk has space again.
    cluster.launch("n1");
    await cluster.ready();
    await room.leave();
    const elsewhere = await new Client([cluster.url("n3")]).create("strict", { level: 1 });
    const here = await new Client([cluster.url("n1")]).joinById(elsewhere.roomId, { level: 1 });
    assert.is(await here.request("add", { by: 3 }), 3);
    for (const one of [here, elsewhere]) await one.leave();
  });
});

test.run();
