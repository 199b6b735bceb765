// test-run: seconds=120
import { Client } from "@colyseus/sdk";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { withCluster } from "./cluster.ts";

test("[E13] a server of one's own becomes nodes by testudo() and replicated(): rooms are shared by filter", async () => {
  await withCluster({ nodes: 1, main: "test/e2e/own-room-main.ts" }, async (cluster) => {
    const join = (mode: string) => new Client(cluster.url("n1")).joinOrCreate("tally", { mode });
    const rooms = await Promise.all([join("duel"), join("duel"), join("quest")]);
    assert.is(rooms[0]?.roomId, rooms[1]?.roomId);
    assert.is.not(rooms[0]?.roomId, rooms[2]?.roomId);
    assert.is(await rooms[0]?.request("add"), 1);
    assert.is(await rooms[1]?.request("add"), 2);
    assert.is(await rooms[2]?.request("add"), 1);
    await Promise.all(rooms.map((room) => room.leave()));
  });
});

test.run();
