// test-run: seconds=60
import { matchMaker } from "@colyseus/core";
import { boot, type ColyseusTestServer } from "@colyseus/testing";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type CounterRoom, makeServer } from "./studio-app.ts";

// Twice, one after the other: a test run of a studio has a file for each of its rooms, in one process.
for (const file of ["first", "second"]) {
  const test = suite(`a studio's ${file} test file`);
  let colyseus: ColyseusTestServer;

  test.before(async () => {
    colyseus = await boot(makeServer());
  });
  test.after(async () => {
    await colyseus.shutdown();
  });
  test.before.each(async () => {
    await colyseus.cleanup();
  });

  test(`[C67] @colyseus/testing: a client joins a room that the test made, in its ${file} boot`, async () => {
    const room = await colyseus.createRoom<CounterRoom>("counter", {});
    const client = await colyseus.connectTo(room);
    assert.is(client.sessionId, room.clients[0]?.sessionId);
    assert.is(client.state.count, 0);
    const arrived = room.waitForMessage("add");
    const told = client.waitForMessage("added");
    client.send("add", 3);
    const [sender, by] = await arrived;
    assert.is(sender.sessionId, client.sessionId);
    assert.is(by, 3);
    assert.is(await told, 3);
    await client.waitForNextPatch();
    assert.is(client.state.count, 3);
  });

  test(`[C67] @colyseus/testing: waits for messages, patches and steps, in its ${file} boot`, async () => {
    const room = await colyseus.createRoom<CounterRoom>("counter", {});
    const client = await colyseus.connectTo(room);
    client.send("add", 1);
    await room.waitForNextMessage();
    assert.is(room.state.count, 1);
    await room.waitForNextPatch();
    const { steps } = room.state;
    await room.waitForNextTimestep();
    assert.ok(room.state.steps > steps);
  });

  test(`[C67] @colyseus/testing: after a cleanup no room of the test before is left, in its ${file} boot`, async () => {
    const room = await colyseus.sdk.joinOrCreate("counter");
    assert.is(colyseus.getRoomById(room.roomId).clients.length, 1);
    assert.is((await matchMaker.query({})).length, 1);
  });

  test.run();
}
