// test-run: seconds=400
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, sleep, unhurried } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

const test = suite("poison");

interface View {
  readonly count: number;
  readonly ticks: number;
  readonly stains: number;
  readonly players: readonly string[];
}

type Answer =
  | { readonly value: unknown }
  | { readonly error: { readonly name: string; readonly code?: string; readonly message: string } };

type Player = Room<unknown, { readonly ticks: number; readonly count: number }>;

let cluster: Cluster;

const shown = shareCluster(test, { main: "test/e2e/rooms-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});

interface World {
  readonly roomId: string;
  /** One on each node; the first one is the poisoner. */
  readonly players: readonly Player[];
  act(id: string, act: string): Promise<Answer>;
}

async function join(url: string, roomId: string, options: object = {}): Promise<Player> {
  const room = (await new Client(url).joinById(roomId, options)) as Player;
  room.reconnection.enabled = false;
  room.onMessage("*", () => {});
  return room;
}

async function act(id: string, name: string, roomId: string): Promise<Answer> {
  return (await (await fetch(`${cluster.url(id)}/test/${name}/${roomId}`)).json()) as Answer;
}

/** A room of its own with a player on each node; afterwards everything is as it should be, whatever was done. */
function poison(name: string, run: (world: World) => Promise<void>): void {
  shown(name, async () => {
    // A node that an earlier test has brought down is not this one's.
    assert.equal(
      cluster.ids.filter((id) => cluster.process(id).isOver),
      [],
      "all nodes live",
    );
    const pids = cluster.ids.map((id) => cluster.process(id).pid);
    const [first = "", ...others] = cluster.urls;
    const creator = (await new Client(first).create("poison")) as Player;
    creator.reconnection.enabled = false;
    const { roomId } = creator;
    const players = [creator];
    for (const url of others) players.push(await join(url, roomId));
    // A join is answered where it was asked for, and a moment later in the other replicas.
    await cluster.until("everybody has joined everywhere", async () =>
      (await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)))).every(
        (room) => room?.seats === players.length,
      ),
    );
    await run({ roomId, players, act: (id, which) => act(id, which, roomId) });
    await checkAlive(roomId);
    await replicasAgree(roomId);
    for (const player of players) if (player.connection.isOpen) await player.leave();
    assert.equal(
      cluster.ids.map((id) => [cluster.process(id).pid, cluster.process(id).isOver]),
      pids.map((pid) => [pid, false]),
    );
  });
}

/** Somebody new on each node is served: the room counts, and it ticks. */
async function checkAlive(roomId: string): Promise<void> {
  for (const url of cluster.urls) {
    const player = await join(url, roomId);
    const before = (await player.request("add", { by: 1 })) as { count: number; own: number };
    const after = (await player.request("add", { by: 2 })) as { count: number; own: number };
    assert.is(after.count, before.count + 2);
    assert.is(after.own, 3);
    const { ticks } = await stateOf(player);
    await cluster.until("the room ticks", () => player.state.ticks > ticks);
    await player.leave();
  }
}

async function stateOf(player: Player): Promise<Player["state"]> {
  if (player.state?.ticks === undefined)
    await new Promise<void>((resolve) => player.onStateChange.once(() => resolve()));
  return player.state;
}

/** The same graph hash on all nodes, taken after all that has happened so far. */
async function replicasAgree(roomId: string): Promise<void> {
  const rooms = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
  const from = Math.max(...rooms.map((room) => room?.appliedIndex ?? 0));
  await cluster.until("hashes of all nodes at one index", async () => {
    const now = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
    const points = new Set(now.map((room) => room?.hashIndex));
    const [index] = points;
    if (points.size !== 1 || typeof index !== "number" || index < from) return false;
    assert.is(
      new Set(now.map((room) => room?.stateHash)).size,
      1,
      `at ${index}: ${now.map((room) => room?.stateHash).join(", ")}`,
    );
    return true;
  });
}

/** What the request is rejected with. */
async function rejected(request: Promise<unknown>): Promise<Error & { code?: unknown }> {
  try {
    await request;
  } catch (error) {
    return error as Error;
  }
  throw new Error("the request was answered");
}

async function views(world: World): Promise<View[]> {
  return await Promise.all(
    cluster.ids.map(async (id) => {
      const answer = await world.act(id, "look");
      if ("error" in answer) throw new Error(answer.error.message);
      return answer.value as View;
    }),
  );
}

async function stainsAre(world: World, stains: number): Promise<void> {
  await cluster.until(`${stains} stains on every node`, async () =>
    (await views(world)).every((view) => view.stains === stains),
  );
}

for (const [type, expected] of [
  ["throws", { name: "TypeError", message: /^poisoned$/ }],
  ["rejects", { name: "RangeError", message: /^late poison$/ }],
  ["throwsString", { name: "Error", message: /only words/ }],
  ["throwsNothing", { name: "Error", message: /undefined/ }],
  ["recurses", { name: "RangeError", message: /call stack/ }],
  ["wrongChild", { name: "Error", message: /Counter/ }],
] as const) {
  poison(
    `[E4] a handler that fails (${type}): the requester is told, the others go on`,
    async ({ players: [poisoner, other] }) => {
      assert.ok(poisoner && other);
      for (let time = 0; time < 3; time++) {
        const [error, answer] = await Promise.all([
          rejected(poisoner.request(type)),
          other.request("add", { by: 1 }),
        ]);
        assert.is(error.name, expected.name);
        assert.match(error.message, expected.message);
        assert.equal(answer, { count: time + 1, own: time + 1 });
        // As a message there is nobody to tell, and nothing else either.
        poisoner.send(type);
      }
      assert.equal(await poisoner.request("add", { by: 1 }), { count: 4, own: 1 });
    },
  );
}

for (const type of ["throwsBareObject", "throwsTrap", "circular", "answersFunction", "neverAnswers"]) {
  poison(
    `[E4] a handler whose failure or answer cannot be told (${type}) hurts nobody else`,
    async ({ players: [poisoner, other] }) => {
      assert.ok(poisoner && other);
      poisoner.send(type);
      const outcome = poisoner.request(type, undefined, { timeout: 1_000 }).then(
        () => {},
        () => {},
      );
      assert.equal(await other.request("add", { by: 1 }), { count: 1, own: 1 });
      await outcome;
      assert.equal(await poisoner.request("add", { by: 1 }), { count: 2, own: 1 });
    },
  );
}

poison("[E5] what a handler had changed before it failed stays, everywhere", async (world) => {
  const [poisoner] = world.players;
  assert.ok(poisoner);
  assert.match((await rejected(poisoner.request("throwsAfterChange"))).message, /after a change/);
  assert.match((await rejected(poisoner.request("rejectsAfterChange"))).message, /after two changes/);
  await stainsAre(world, 21);
});

poison("[E4] a rejection that nobody waits for is a line in the log, at once and later", async (world) => {
  const [poisoner] = world.players;
  assert.ok(poisoner);
  for (const [type, words] of [
    ["forgets", "nobody waits for this"],
    ["forgetsLater", "nobody waits for this, later"],
    ["forgetsTick", "nobody waits for this tick"],
    ["forgetsMicrotask", "nobody waits for this microtask"],
  ] as const) {
    assert.is(await poisoner.request(type), "sent");
    for (const id of cluster.ids) {
      await cluster.until(
        `${id} tells of "${words}"`,
        async () => (await cluster.room(id, world.roomId))?.lastError?.endsWith(words) ?? false,
      );
    }
  }
});

poison("[E4] a timestep that throws in every tick, until it is mended", async ({ players, roomId }) => {
  const [poisoner, other] = players;
  assert.ok(poisoner && other);
  await poisoner.request("breakTick");
  for (const id of cluster.ids) {
    await cluster.until(
      `${id} tells of it`,
      async () => (await cluster.room(id, roomId))?.lastError?.startsWith("timestep: ") ?? false,
    );
  }
  assert.equal(await other.request("add", { by: 1 }), { count: 1, own: 1 });
  await replicasAgree(roomId);
  await poisoner.request("mendTick");
});

poison("[E4] a state that cannot be encoded, until it is mended", async ({ players, roomId }) => {
  const [poisoner, other] = players;
  assert.ok(poisoner && other);
  await poisoner.request("wrongType").catch(() => {});
  await sleep(100);
  await other.request("add", { by: 1 });
  await replicasAgree(roomId);
  await poisoner.request("rightType");
});

poison("[E4] a timer that throws or rejects", async (world) => {
  const [poisoner] = world.players;
  assert.ok(poisoner);
  for (const [type, words] of [
    ["timerThrows", "exploded"],
    ["timerRejects", "exploded later"],
  ] as const) {
    await poisoner.request(type);
    for (const id of cluster.ids) {
      await cluster.until(
        `${id} tells of it`,
        async () => (await cluster.room(id, world.roomId))?.lastError?.endsWith(`: ${words}`) ?? false,
      );
    }
  }
});

for (const [type, remedy] of [
  ["realTimer", /this\.clock\.setTimeout\(\)/],
  ["realInterval", /this\.clock\.setInterval\(\)/],
  ["fetches", /room\.propose\(\)/],
] as const) {
  poison(`[E6] what no log can repeat (${type}) is an error that names the remedy`, async (world) => {
    const [poisoner] = world.players;
    assert.ok(poisoner);
    assert.match((await rejected(poisoner.request(type))).message, remedy);
    await stainsAre(world, 0);
  });
}

poison("[E6] a closure in the room's clock: not at rest until it has fired, then at rest", async (world) => {
  const [poisoner] = world.players;
  assert.ok(poisoner);
  const rests = async () =>
    await Promise.all(cluster.ids.map(async (id) => await cluster.room(id, world.roomId)));
  await cluster.until("at rest", async () => (await rests()).every((room) => room?.atRest));
  await poisoner.request("timerClosure");
  await cluster.until("not at rest, and why", async () =>
    (await rests()).every(
      (room) => room?.atRest === false && /poison-room\.ts:\d+/.test(room.restlessBecause ?? ""),
    ),
  );
  await stainsAre(world, 100);
  await cluster.until("at rest again", async () =>
    (await rests()).every((room) => room?.atRest && room.restlessBecause === null),
  );
});

const outsideActs = [
  ...[
    "setField",
    "setChild",
    "clearMap",
    "broadcast",
    "lock",
    "disconnect",
    "leave",
    "send",
    "timer",
    "interval",
  ],
  ...["handler", "timestep", "setMetadata", "reconnection"],
];

poison("[E7] a change from outside is refused, and changes nothing anywhere", async (world) => {
  const before = await views(world);
  for (const id of cluster.ids) {
    for (const name of [...outsideActs]) {
      const answer = await world.act(id, name);
      assert.ok("error" in answer, `${name} on ${id} was let through: ${JSON.stringify(answer)}`);
      assert.is(answer.error.code, "MUTATION_OUTSIDE_LOG", `${name} on ${id}: ${answer.error.message}`);
      assert.match(answer.error.message, /room\.propose/, name);
    }
  }
  const after = await views(world);
  assert.equal(
    after.map(({ ticks, ...rest }) => rest),
    before.map(({ ticks, ...rest }) => rest),
  );
});

poison(
  "[E7] a change from outside that is proposed happens everywhere, once; its failure comes back",
  async (world) => {
    for (const [at, id] of cluster.ids.entries()) {
      assert.equal(await world.act(id, "propose"), { value: 5 * (at + 1) });
      for (const [name, message] of [
        ["proposeThrow", /^exploded$/],
        ["proposeReject", /^exploded later$/],
        ["proposeNothing", /no such method/],
      ] as const) {
        const answer = await world.act(id, name);
        assert.ok("error" in answer, name);
        assert.match(answer.error.message, message);
      }
    }
    await stainsAre(world, 5 * cluster.ids.length);
  },
);

for (const curse of ["onJoin", "onDrop", "onLeave", "onReconnect"] as const) {
  poison(
    `[E4] ${curse} throws for one player; the seat is free again and the others never notice`,
    async (world) => {
      const { roomId } = world;
      const [, other] = world.players;
      assert.ok(other);
      const url = cluster.urls[1] ?? "";
      if (curse === "onJoin") {
        const error = await rejected(join(url, roomId, { curse }));
        assert.match(error.message, /cursed in onJoin/);
      } else {
        const victim = await join(url, roomId, { curse });
        const left = new Promise((resolve) => victim.onLeave(resolve));
        if (curse === "onLeave") await victim.leave();
        else victim.connection.close();
        await left;
        if (curse === "onReconnect") {
          const back = await new Client(url)
            .reconnect(victim.reconnectionToken)
            .catch((error: Error) => error);
          if (!(back instanceof Error)) await (back as Player).leave();
        }
      }
      assert.equal(await other.request("add", { by: 1 }), { count: 1, own: 1 });
      const expected = curse === "onDrop" || curse === "onLeave" || curse === "onJoin";
      if (expected)
        await cluster.until(
          "three seats",
          async () => (await cluster.room(cluster.ids[0] ?? "", roomId))?.seats === 3,
        );
    },
  );
}

poison(
  "[E4] a room that throws away its own state: it may be lost, its neighbours and the nodes are not",
  async (world) => {
    const [poisoner] = world.players;
    assert.ok(poisoner);
    const neighbour = (await new Client(cluster.urls[2] ?? "").create("poison")) as Player;
    await poisoner.request("loseState", undefined, { timeout: 1_000 }).catch(() => {});
    await sleep(300);
    assert.equal(await neighbour.request("add", { by: 1 }), { count: 1, own: 1 });
    await checkAlive(neighbour.roomId);
    await replicasAgree(neighbour.roomId);
    await neighbour.leave();
  },
);

test.run();
