// test-run: seconds=200
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client as WrapperClient } from "../../client/testudo-client.ts";
import { type Cluster, unhurried, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** Rooms that their leader alone runs, on three real nodes, and the leader killed under them. */
const test = suite("leader rooms");

let cluster: Cluster;

const leading = shareCluster(
  test,
  { main: "test/e2e/leader-rooms-main.ts", args: [...unhurried, "--apply-limit-ms=1500"] },
  (shared) => {
    cluster = shared;
  },
);

interface Tavern {
  readonly total: number;
  readonly throws: number;
  readonly luck: number;
  readonly guests: ReadonlyMap<string, { readonly name: string; readonly gold: number }>;
}
type TavernRoom = Room<unknown, Tavern>;

function clientOf(id: string): Client {
  return new Client(cluster.url(id));
}

function alone(room: Room): TavernRoom {
  room.reconnection.enabled = false;
  room.onMessage("earned", () => {});
  room.onMessage("welcome", () => {});
  return room as TavernRoom;
}

interface Won {
  readonly won: number;
  readonly opened: number;
  readonly at: number;
  readonly elapsed: number;
}

/** The node that runs the room, once the lead of its group has come to rest: right after a start it is brought home. */
async function runnerOf(room: TavernRoom): Promise<string> {
  let last = 0;
  let sinceMs = 0;
  const runner = await until("the lead has come to rest", async () => {
    const { at } = (await room.request("won")) as Won;
    if (at !== last) sinceMs = Date.now();
    last = at;
    const found = cluster.ids.find((id) => cluster.process(id).pid === at);
    return Date.now() - sinceMs > 3_000 ? (found ?? null) : null;
  });
  return runner ?? "";
}

leading(
  "[Y97] the leader is killed under play: another one goes on, and nothing is lost or done twice",
  async () => {
    const host = alone(await clientOf("n1").create("tavern", { name: "Livia" }));
    const leader = await runnerOf(host);
    const [left = "", right = ""] = cluster.ids.filter((id) => id !== leader);
    const onLeader = alone(await clientOf(leader).joinById(host.roomId, { name: "of the leader" }));
    await host.leave();
    const other = alone(await clientOf(left).joinById(onLeader.roomId, { name: `of ${left}` }));
    const wrapper = await new WrapperClient([cluster.url(leader), cluster.url(right)]).joinById(
      onLeader.roomId,
      {
        name: "wrapped",
      },
    );
    const heard: number[] = [];
    wrapper.onMessage("earned", (total: number) => heard.push(total));
    wrapper.onMessage("welcome", () => {});
    await until("all are in", () => other.state.guests?.size === 3);
    const before = (await other.request("won")) as {
      won: number;
      opened: number;
      at: number;
      elapsed: number;
    };
    assert.is(before.at, cluster.process(leader).pid, "the leader alone runs it");
    let ok = 0;
    let isPlaying = true;
    const plays = [other, wrapper].map(async (player) => {
      while (isPlaying) {
        await player.request("earn", 1, { timeout: 20_000 } as never);
        ok++;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    await until("they have earned something", () => ok > 60);
    const answer = other.request("ask", 1_500, { timeout: 20_000 } as never) as Promise<{ at: number }>;
    await new Promise((resolve) => setTimeout(resolve, 200));
    const dead = cluster.process(leader).pid;
    await cluster.kill(leader);
    const since = ok;
    await until("they earn more", () => ok > since + 60);
    const back = alone(await clientOf(right).reconnect(onLeader.reconnectionToken));
    assert.is(await back.request("earn", 1), 1);
    ok++;
    isPlaying = false;
    await Promise.all(plays);
    await until("all see the same", () => other.state.total === ok && back.state.total === ok);
    assert.equal([...back.state.guests.keys()].sort(), [...other.state.guests.keys()].sort());
    await until("the wrapper has heard all", () => heard.at(-1) === ok);
    assert.equal(
      heard,
      Array.from({ length: ok - (heard[0] ?? 0) + 1 }, (_, at) => (heard[0] ?? 0) + at),
      "each once, and in order",
    );
    const told = await answer;
    assert.is.not(told.at, dead, "what had not finished began again");
    const after = (await other.request("won")) as Won;
    assert.is(after.opened, before.opened);
    assert.ok(after.won >= before.won && after.elapsed > before.elapsed);
    const { throws } = other.state;
    await until("its time goes on", () => other.state.throws > throws + 20);
    // A failure is a line in the log, and an answer.
    try {
      await other.request("fail");
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, /the wine is off/);
    }
    cluster.launch(leader);
    await cluster.ready();
    const late = alone(await clientOf(leader).joinById(onLeader.roomId, { name: "late" }));
    await until("who comes late sees it all", () => late.state.total === ok && late.state.guests.size === 4);
    for (const id of cluster.ids) assert.is((await cluster.status(id))?.divergences.count, 0);
    await Promise.all([late, back, other, wrapper].map((player) => player.leave()));
    await until("the room ends", async () => (await cluster.room(left, onLeader.roomId)) === null);
  },
);

leading("[Y92] fields that would be lost are refused as the room is made, by name", async () => {
  try {
    await clientOf("n2").create("forgetful");
    assert.unreachable();
  } catch (error) {
    assert.match(
      (error as Error).message,
      /ForgetfulRoom .*its fields secrets .*onCacheRoom and onRestoreRoom/,
    );
  }
});

leading(
  "[Y98] code that never comes back ends its node; then the room is closed everywhere, and others go on",
  async () => {
    const safe = alone(await clientOf("n2").create("tavern", { name: "safe" }));
    const doomed = alone(await clientOf("n1").create("tavern", { name: "doomed" }));
    const { roomId } = doomed;
    doomed.send("hang");
    const revive = () => {
      for (const id of cluster.ids) if (cluster.process(id).isOver) cluster.launch(id);
    };
    await until("the room is closed on every node", async () => {
      revive();
      const all = await Promise.all(cluster.ids.map((id) => cluster.status(id).catch(() => null)));
      return all.every((status) => status?.roomFailures.quarantined.some((room) => room.roomId === roomId));
    });
    await cluster.ready();
    const back = alone(await goOn(safe));
    assert.is(await back.request("earn", 2), 2);
    await back.leave();
  },
);

async function goOn(room: TavernRoom): Promise<Room> {
  if (room.connection.isOpen) return room;
  return await clientOf("n3").reconnect(room.reconnectionToken);
}

test.run();
