// test-run: seconds=400
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type FailoverRoom, Client as WrapperClient } from "../../client/testudo-client.ts";
import { type Cluster, sleep, unhurried, until } from "./cluster.ts";
import { HashWatch } from "./hash-watch.ts";
import { shareCluster } from "./shared-cluster.ts";
import { testudo, toNode } from "./testudo-process.ts";

/** Features that were each tested alone, together: on three real nodes, while one is drained. */
const test = suite("seams");

let cluster: Cluster;
let watch: HashWatch | undefined;

const roomLogBytes = 64 * 1024;

const together = shareCluster(
  test,
  {
    main: "test/e2e/seams-main.ts",
    args: [...unhurried, "--drain-timeout-ms=30000", `--room-log-bytes-max=${roomLogBytes}`],
  },
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

test.after(async () => await watch?.stop());
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

/** Calls from outside of the room, on whichever node answers: each number once. */
class Payer {
  readonly acknowledged: number[] = [];
  readonly unknown: number[] = [];
  #goesOn = true;
  readonly #ended: Promise<void>;

  constructor(roomId: string, id: string, first: number) {
    this.#ended = this.#run(`${cluster.url(id)}/test`, roomId, first);
  }

  async #run(url: string, roomId: string, first: number): Promise<void> {
    for (let number = first; this.#goesOn; number += 2) {
      const how = (number - first) % 4 === 0 ? "propose" : "call";
      const answer = await fetch(`${url}/${how}/${roomId}/${number}`).catch(() => null);
      if (answer?.ok === true) this.acknowledged.push(number);
      else this.unknown.push(number);
      await sleep(10);
      // Its node has ended.
      if (answer === null) return;
    }
  }

  async end(): Promise<void> {
    this.#goesOn = false;
    await this.#ended;
  }
}

/** All that was acknowledged, and nothing twice; the second one's node has been there all the time. */
async function paidOnce(room: Room, payers: readonly Payer[]): Promise<void> {
  const paid = (await room.request("paid")) as number[];
  assert.is(new Set(paid).size, paid.length, "each once");
  const unknown = payers.flatMap((payer) => payer.unknown);
  const known = payers.flatMap((payer) => payer.acknowledged);
  assert.equal(
    known.filter((number) => !paid.includes(number)),
    [],
    "all that was acknowledged",
  );
  assert.ok(paid.length <= known.length + unknown.length);
  assert.equal(payers[1]?.unknown, []);
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
  assert.equal(watch?.differing, []);
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
  const { here, there, stock, stockThere } = rooms as Record<
    string,
    Room<unknown, { total: number; beats: number }>
  >;
  assert.ok(here && there && stock && stockThere);
  const away = await new Client(cluster.url(leader)).joinById(host.roomId);
  away.reconnection.enabled = false;
  await Promise.all([host.leave(), away.leave(false)]);
  goesTo(stock as never, right);
  const games = Object.values(rooms).map((room) => heard(room as never, "earned"));
  const [hereGame, thereGame, stockGame] = games as [(typeof games)[0], (typeof games)[0], (typeof games)[0]];
  const planned: boolean[] = [];
  (here as unknown as FailoverRoom).onFailover((failover) => planned.push(failover.planned));
  const before = (await there.request("who")) as Who;
  assert.is(before.at, cluster.process(leader).pid);
  const askers = Object.values(rooms).map((room) => new Asker(room as never, "earn"));
  const payers = [new Payer(host.roomId, leader, 0), new Payer(host.roomId, left, 1)];
  await until("they earn", () => askers.every(({ answered }) => answered > 20));
  const slow = there.request("slow", 1_500, { timeout: 30_000 } as never);
  const slowHere = here.request("slow", 1_500, { timeout: 30_000 } as never);
  await until("the leader has begun", () => cluster.linesLike(/forge effect/).length === 2);
  await drained(leader);
  const since = askers.map(({ answered }) => answered);
  await until("they earn more", () => askers.every(({ answered }, k) => answered > (since[k] ?? 0) + 20));
  for (const pid of await Promise.all([slow, slowHere])) assert.is.not(pid, before.at, "begun again");
  const keys = cluster.linesLike(/forge effect/).map((line) => line.replace(/.*forge effect /, ""));
  assert.equal([keys.length >= 4, new Set(keys).size], [true, 2], "each with its key");
  await Promise.all(payers.map((payer) => payer.end()));
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
  assert.equal(
    [...stockGame.numbers].sort((a, b) => a - b),
    [...new Set(stockGame.numbers)],
    "never twice",
  );
  assert.equal([planned, stockGame.drops], [[true], 1]);
  assert.is(after.opened, before.opened);
  assert.ok(after.elapsed > before.elapsed && after.at !== before.at);
  await paidOnce(there as never, payers);
  const kept = opened(await new Client(cluster.url(left)).reconnect(away.reconnectionToken));
  assert.is(await kept.request("earn", 0), total);
  const { beats } = there.state;
  await until("its clock goes on", () => there.state.beats > beats + 20);
  await back(leader);
  await noDifference();
  await Promise.all([...Object.values(rooms), kept].map((room) => room.leave()));
});

type Hall = Room<unknown, { total: number; drops: number }>;

/** Does it again and again. @returns what ends it */
function every(ms: number, act: () => void): () => void {
  const timer = setInterval(act, ms);
  return () => clearInterval(timer);
}

const isAscending = (numbers: readonly number[]) =>
  numbers.every((n, at) => at === 0 || n >= (numbers[at - 1] ?? 0));

together(
  "[Y157, Y158] requests, latest and eventual messages, effects, calls from outside and kept seats through a drain",
  async () => {
    const first = opened(await new Client(cluster.url("n1")).create("hall")) as unknown as Hall;
    const { roomId } = first;
    const at = (id: string) => [cluster.url(id), ...cluster.urls.filter((url) => url !== cluster.url(id))];
    const join = async (id: string) => {
      const client = new WrapperClient(at(id), { latest: { hall: ["aim"] }, eventual: { hall: ["emote"] } });
      return opened(await client.joinById(roomId)) as unknown as Hall;
    };
    const rooms = [await join("n1"), await join("n1"), await join("n2")];
    const stock = opened(await new Client(cluster.url("n3")).joinById(roomId)) as unknown as Hall;
    goesTo(first as never, "n3");
    const away = await new Client(cluster.url("n1")).joinById(roomId);
    away.reconnection.enabled = false;
    const all = [first, ...rooms, stock];
    const games = all.map((room) => heard(room as never, "added"));
    const emotes = all.map((room) => {
      const seen = new Map<string, number[]>();
      room.onMessage("emote", ([who, n]: [string, number]) => seen.set(who, [...(seen.get(who) ?? []), n]));
      return seen;
    });
    const planned: boolean[] = [];
    for (const room of rooms)
      (room as unknown as FailoverRoom).onFailover((failover) => planned.push(failover.planned));
    await away.leave(false);
    const askers = all.map((room) => new Asker(room as never, "add"));
    let aimed = 0;
    const [mover, other, third] = rooms as [Hall, Hall, Hall];
    const ends = [
      every(5, () => mover.send("aim", ++aimed)),
      ...[mover, third, stock].map((room) => {
        let n = 0;
        return every(10, () => room.send("emote", ++n));
      }),
    ];
    const payers = [new Payer(roomId, "n1", 0), new Payer(roomId, "n2", 1)];
    await until("all goes on", () => askers.every(({ answered }) => answered > 20) && aimed > 100);
    const slow = [mover, other, stock].map((room) =>
      room.request("slow", 1_000, { timeout: 30_000 } as never),
    );
    await until("its leader has begun", () => cluster.linesLike(/hall effect/).length >= 3);
    await drained("n1");
    const since = askers.map(({ answered }) => answered);
    await until("all goes on", () => askers.every(({ answered }, k) => answered > (since[k] ?? 0) + 20));
    for (const end of ends) end();
    await Promise.all([...payers.map((payer) => payer.end()), ...askers.map((asker) => asker.end())]);
    for (const pid of await Promise.all(slow)) assert.type(pid, "number");
    // Nobody of the wrappers' sees it; of stock clients what was on its way to one that moved may be lost.
    const failures = askers.map((asker) => asker.failures);
    assert.ok((failures[0]?.length ?? 0) <= 1, String(failures));
    assert.equal(failures.slice(1).flat(), []);
    assert.equal(planned, [true, true]);
    const answered = askers.reduce((sum, asker) => sum + asker.answered, 0);
    const total = ((await stock.request("add", 0)) as number) ?? 0;
    assert.ok(total >= answered && total <= answered + (failures[0]?.length ?? 0), `${total} of ${answered}`);
    await until("all have heard it", () => games.every(({ numbers }) => numbers.at(-1) === total));
    for (const game of games.slice(1))
      assert.equal(
        { ...game, numbers: oneAfterTheOther([...new Set(game.numbers)]) },
        { errors: 0, drops: 0, left: 0, numbers: true },
      );
    // By order, though not each: only the newest counts. The last one is never lost.
    await until(
      "its last aim is there",
      async () => ((await mover.request("aims")) as number[]).at(-1) === aimed,
    );
    assert.ok(isAscending((await mover.request("aims")) as number[]));
    for (const [k, seen] of emotes.entries())
      for (const [who, numbers] of seen)
        assert.equal(
          numbers,
          [...new Set(numbers)].sort((a, b) => a - b),
          `client ${k} of ${who}: once, in order`,
        );
    await paidOnce(stock as never, payers);
    // Its seat was kept by a node that is gone.
    const kept = opened(await new Client(cluster.url("n2")).reconnect(away.reconnectionToken));
    assert.is(await kept.request("add", 0), total);
    await back("n1");
    await noDifference();
    await Promise.all([...all, kept].map((room) => room.leave()));
  },
);

const padding = "p".repeat(16 * 1024);

together(
  "[Y159, C59] a pinned room that listens and waits for effects goes on while one node is killed and another one drained",
  async () => {
    const at = (id: string) => [cluster.url(id), ...cluster.urls.filter((url) => url !== cluster.url(id))];
    const one = opened(await new WrapperClient(at("n1")).create("restless")) as unknown as Hall;
    const { roomId } = one;
    const join = async (id: string) =>
      opened(await new WrapperClient(at(id)).joinById(roomId)) as unknown as Hall;
    const [two, three] = [await join("n2"), await join("n3")];
    const all = [one, two, three];
    const games = all.map((room) => heard(room as never, "news"));
    for (const room of all) room.onMessage("added", () => {});
    await one.request("fidget");
    for (let bytes = 0; bytes <= roomLogBytes; bytes += padding.length) await one.request("pad", padding);
    const isPinned = async (id: string) => (await cluster.room(id, roomId))?.pinned === true;
    await cluster.until("every node has pinned it", async () =>
      (await Promise.all(cluster.ids.map(isPinned))).every(Boolean),
    );
    const askers = all.map((room) => new Asker(room as never, "add"));
    let published = 0;
    let goesOn = true;
    const publishing = (async () => {
      for (; goesOn; await sleep(20)) {
        const answer = await fetch(`${cluster.url("n2")}/test/publish/news/${published + 1}`);
        assert.ok(answer.ok, await answer.text());
        published++;
      }
    })();
    const more = async () => {
      const since = [published, ...askers.map(({ answered }) => answered)];
      await until("all goes on", () =>
        [published, ...askers.map(({ answered }) => answered)].every((n, k) => n > (since[k] ?? 0) + 15),
      );
    };
    await more();
    const slow = all.map((room) => room.request("slow", 1_500, { timeout: 60_000 } as never));
    await until(
      "its leader has begun",
      () => cluster.linesLike(new RegExp(`hall effect ${roomId}`)).length >= 3,
    );
    await cluster.kill("n3");
    await more();
    await back("n3");
    await cluster.until(
      "n3 has it not",
      async () => (await cluster.room("n3", roomId))?.standing?.type === "absent",
    );
    await more();
    // Only n2 has it then.
    await drained("n1");
    await more();
    for (const pid of await Promise.all(slow)) assert.type(pid, "number");
    await back("n1");
    await more();
    // As an operator would go on: with n2 the room would end.
    const refused = await testudo("drain", "n2", ...toNode(cluster, "n1"));
    assert.is(refused.code, 1, refused.out);
    assert.match(refused.err, new RegExp(`ROOMS_LOST: no other node has room ${roomId} \\(restless\\)`));
    await more();
    goesOn = false;
    await publishing;
    const answered = await Promise.all(askers.map((asker) => asker.end()));
    assert.equal(
      askers.flatMap(({ failures }) => failures),
      [],
    );
    assert.is(
      await one.request("add", 0),
      answered.reduce((sum, n) => sum + n, 0),
    );
    const each = Array.from({ length: published }, (_, k) => k + 1);
    await until("all have heard it", () => games.every(({ numbers }) => numbers.at(-1) === published));
    assert.equal(await two.request("heard"), each, "each once, and in order");
    for (const { numbers, errors, left } of games) assert.equal([numbers, errors, left], [each, 0, 0]);
    await two.request("calm");
    await cluster.until("all have it again, and nobody needs to keep it", async () => {
      const has = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
      return has.every((room) => room?.standing === null && !room.pinned);
    });
    await noDifference();
    await Promise.all(all.map((room) => room.leave()));
  },
);

test.run();
