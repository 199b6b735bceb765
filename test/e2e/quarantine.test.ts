// test-run: seconds=600
import { Client as StockClient } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, type FailoverRoom } from "../../client/testudo-client.ts";
import { sleep, until } from "./cluster.ts";
import type { Doom } from "./doom-room.ts";
import { StartedCluster } from "./started-cluster.ts";

const test = suite("rooms whose code does not come back");

interface Neighbour {
  readonly room: FailoverRoom;
  /** What was told of the room's count, in order. */
  readonly told: number[];
}

/** Long enough for several deaths of all nodes, one after the other. */
const patient = { timeout: 120_000 };
const moveMsMax = 120_000;

function clientOf(cluster: StartedCluster, at: number): Client {
  const urls = [...cluster.urls.slice(at), ...cluster.urls.slice(0, at)];
  return new Client(urls, { moveMsMax, pingIntervalMs: 200, silenceMs: 800 });
}

/** Counts in a room of its own, again and again, without a pause. */
async function neighbour(cluster: StartedCluster, at: number): Promise<Neighbour> {
  const room = (await clientOf(cluster, at).create("doom")) as FailoverRoom;
  const told: number[] = [];
  const goOn = async (): Promise<void> => {
    while (room.connection !== undefined) {
      told.push((await room.request("add", { by: 1 }, patient)) as number);
      await sleep(10);
    }
  };
  goOn().catch(() => told.push(Number.NaN));
  return { room, told };
}

function groupOf(roomId: string): string {
  return roomId.charAt(8);
}

/** Neighbours on each node and, whatever group the doomed room is in, one in that group. */
async function neighbours(cluster: StartedCluster): Promise<readonly Neighbour[]> {
  const all: Neighbour[] = [];
  for (let at = 0; new Set(all.map(({ room }) => groupOf(room.roomId))).size < 2 || at < 3; at++) {
    assert.ok(at < 40, "40 rooms are not all in one group of two");
    all.push(await neighbour(cluster, at % 3));
  }
  return all;
}

/** Nothing that they were told is lost, nothing was counted twice, and they go on. */
async function goOn(all: readonly Neighbour[]): Promise<void> {
  for (const { room, told } of all) {
    const before = told.length;
    await until(`${room.roomId} counts on`, () => told.length > before + 5);
    assert.equal(
      told,
      told.map((_, index) => index + 1),
    );
  }
}

/** The room is closed on all nodes, which live and have nothing left to do. */
async function closed(cluster: StartedCluster, roomId: string): Promise<void> {
  await cluster.all(`${roomId} is quarantined`, ({ roomFailures }) =>
    roomFailures.quarantined.some((room) => room.roomId === roomId),
  );
  await cluster.serves();
  const statuses = await cluster.all(
    "nobody stands still, nobody has the room",
    ({ rooms, roomFailures }) =>
      roomFailures.standing.length === 0 && rooms.every((room) => room.roomId !== roomId),
  );
  const told = statuses.map(({ roomFailures }) =>
    roomFailures.quarantined.find((room) => room.roomId === roomId),
  );
  assert.equal(told, [told[0], told[0], told[0]]);
  assert.is(told[0]?.roomName, "doom");
  await until("no mark is left", () => cluster.ids.every((id) => cluster.marks(id).length === 0));
}

async function meetDoom(cluster: StartedCluster, doom: Doom): Promise<string> {
  const { place } = doom;
  if (place === "onCreate") {
    const before = (await cluster.status(0))?.roomFailures.quarantines ?? 0;
    new StockClient(cluster.urls[0] ?? "").create("doom", { doom }).catch(() => {});
    const [first] = await cluster.all(
      "one more is quarantined",
      ({ roomFailures }) => roomFailures.quarantines > before,
    );
    return first?.roomFailures.quarantined.findLast((room) => room.act === "create")?.roomId ?? "";
  }
  const room = (await clientOf(cluster, 1).create("doom")) as FailoverRoom;
  const ended = new Promise<number>((resolve) => room.onLeave((code) => resolve(code)));
  if (place === "onJoin") {
    new StockClient(cluster.urls[2] ?? "").joinById(room.roomId, { doom }).catch(() => {});
  } else {
    room.send("doom", doom);
    if (place === "onDrop" || place === "onLeave" || place === "onDispose") {
      await until("it knows", async () => ((await room.request("add", { by: 0 }, patient)) as number) === 1);
      if (place === "onDrop") room.connection.close();
      else void room.leave();
    }
  }
  // A player whose room is closed is told so, and does not look for it for ever.
  if (place !== "onLeave" && place !== "onDispose") assert.is.not(await ended, 1000);
  return room.roomId;
}

function doomed(
  flags: readonly string[],
  args: readonly string[],
  dooms: readonly Doom[],
): () => Promise<void> {
  return async () => {
    const cluster = await StartedCluster.start(flags, ["--groups=2", "--restart-after-ms=200", ...args]);
    try {
      const others = await neighbours(cluster);
      for (const doom of dooms) {
        const roomId = await meetDoom(cluster, doom);
        await closed(cluster, roomId);
        await goOn(others);
        const refused = await new StockClient(cluster.urls[0] ?? "").joinById(roomId).catch((error) => error);
        assert.match(String(refused), /was closed: its code did not get past/);
      }
      for (const { room } of others) await room.leave();
    } catch (error) {
      process.stderr.write(`${cluster.tail()}\n`);
      throw error;
    } finally {
      await cluster.end();
    }
  };
}

test(
  "[Q15] code that never comes back, wherever it is: its room is closed everywhere, the nodes come back, all others go on",
  doomed(
    [],
    ["--apply-limit-ms=800"],
    (["handler", "onCreate", "timer", "onDispose"] as const).map((place) => ({ place, kind: "loops" })),
  ),
);

test(
  "[Q16] code that takes all the memory, and its node with it, twice: the same",
  doomed(["--max-old-space-size=128"], [], [{ place: "handler", kind: "eats" }]),
);

test.run();
