// test-run: seconds=300
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { sleep, unhurried, until } from "./cluster.ts";
import { behindDoor } from "./front-door.ts";

/** A studio that has one address for everybody and the stock SDK in its game changes nothing but its servers. */
const test = suite("one address");

/** The SDK does not reconnect by itself before. */
const minUptimeMs = 5_000;

interface Steps {
  readonly next: number;
  readonly gaps: number;
}

test("[Y76] a stock client behind a TCP balancer goes on by itself on another node, at the same address", async () => {
  const options = { main: "test/e2e/feature-rooms-main.ts", args: unhurried };
  await behindDoor(options, async ({ cluster, door }) => {
    const rooms: Room<unknown, Steps>[] = [];
    // Each comes to the node whose turn it is, with its request and then with its socket.
    for (let player = 0; player < 4; player++)
      rooms.push((await new Client(door.url).joinOrCreate("steps")) as Room<unknown, Steps>);
    assert.equal(new Set(rooms.map(({ roomId }) => roomId)).size, 1);
    const nodeOf = (room: Room<unknown, Steps>) =>
      cluster.plans.find(({ url }) => Number(new URL(url).port) === door.portOf(room.sessionId))
        ?.id as string;
    const victim = nodeOf(rooms[0] as Room<unknown, Steps>);
    const moved = rooms.filter((room) => nodeOf(room) === victim);
    const others = rooms.filter((room) => nodeOf(room) !== victim);
    assert.ok(others.length > 0, "they are spread over the nodes");
    const told = { dropped: 0, reconnected: 0, left: 0 };
    for (const room of rooms) {
      room.onDrop(() => told.dropped++);
      room.onReconnect(() => told.reconnected++);
      room.onLeave(() => told.left++);
    }
    await sleep(minUptimeMs);
    await cluster.kill(victim);
    const before = Math.max(...rooms.map(({ state }) => state.next));
    await until("everybody goes on", () => rooms.every(({ state }) => state.next > before + 20));
    assert.equal(told, { dropped: moved.length, reconnected: moved.length, left: 0 });
    assert.equal(
      rooms.map(({ state }) => state.gaps),
      rooms.map(() => 0),
    );
    for (const room of moved) assert.is.not(nodeOf(room), victim);
    // Whoever comes now finds the same match.
    const late = await new Client(door.url).joinOrCreate("steps");
    assert.is(late.roomId, rooms[0]?.roomId);
    await Promise.all([...rooms, late].map((room) => room.leave()));
  });
});

test.run();
