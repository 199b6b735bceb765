// test-run: seconds=500
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, sleep } from "./cluster.ts";
import type { Journal } from "./journal.ts";
import { type Arena, checkShots, joined } from "./shots.ts";
import { underFire } from "./under-fire.ts";

const test = suite("killed, stopped and frozen nodes");

const kills = 20;
const killsMax = 40;
/** Leaders killed with shots in flight. */
const leaderKillsMin = 5;
/** Between a kill and the node's next start: what the others do alone. */
const downMs = 250;
const frozenMs = 3_000;

async function leaderOf(cluster: Cluster, roomId: string): Promise<string> {
  return await cluster.until("a leader of the room's group", async () => {
    const leaders = new Set<string | null>();
    for (const id of cluster.ids) {
      const status = await cluster.status(id);
      const room = status?.rooms.find((one) => one.roomId === roomId);
      const group = status?.groups.find((one) => one.id === room?.group);
      if (group !== undefined) leaders.add(group.leader);
    }
    const [leader] = leaders;
    return leaders.size === 1 && leader ? leader : null;
  });
}

test("[E1] a node killed every second, twenty times: no shot lost, none doubled, no replica apart", async () => {
  await underFire({}, { stock: 3, wrapper: 3 }, async ({ cluster, load, watch }) => {
    const { roomId } = load;
    let leaderKills = 0;
    for (let kill = 0; kill < kills || leaderKills < leaderKillsMin; kill++) {
      assert.ok(
        kill < killsMax,
        `only ${leaderKills} of ${kill / 2} leaders were killed with shots in flight`,
      );
      const leader = await leaderOf(cluster, roomId);
      const others = cluster.ids.filter((id) => id !== leader);
      // Every other time the leader, else any of the others; now and then both, and the majority with them.
      const other = others[Math.floor(Math.random() * others.length)] ?? leader;
      const victims = kill % 8 === 6 ? [leader, other] : [kill % 2 === 0 ? leader : other];
      await load.order("burst");
      const atMs = Date.now();
      for (const victim of victims) cluster.process(victim).signal("SIGKILL");
      for (const victim of victims) assert.is((await cluster.process(victim).ended).signal, "SIGKILL");
      await sleep(downMs);
      if (victims.includes(leader) && load.journal().inFlight(atMs) > 0) leaderKills++;
      for (const victim of victims) cluster.launch(victim);
      await cluster.ready();
    }
    await checkShots(cluster, load);
    const journal = load.journal();
    assert.equal(watch.differing, []);
    assert.ok(watch.compared >= kills, `only ${watch.compared} hashes were compared`);
    assert.ok(journal.ofType("moved").length >= kills, "players have moved");
    const players = journal.players().map(({ name, ok, unknown }) => `${name} ok ${ok} unknown ${unknown}`);
    process.stdout.write(
      `${players.join(", ")}; ${leaderKills} leaders killed with shots in flight, ${watch.compared} hashes compared\n`,
    );
  });
});

/** Somebody who has a seat, a token and shots, and no connection. */
async function leaveSeatBehind(url: string): Promise<{ sessionId: string; token: string; shots: number }> {
  const room = await joined(url);
  room.reconnection.enabled = false;
  let shots = 0;
  while (shots < 3) shots = ((await room.request("fire")) as { shots: number }).shots;
  const { sessionId, reconnectionToken: token } = room;
  const left = new Promise((resolve) => room.onLeave(resolve));
  room.connection.close();
  await left;
  return { sessionId, token, shots };
}

for (const { how, signal, code } of [
  { how: "stopped", signal: "SIGTERM", code: 0 },
  { how: "killed at once", signal: "SIGKILL", code: null },
] as const) {
  test(`[E2] all nodes ${how} and started again: room, seats, shots and tokens are there`, async () => {
    await underFire({}, { stock: 1, wrapper: 1 }, async ({ cluster, load, watch, firesAgain }) => {
      const { roomId } = load;
      const [first = "", second = ""] = cluster.urls;
      const seat = await leaveSeatBehind(first);
      const clockMs = await clockOf(first);
      await load.order("burst");
      const ends = await Promise.all(cluster.ids.map((id) => cluster.process(id).end(signal)));
      assert.equal(
        ends,
        cluster.ids.map(() => ({ code, signal: code === null ? signal : null })),
      );
      cluster.launchAll();
      await cluster.ready();
      const back = (await new Client(second).reconnect(seat.token)) as Room<unknown, Arena>;
      await new Promise<void>((resolve) => back.onStateChange.once(() => resolve()));
      assert.is(back.roomId, roomId);
      assert.is(back.sessionId, seat.sessionId);
      assert.is(back.state.players.get(seat.sessionId)?.shots, seat.shots);
      assert.ok(back.state.clockMs >= clockMs, `the clock went from ${clockMs} to ${back.state.clockMs}`);
      assert.equal(await back.request("fire"), { shots: seat.shots + 1 });
      await back.leave();
      // The players of the load found their way back by themselves.
      await firesAgain();
      await checkShots(cluster, load);
      assert.equal(watch.differing, []);
      assert.ok(watch.compared > 0, "hashes were compared");
    });
  });
}

async function clockOf(url: string): Promise<number> {
  const witness = await joined(url);
  try {
    return witness.state.clockMs;
  } finally {
    await witness.leave();
  }
}

test("[E3] a frozen node: its players go on elsewhere, and when it thaws it is no different", async () => {
  await underFire({}, { stock: 3, wrapper: 3 }, async ({ cluster, load, watch, firesAgain }) => {
    for (const id of [await leaderOf(cluster, load.roomId), cluster.ids.at(-1) ?? ""]) {
      const url = cluster.url(id);
      const before = whereabouts(load.journal(), cluster);
      const here = [...before].filter(([, at]) => at === url).map(([player]) => player);
      const frozenAtMs = Date.now();
      cluster.process(id).signal("SIGSTOP");
      await sleep(frozenMs);
      const meanwhile = load
        .journal()
        .ofType("ok")
        .filter(({ atMs }) => atMs > frozenAtMs + frozenMs / 2);
      cluster.process(id).signal("SIGCONT");
      for (const player of here.filter((name) => name.startsWith("wrapper"))) {
        assert.ok(
          meanwhile.some((line) => line.player === player),
          `${player} went on while ${id} was frozen`,
        );
      }
      assert.ok(meanwhile.length > 0, "the match went on");
      await cluster.ready();
      await firesAgain();
    }
    await checkShots(cluster, load);
    assert.equal(watch.differing, []);
    assert.ok(watch.compared > 0, "hashes were compared");
  });
});

/** Where each player is attached, as far as it has told. */
function whereabouts(journal: Journal, cluster: Cluster): Map<string, string> {
  const at = new Map<string, string>();
  for (const line of journal.lines) {
    if (line.type === "joined")
      at.set(line.player, cluster.urls[Number(line.player.split(" ")[1]) % cluster.urls.length] ?? "");
    if (line.type === "moved") at.set(line.player, line.url);
  }
  return at;
}

test.run();
