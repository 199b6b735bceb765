// test-run: seconds=400
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type FailoverRoom, Client as WrapperClient } from "../../client/testudo-client.ts";
import { type Cluster, sleep, unhurried, until } from "./cluster.ts";
import { HashWatch } from "./hash-watch.ts";
import { shareCluster } from "./shared-cluster.ts";

/** Features that were each tested alone, together: on three real nodes, while one is drained. */
const test = suite("seams");

let cluster: Cluster;
let watch: HashWatch;

const together = shareCluster(
  test,
  { main: "test/e2e/seams-main.ts", args: [...unhurried, "--drain-timeout-ms=30000"] },
  (shared) => {
    cluster = shared;
  },
);

/** Those of a test: whatever becomes of it, none looks for nodes any more. */
const open: Room[] = [];

function opened<R extends object>(room: R): R {
  open.push(room as unknown as Room);
  return room;
}

test.after.each(() => {
  for (const room of open.splice(0)) room.reconnection.enabled = false;
});

/** Planned, if all goes well: none is dropped, and each comes to another node. */
function heard(room: Room, type: string) {
  const told = { errors: 0, drops: 0, left: 0, numbers: [] as number[] };
  room.onError(() => told.errors++);
  room.onDrop(() => told.drops++);
  room.onLeave(() => told.left++);
  room.onMessage(type, (n: number) => told.numbers.push(n));
  return told;
}

/** The stock SDK goes back to the same address by itself; here another one is told. */
function goesTo(room: Room, id: string): void {
  Object.assign(room.reconnection, { minUptime: 0, maxRetries: 100, maxDelay: 200 });
  const to = cluster.url(id).replace(/^http/, "ws");
  room.onDrop(() => {
    room.connection.url = room.connection.url?.replace(/^ws:\/\/[^/]+/, to) ?? "";
  });
}

async function leaderOf(roomId: string): Promise<string> {
  let last: string | null = null;
  let sinceMs = performance.now();
  return await until("the lead has come to rest", async () => {
    const { group } = (await cluster.room("n1", roomId)) ?? {};
    const leader = (await cluster.status("n1"))?.groups.find(({ id }) => id === group)?.leader ?? null;
    if (leader !== last) sinceMs = performance.now();
    last = leader;
    // Right after a start it is brought home.
    return performance.now() - sinceMs > 3_000 && leader;
  });
}

/** A player that asks, again and again, and knows how often it was answered. */
class Asker {
  answered = 0;
  /** Of these nobody knows whether the room had them. */
  readonly failures: string[] = [];
  #goesOn = true;
  readonly #ended: Promise<void>;

  constructor(room: Room, type: string) {
    this.#ended = this.#run(room, type);
  }

  async #run(room: Room, type: string): Promise<void> {
    while (this.#goesOn) {
      await sleep(5);
      if (!room.connection.isOpen) continue;
      try {
        await room.request(type, 1, { timeout: 30_000 } as never);
        this.answered++;
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }

  async end(): Promise<number> {
    this.#goesOn = false;
    await this.#ended;
    return this.answered;
  }
}

const oneAfterTheOther = (numbers: readonly number[]) =>
  numbers.map((n, at) => n - (numbers[0] ?? 0) - at).every((off) => off === 0);

async function drained(id: string): Promise<void> {
  cluster.process(id).signal("SIGTERM");
  assert.equal(await cluster.process(id).ended, { code: 0, signal: null }, id);
}

async function back(id: string): Promise<void> {
  cluster.launch(id);
  await cluster.ready();
}

async function noDifference(): Promise<void> {
  for (const id of cluster.ids) assert.is((await cluster.status(id))?.divergences.count, 0, id);
  assert.equal(watch.differing, []);
}

interface Who {
  readonly at: number;
  readonly opened: number;
  readonly elapsed: number;
  readonly total: number;
}

together("[Y156] a room that its leader runs goes on elsewhere while that node is drained", async () => {
  watch = new HashWatch(cluster);
  const urls = [...cluster.urls];
  const host = await new Client(cluster.url("n1")).create("forge");
  const leader = await leaderOf(host.roomId);
  const [left = "", right = ""] = cluster.ids.filter((id) => id !== leader);
  const at = (id: string) => [cluster.url(id), ...urls.filter((url) => url !== cluster.url(id))];
  const rooms = {
    here: await new WrapperClient(at(leader)).joinById(host.roomId),
    there: await new WrapperClient(at(left)).joinById(host.roomId),
    stock: await new Client(cluster.url(leader)).joinById(host.roomId),
    stockThere: await new Client(cluster.url(right)).joinById(host.roomId),
  } as unknown as Record<string, Room<unknown, { total: number; beats: number }>>;
  for (const room of Object.values(rooms)) opened(room);
  const { here, there, stock, stockThere } = rooms as Record<string, Room<unknown, { total: number; beats: number }>>;
  assert.ok(here && there && stock && stockThere);
  await host.leave();
  goesTo(stock as never, right);
  const games = Object.values(rooms).map((room) => heard(room as never, "earned"));
  const [hereGame, thereGame, stockGame] = games as [(typeof games)[0], (typeof games)[0], (typeof games)[0]];
  const planned: boolean[] = [];
  (here as unknown as FailoverRoom).onFailover((failover) => planned.push(failover.planned));
  const before = (await there.request("who")) as Who;
  assert.is(before.at, cluster.process(leader).pid);
  const askers = Object.values(rooms).map((room) => new Asker(room as never, "earn"));
  await until("they earn", () => askers.every(({ answered }) => answered > 20));
  const slow = there.request("slow", 1_500, { timeout: 30_000 } as never);
  const slowHere = here.request("slow", 1_500, { timeout: 30_000 } as never);
  await until("the leader has begun", () => cluster.linesLike(/forge effect/).length === 2);
  await drained(leader);
  const since = askers.map(({ answered }) => answered);
  await until("they earn more", () => askers.every(({ answered }, k) => answered > (since[k] ?? 0) + 20));
  for (const pid of await Promise.all([slow, slowHere])) assert.is.not(pid, before.at, "begun again");
  const answered = (await Promise.all(askers.map((asker) => asker.end()))).reduce((sum, n) => sum + n, 0);
  const failures = askers.map((asker) => asker.failures);
  // What a stock client has just sent when it is closed is lost with its connection.
  assert.ok(failures.flat().length <= 1, String(failures));
  assert.equal([failures[0], failures[1], failures[3]], [[], [], []]);
  const after = (await there.request("who")) as Who;
  const { total } = after;
  assert.ok(total >= answered && total <= answered + failures.flat().length, `${total} of ${answered}`);
  await until("all see the same", () => Object.values(rooms).every(({ state }) => state.total === total));
  await until("all have heard it", () => games.every(({ numbers }) => numbers.at(-1) === total));
  for (const game of [hereGame, thereGame])
    assert.equal(
      { ...game, numbers: oneAfterTheOther(game.numbers) },
      { errors: 0, drops: 0, left: 0, numbers: true },
    );
  assert.equal([...stockGame.numbers].sort((a, b) => a - b), [...new Set(stockGame.numbers)], "never twice");
  assert.equal([planned, stockGame.drops], [[true], 1]);
  assert.is(after.opened, before.opened);
  assert.ok(after.elapsed > before.elapsed && after.at !== before.at);
  const { beats } = there.state;
  await until("its clock goes on", () => there.state.beats > beats + 20);
  await back(leader);
  await noDifference();
  await Promise.all(Object.values(rooms).map((room) => room.leave()));
});

test.run();
