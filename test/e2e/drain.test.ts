// test-run: seconds=500
import { join } from "node:path";
import { Client, type Room, type SeatReservation } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type FailoverRoom, Client as WrapperClient } from "../../client/testudo-client.ts";
import { runCli } from "../../server/admin/cli/testudo-cli.ts";
import { type Cluster, unhurried, withCluster } from "./cluster.ts";
import { behindDoor } from "./front-door.ts";
import type { Journal } from "./journal.ts";
import { checkShots } from "./shots.ts";
import { underFire } from "./under-fire.ts";

const test = suite("nodes that are restarted one after the other");

/** Sorted; the nearest rank. */
function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

function figures(journal: Journal, kind: string): string {
  const gaps = journal.ofType("moved").flatMap(({ player, gapMs }) => (player.startsWith(kind) ? gapMs : []));
  const [p50, p99, most] = [0.5, 0.99, 1].map((part) => Math.round(quantile(gaps, part)));
  return `${kind}: ${gaps.length} moves, gap p50 ${p50} ms, p99 ${p99} ms, most ${most} ms`;
}

test("[C58] a rolling restart by SIGTERM under load: no error, nothing lost or doubled, all nodes end with 0", async () => {
  const players = { stock: 3, wrapper: 6 };
  await underFire({}, players, async ({ cluster, load, watch, firesAgain }) => {
    for (const id of cluster.ids) {
      const begunMs = performance.now();
      // By either way to do it.
      if (id === "n2") await drained(cluster, id);
      else cluster.process(id).signal("SIGTERM");
      assert.equal(await cluster.process(id).ended, { code: 0, signal: null });
      process.stdout.write(`${id} took ${Math.round(performance.now() - begunMs)} ms to end\n`);
      cluster.launch(id);
      await cluster.ready();
      await firesAgain();
    }
    await checkShots(cluster, load);
    const journal = load.journal();
    assert.equal(journal.ofType("error"), []);
    const moved = journal.ofType("moved");
    const wrapperMoves = moved.filter(({ player }) => player.startsWith("wrapper"));
    assert.ok(wrapperMoves.length >= players.wrapper, "all that were on a node that ended have moved");
    assert.equal(
      wrapperMoves.filter(({ planned }) => !planned),
      [],
    );
    assert.equal(watch.differing, []);
    const unknown = journal.players().reduce((sum, player) => sum + player.unknown, 0);
    const ok = journal.players().reduce((sum, player) => sum + player.ok, 0);
    process.stdout.write(
      `${figures(journal, "wrapper")}\n${figures(journal, "stock")}\n${ok} commands acknowledged, ${unknown} unknown (stock), ${watch.compared} hashes compared\n`,
    );
  });
});

/** As an operator does it, from another node: as soon as the others are back. */
async function drained(cluster: Cluster, id: string): Promise<void> {
  const url = cluster.urls.find((one) => one !== cluster.url(id)) ?? "";
  const secretFile = join(cluster.data, "cluster/secret");
  await cluster.until(`${id} is drained`, async () => {
    let told = "";
    const write = (text: string) => {
      told += text;
    };
    const command = ["drain", id, "--url", url, "--secret-file", secretFile];
    const code = await runCli(command, { write, tell: write, cwd: "/" });
    if (code !== 0) assert.match(told, /QUORUM_LOST/);
    else assert.match(told, new RegExp(`\\n${id} has ended after \\d+ ms`));
    return code === 0;
  });
}

interface Counter {
  readonly n: number;
  readonly drops: number;
}

type CounterRoom = Room<unknown, Counter>;

/** Whatever the game is told that it should not be, and the numbers that the room said. */
function heard(room: CounterRoom) {
  const told = { errors: 0, left: 0, drops: 0, numbers: [] as number[] };
  room.onError(() => told.errors++);
  room.onLeave(() => told.left++);
  room.onDrop(() => told.drops++);
  room.onMessage("n", (n: number) => told.numbers.push(n));
  return told;
}

const isOneAfterTheOther = (numbers: readonly number[]) =>
  numbers.every((n, at) => at === 0 || n === (numbers[at - 1] ?? 0) + 1);

const main = "test/e2e/drain-rooms-main.ts";
const args = [...unhurried, "--drain-timeout-ms=30000"];

test("[C54, C55, C52] while a plain room plays its last round its node serves who is there, and leads all others elsewhere", async () => {
  await withCluster({ main, args }, async (cluster) => {
    const [url = "", second = ""] = cluster.urls;
    const at = async (path: string) => (await fetch(url + path)).status;
    await cluster.until("n1 takes clients", async () => (await at("/testudo/open")) === 200);
    const match = await new Client(url).create("match");
    const told: string[] = [];
    match.onMessage("last round", () => told.push("last round"));
    const left = new Promise((resolve) => match.onLeave(resolve));
    const wrapper = (await new WrapperClient([...cluster.urls]).joinOrCreate("counter")) as FailoverRoom<
      unknown,
      Counter
    >;
    const game = heard(wrapper as never);
    const headers = { "content-type": "application/json", accept: "application/json" };
    const asked = await fetch(`${url}/matchmake/joinOrCreate/counter`, {
      method: "POST",
      headers,
      body: "{}",
    });
    const reserved = (await asked.json()) as SeatReservation;
    await cluster.until("numbers come", () => game.numbers.length > 20);
    cluster.process("n1").signal("SIGTERM");
    await cluster.until("n1 takes no clients any more", async () => (await at("/testudo/open")) === 404);
    assert.is(await at("/testudo/ready"), 503);
    await cluster.until("the wrapper has moved", () => wrapper.endpoint?.node !== "n1");
    // A seat that was given before is taken here, one that is asked for now is not; and who comes back is sent on.
    const early = await new Client(url).consumeSeatReservation(reserved);
    assert.is(new URL(early.connection.url ?? "").host, new URL(url).host);
    const late = await new Client(url).joinOrCreate("counter");
    assert.is.not(new URL(late.connection.url ?? "").host, new URL(url).host);
    for (const room of [early, late]) room.onMessage("n", () => {});
    const back = await new Client(url).reconnect(late.reconnectionToken);
    assert.is.not(new URL(back.connection.url ?? "").host, new URL(url).host);
    back.onMessage("n", () => {});
    const refused = await new Client(url).create("match").catch((error: unknown) => error);
    assert.match(String(refused), /this node stops, and takes no new "match"/);
    const { endpoints } = (await (await fetch(`${second}/testudo/endpoints`)).json()) as {
      endpoints: { node: string; draining?: boolean }[];
    };
    assert.equal([endpoints.at(-1)?.node, endpoints.at(-1)?.draining], ["n1", true]);
    assert.is(await left, 4_321);
    assert.equal(told, ["last round"]);
    assert.equal(await cluster.process("n1").ended, { code: 0, signal: null });
    assert.is(cluster.linesLike(/drained in \d+ ms: nobody is left/).length, 1);
    assert.equal(cluster.linesLike(/the replicated room was told of the end/), []);
    assert.equal(
      { ...game, numbers: isOneAfterTheOther(game.numbers) },
      { errors: 0, left: 0, drops: 0, numbers: true },
    );
    // Whoever is left is not to look for nodes any more.
    for (const room of [wrapper, early, late, back]) room.reconnection.enabled = false;
    // Nodes that all end at once have nobody to wait for.
    for (const id of ["n2", "n3"]) cluster.process(id).signal("SIGTERM");
    for (const id of ["n2", "n3"]) assert.equal(await cluster.process(id).ended, { code: 0, signal: null });
    assert.equal(cluster.linesLike(/"end":"late"/), []);
    assert.ok(cluster.linesLike(/"end":"nowhere"/).length > 0);
  });
});

test("[C58] the stock SDK as it is, behind one address: a rolling restart costs nobody the match", async () => {
  await behindDoor({ main, args }, async ({ cluster, door, launch }) => {
    const rooms: CounterRoom[] = [];
    for (let player = 0; player < 6; player++)
      rooms.push((await new Client(door.url).joinOrCreate("counter")) as CounterRoom);
    const games = rooms.map(heard);
    for (const id of cluster.ids) {
      assert.equal(await cluster.process(id).end("SIGTERM"), { code: 0, signal: null });
      launch(id);
      await cluster.ready();
    }
    const before = Math.max(...rooms.map(({ state }) => state.n));
    await cluster.until("everybody goes on", () => rooms.every(({ state }) => state.n > before + 20));
    assert.equal(
      games.map(({ errors, left }) => errors + left),
      games.map(() => 0),
    );
    const drops = games.reduce((sum, game) => sum + game.drops, 0);
    assert.ok(drops >= rooms.length, "each has moved at least once");
    for (const { numbers } of games)
      assert.ok(
        numbers.every((n, at) => at === 0 || n > (numbers[at - 1] ?? 0)),
        "no number came twice",
      );
    process.stdout.write(`6 stock clients behind one address, ${drops} moves\n`);
    await Promise.all(rooms.map((room) => room.leave()));
  });
});

test.run();
