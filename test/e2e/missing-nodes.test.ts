// test-run: seconds=300 waits
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, sleep, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** What stock clients of a node hear that is killed, on three real nodes, of a room that says a number every 20 ms. */
const test = suite("missing nodes");

let cluster: Cluster;

/** Who is not heard for four times that long is told of nothing new. */
const args = ["--election-timeout-base-ms=100", "--leaderless-ms=10000"];
const real = shareCluster(test, { main: "test/e2e/feature-rooms-main.ts", args }, (shared) => {
  cluster = shared;
});

/** Of 20 a second: on its way through its node, until that is not heard any more. Nobody else can know of it. */
const inFlightMax = 12;

interface Listener {
  room: Room;
  readonly heard: number[];
}

function listen(room: Room, heard: number[] = []): Listener {
  room.reconnection.enabled = false;
  room.onMessage("n", (n: number) => heard.push(n));
  return { room, heard };
}

async function goOn(listener: Listener, id: string): Promise<void> {
  const { reconnectionToken } = listener.room;
  listener.room = listen(await new Client(cluster.url(id)).reconnect(reconnectionToken), listener.heard).room;
}

/** What it never heard of what the room said to it before it saw it go; and how often it heard something twice. */
async function account({ room, heard }: Listener): Promise<{ lost: number; twice: number; away: number }> {
  const dropped = (await room.request("dropped")) as number;
  await sleep(500);
  const known = new Set(heard);
  const gaps = [];
  for (let n = heard[0] ?? 0; n < (heard.at(-1) ?? 0); n++) if (!known.has(n)) gaps.push(n);
  assert.equal(
    heard,
    heard.toSorted((a, b) => a - b),
    "in order",
  );
  const away = gaps.filter((n) => n > dropped).length;
  return { lost: gaps.length - away, away, twice: heard.length - known.size };
}

real(
  "[Y116] stock clients whose node is killed lose what was in its sockets and nothing more, however late they come back",
  async () => {
    const { roomId } = listen(await new Client(cluster.url("n2")).create("counter")).room;
    for (const id of ["n1", "n2", "n3"]) {
      const [one = "", other = ""] = cluster.ids.filter((each) => each !== id);
      const join = async () => listen(await new Client(cluster.url(id)).joinById(roomId));
      const waits = [0, 100, 400, 800, 3_000];
      const listeners: Listener[] = [];
      for (const _ of waits) listeners.push(await join());
      await until("they hear something", () => listeners.every(({ heard }) => heard.length > 50));
      await cluster.kill(id);
      const results = await Promise.all(
        listeners.map(async (listener, at) => {
          await sleep(waits[at] as number);
          await goOn(listener, at % 2 === 0 ? one : other);
          const since = listener.heard.length;
          await until("it goes on", () => listener.heard.length > since + 20);
          return await account(listener);
        }),
      );
      const lines = results.map(
        ({ lost, twice, away }, at) =>
          `after ${waits[at]} ms ${lost} lost, ${twice} twice (away for ${away})`,
      );
      process.stderr.write(`${id} was killed: ${lines.join("; ")}\n`);
      for (const { lost, twice } of results) assert.ok(twice === 0 && lost <= inFlightMax, lines.join());
      await Promise.all(listeners.map(({ room }) => room.leave()));
      cluster.launch(id);
      await cluster.ready();
    }
  },
);

real(
  "[Y116] a node that is frozen, and goes on, tells nobody what they were told elsewhere meanwhile",
  async () => {
    const { roomId } = listen(await new Client(cluster.url("n2")).create("counter")).room;
    for (const id of ["n1", "n2"]) {
      const there = listen(await new Client(cluster.url(id)).joinById(roomId));
      const elsewhere = cluster.ids.find((each) => each !== id) as string;
      await until("it hears something", () => there.heard.length > 50);
      cluster.process(id).signal("SIGSTOP");
      await sleep(2_500);
      const before = [...there.heard];
      const { reconnectionToken } = there.room;
      const here = listen(await new Client(cluster.url(elsewhere)).reconnect(reconnectionToken));
      await until("it goes on", () => here.heard.length > 20);
      cluster.process(id).signal("SIGCONT");
      await cluster.ready();
      await sleep(1_000);
      const both = here.heard.filter((n) => there.heard.includes(n));
      const { lost, away } = await account({ room: here.room, heard: [...before, ...here.heard] });
      process.stderr.write(`${id} was frozen: ${lost} lost, ${both.length} twice (away for ${away})\n`);
      assert.ok(both.length === 0 && lost <= inFlightMax);
      await here.room.leave();
    }
  },
);

test.run();
