// test-run: seconds=400 waits
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client as WrapperClient } from "../../client/testudo-client.ts";
import { type Cluster, unhurried, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** What ordinary rooms use, on three real nodes, with stock clients on different ones and a kill between. */
const test = suite("room features");

let cluster: Cluster;

const feature = shareCluster(test, { main: "test/e2e/feature-rooms-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});

function clientOf(id: string, token = ""): Client {
  const client = new Client(cluster.url(id));
  client.auth.token = token;
  return client;
}

/** The player goes on by its token, on another node. The stock SDK would go back to the same address by itself. */
async function goOn<T>(room: Room<unknown, T>, id: string, token = ""): Promise<Room<unknown, T>> {
  return (await clientOf(id, token).reconnect(room.reconnectionToken)) as Room<unknown, T>;
}

function alone<T>(room: Room<unknown, T>): Room<unknown, T> {
  room.reconnection.enabled = false;
  return room;
}

async function killed(id: string, run: () => Promise<void>): Promise<void> {
  await cluster.kill(id);
  await run();
  cluster.launch(id);
  await cluster.ready();
}

interface Steps {
  readonly next: number;
  readonly gaps: number;
}

feature(
  "[Y27] fixed steps go on through the death of a node, none left out and none done twice",
  async () => {
    const one = alone((await clientOf("n1").create("steps")) as Room<unknown, Steps>);
    const other = alone((await clientOf("n2").joinById(one.roomId)) as Room<unknown, Steps>);
    await until("some steps were seen", () => one.state.next > 10 && other.state.next > 10);
    await killed("n1", async () => {
      const before = other.state.next;
      const back = alone(await goOn(one, "n3"));
      await until("the steps go on", () => back.state.next > before + 20 && other.state.next > before + 20);
      assert.equal([back.state.gaps, other.state.gaps], [0, 0]);
      await back.leave();
    });
    // The node that died has the room by its log, or by a checkpoint: it must step with the others.
    const late = alone((await clientOf("n1").joinById(other.roomId)) as Room<unknown, Steps>);
    const since = late.state.next ?? 0;
    await until("its steps go on", () => late.state.next > since + 20);
    assert.is(late.state.gaps, 0);
    await Promise.all([late.leave(), other.leave()]);
  },
);

feature("[Y28] a room's own onAuth opens on any node, and what it said outlives that node", async () => {
  const one = alone(await clientOf("n1", "opens").create("door", { name: "Livia" }));
  const other = alone(await clientOf("n2", "opens").joinById(one.roomId, { name: "Drusus" }));
  const who = (await one.request("who")) as [{ name: string; key: number }, { at: number }];
  assert.is(who[0].name, "Livia");
  assert.equal(who[1], { at: cluster.process("n1").pid });
  const [auth] = (await other.request("who")) as [{ name: string }];
  assert.is(auth.name, "Drusus");
  try {
    await clientOf("n3", "a hairpin").joinById(one.roomId, { name: "Nemo" });
    assert.unreachable();
  } catch (error) {
    assert.equal(
      [(error as { code: number }).code, (error as Error).message],
      [4_303, "Nemo has the wrong key"],
    );
  }
  await killed("n1", async () => {
    const back = alone(await goOn(one, "n3"));
    assert.equal(await back.request("who"), who);
    await back.leave();
  });
  await other.leave();
});

feature(
  "[Y29] what a plugin keeps outlives the node, and is the same on the one that comes back",
  async () => {
    const one = alone(await clientOf("n1").create("chat"));
    const other = alone(await clientOf("n2").joinById(one.roomId));
    const heard: unknown[] = [];
    other.onMessage("chat", (line: string) => heard.push(line));
    const said = (await one.request("chat", "salve")) as string[];
    assert.is(said.length, 3);
    await until("the other one hears it", () => heard.length === 1);
    assert.equal(heard, said.slice(2));
    await killed("n1", async () => {
      const back = alone(await goOn(one, "n3"));
      back.onMessage("chat", () => {});
      const since = (await back.request("chat", "vale")) as string[];
      assert.equal(since.slice(0, 3), said);
      assert.is(since.length, 4, "whoever goes on has not joined again");
      await back.leave();
    });
    const late = alone(await clientOf("n1").joinById(other.roomId));
    late.onMessage("chat", () => {});
    const all = (await late.request("chat", "iterum")) as string[];
    assert.equal(
      all.map((line) => line.split(" ").slice(0, 2).join(" ")),
      [
        ...[
          `${one.sessionId} joins`,
          `${other.sessionId} joins`,
          `${one.sessionId}: salve`,
          `${one.sessionId}: vale`,
        ],
        ...[`${one.sessionId} leaves`, `${late.sessionId} joins`, `${late.sessionId}: iterum`],
      ],
    );
    await until("the other node says the same", () => heard.length === 3);
    assert.is(heard.at(-1), all.at(-1));
    await Promise.all([late.leave(), other.leave()]);
  },
);

function numbersOf(room: Pick<Room, "onMessage">, heard: number[] = []): number[] {
  room.onMessage("n", (n: number) => heard.push(n));
  return heard;
}

/** Those that a client ought to have heard since its first one, and has not. */
function missing(heard: readonly number[]): number[] {
  const all = new Set(heard);
  const [first = 0, last = 0] = [heard[0], heard.at(-1)];
  return Array.from({ length: last - first + 1 }, (_, at) => first + at).filter((n) => !all.has(n));
}

feature(
  "[Y54] what a room says while a node is killed reaches its clients: the wrapper's each once",
  async () => {
    const urls = ["n1", "n2", "n3"].map((id) => cluster.url(id));
    const lead = alone(await clientOf("n2").create("counter"));
    numbersOf(lead);
    const lost: number[] = [];
    for (const id of ["n1", "n2", "n3"]) {
      const others = ["n1", "n2", "n3"].filter((each) => each !== id);
      const wrapper = await new WrapperClient([cluster.url(id), ...urls]).joinById(lead.roomId);
      const stock = alone(await clientOf(id).joinById(lead.roomId));
      const [byWrapper, byStock] = [numbersOf(wrapper), numbersOf(stock)];
      let messagesLost = 0;
      wrapper.onFailover((failover) => {
        messagesLost += failover.messagesLost;
      });
      await until("they hear something", () => byWrapper.length > 50 && byStock.length > 50);
      await killed(id, async () => {
        const back = alone(await goOn(stock, others[1] as string));
        numbersOf(back, byStock);
        const since = Math.max(byWrapper.at(-1) ?? 0, byStock.at(-1) ?? 0);
        const goneOn = (heard: number[]) => (heard.at(-1) ?? 0) > since + 100;
        await until("they hear more", () => goneOn(byWrapper) && goneOn(byStock));
        assert.equal([missing(byWrapper), messagesLost], [[], 0]);
        assert.equal(
          byWrapper,
          [...new Set(byWrapper)].sort((a, b) => a - b),
          "once, and in order",
        );
        assert.equal(
          byStock,
          [...new Set(byStock)].sort((a, b) => a - b),
          "never twice",
        );
        lost.push(missing(byStock).length);
        await Promise.all([back.leave(), wrapper.leave()]);
      });
    }
    process.stderr.write(
      `of 20 ms numbers a stock client lost ${lost.join(", ")} when n1, n2, n3 was killed\n`,
    );
  },
);

interface Cards {
  readonly turn: string;
  readonly players: ReadonlyMap<string, { readonly count: number; readonly hand?: Iterable<Card> }>;
  readonly pile: readonly Card[];
}
interface Card {
  readonly face: string;
}

/** The faces in each hand that this client sees, by player. */
function handsOf({ state }: Room<unknown, Cards>): Record<string, string[]> {
  const hands = [...(state.players ?? [])].map(([id, { hand }]) => [
    id,
    [...(hand ?? [])].map(({ face }) => face),
  ]);
  return Object.fromEntries(hands.filter(([, hand]) => hand?.length !== 0)) as Record<string, string[]>;
}

async function seesOwn(room: Room<unknown, Cards>, ...numbers: number[]): Promise<void> {
  const own = { [room.sessionId]: numbers.map((n) => `${n} of ${room.sessionId}`) };
  await until(
    `${room.sessionId} sees its own hand, and no other: ${JSON.stringify(own)}`,
    () => JSON.stringify(handsOf(room)) === JSON.stringify(own),
  );
}

feature(
  "[Y34, Y38] everybody sees their own hand of cards and no other's, on any node and past its death",
  async () => {
    const one = alone((await clientOf("n1").create("cards")) as Room<unknown, Cards>);
    const two = alone((await clientOf("n2").joinById(one.roomId)) as Room<unknown, Cards>);
    const three = alone((await clientOf("n3").joinById(one.roomId)) as Room<unknown, Cards>);
    await seesOwn(one, 1, 2, 3);
    await seesOwn(two, 4, 5, 6);
    await seesOwn(three, 7, 8, 9);
    assert.is(await one.request("play", 1), `2 of ${one.sessionId}`);
    assert.is(await one.request("play", 0), "not your turn");
    await seesOwn(one, 1, 3, 10);
    await until("everybody sees the pile", () =>
      [one, two, three].every(({ state }) => state.pile.length === 1),
    );
    await killed("n1", async () => {
      const back = alone(await goOn(one, "n3"));
      await seesOwn(back, 1, 3, 10);
      assert.is(await two.request("play", 2), `6 of ${two.sessionId}`);
      assert.is(await three.request("play", 0), `7 of ${three.sessionId}`);
      assert.is(await back.request("play", 0), `1 of ${back.sessionId}`);
      await seesOwn(back, 3, 10, 13);
      await seesOwn(two, 4, 5, 11);
      await seesOwn(three, 8, 9, 12);
      await back.leave();
    });
    // The node that died has the room by its log, or by a checkpoint: its views must see what the others see.
    await two.leave(false);
    const moved = alone(await goOn(two, "n1"));
    await seesOwn(moved, 4, 5, 11);
    assert.is(await moved.request("play", 1), `5 of ${moved.sessionId}`);
    await seesOwn(moved, 4, 11, 14);
    await seesOwn(three, 8, 9, 12);
    assert.is(await three.request("play", 2), `12 of ${three.sessionId}`);
    await until("the pile is the same", () => moved.state.pile.length === 6 && three.state.pile.length === 6);
    await Promise.all([moved.leave(), three.leave()]);
  },
);

feature("[Y36, Y109] views cost nothing on the nodes where none of their clients is", async () => {
  const encoded = async (id: string) =>
    (await (await fetch(`${cluster.url(id)}/test/encoded`)).json()) as number;
  const one = alone((await clientOf("n1").create("cards")) as Room<unknown, Cards>);
  const two = alone((await clientOf("n1").joinById(one.roomId)) as Room<unknown, Cards>);
  await seesOwn(two, 4, 5, 6);
  const before = await Promise.all(cluster.ids.map(encoded));
  assert.is(await one.request("play", 0), `1 of ${one.sessionId}`);
  await seesOwn(one, 2, 3, 7);
  const since = await Promise.all(cluster.ids.map(encoded));
  assert.ok((since[0] ?? 0) >= (before[0] ?? 0) + 2, `n1 encoded ${since[0]} views, ${before[0]} before`);
  assert.equal(since.slice(1), before.slice(1));
  await killed("n1", async () => {
    const players = [alone(await goOn(one, "n3")), alone(await goOn(two, "n3"))] as const;
    await seesOwn(players[0], 2, 3, 7);
    assert.is(await players[1].request("play", 0), `4 of ${two.sessionId}`);
    await seesOwn(players[1], 5, 6, 8);
    const [, n2, n3] = since;
    assert.is(await encoded("n2"), n2);
    assert.ok((await encoded("n3")) >= (n3 ?? 0) + 4, "two full states, and a patch for each");
    await Promise.all(players.map((player) => player.leave()));
  });
});

const urlsFrom = (id: string) => [cluster.url(id), ...cluster.urls.filter((url) => url !== cluster.url(id))];

/** Attempts at effects that a process has begun, as `KEY for NAME`. */
const attempts = ({ lines }: { readonly lines: readonly string[] }): string[] =>
  lines.flatMap((line) => /^effect (.* for .*)$/.exec(line)?.[1] ?? []);

feature(
  "[Y48] the leader dies while a room waits for an effect: the next one runs it, and each player has one answer",
  async () => {
    const one = alone(await clientOf("n1").create("profile", { name: "Livia" }));
    const names = ["Drusus", "Nero"];
    // Whoever leads: it may have been given the lead since it was asked last, and a player may be on it.
    const players = await Promise.all(
      names.map((name, at) =>
        new WrapperClient(urlsFrom(at === 0 ? "n2" : "n3")).joinById(one.roomId, { name }),
      ),
    );
    await one.leave();
    const told: unknown[][] = players.map(() => []);
    players.forEach((player, at) => {
      player.onMessage("told", (profile: unknown) => told[at]?.push(profile));
    });
    const answers = players.map((player) => player.request("rich", 4_000, { timeout: 60_000 } as never));
    const rich = [4, 5].map((number) => `${one.roomId}:${number}`);
    const runs = (id: string) =>
      rich.every((key) => attempts(cluster.process(id)).some((attempt) => attempt.startsWith(`${key} `)));
    const leader = await until("one has begun both", () => cluster.ids.find(runs) ?? null);
    const dead = cluster.process(leader);
    // Of one that moves the handler has the client from before, which is gone.
    const stay = [0, 1].filter((at) => players[at]?.endpoint?.url !== cluster.url(leader));
    await killed(leader, async () => {
      const profiles = (await Promise.all(answers)) as { name: string; at: number }[];
      assert.equal(
        profiles.map(({ name }) => name),
        names,
      );
      for (const { at } of profiles) assert.is.not(at, dead.pid, "the dead one had not finished");
      await until("they are told", () => stay.every((at) => told[at]?.length !== 0));
      assert.equal(
        stay.map((at) => told[at]),
        stay.map((at) => [profiles[at]]),
      );
    });
    const replayed = cluster.process(leader);
    assert.equal(attempts(replayed), [], "none on replay");
    const late = alone(await clientOf(leader).joinById(one.roomId, { name: "late" }));
    const known = (await late.request("known")) as unknown[];
    assert.is(known.length, 6);
    for (const player of players) assert.equal(await player.request("known"), known);
    // The number of each is the same at every attempt, and no other's.
    const all = cluster.linesLike(/effect .* for /).map((line) => /effect (\S+) for (.*)/.exec(line) ?? []);
    const byKey = new Map(all.map(([, key, name]) => [key, name]));
    const asked = [1, 2, 3, 4, 5, 6].map((number) => `${one.roomId}:${number}`);
    assert.equal([...byKey.keys()].sort(), asked);
    for (const [, key, name] of all) assert.is(byKey.get(key), name, key);
    for (const id of cluster.ids) assert.is((await cluster.status(id))?.divergences.count, 0);
    await Promise.all([late, ...players].map((player) => player.leave()));
  },
);

type Emote = [from: string, what: string, cheers: number, chance: number];

feature(
  "[Y120, Y121, Y125, W24] emotes reach the clients of every node once, by no log, and go on when one falls",
  async () => {
    const emotes = new Map<string, Emote[]>();
    const cheers = new Map<string, number[]>();
    const listen = (name: string, room: Pick<Room, "onMessage">) => {
      const [seen, counted] = [emotes.get(name) ?? [], cheers.get(name) ?? []];
      emotes.set(name, seen);
      cheers.set(name, counted);
      room.onMessage("emote", (emote: Emote) => seen.push(emote));
      room.onMessage("slip", () => {});
      room.onMessage("cheer", (n: number) => counted.push(n));
    };
    const one = alone(await clientOf("n1").create("stage"));
    const two = alone(await clientOf("n2").joinById(one.roomId));
    const wrapper = await new WrapperClient([cluster.url("n1"), cluster.url("n3")], {
      eventual: { stage: ["emote", "slip"] },
    }).joinById(one.roomId);
    let messagesLost = 0;
    wrapper.onFailover((failover) => {
      messagesLost += failover.messagesLost;
    });
    const three = alone(await clientOf("n3").joinById(one.roomId));
    for (const [name, room] of Object.entries({ one, two, wrapper, three })) listen(name, room);
    const whats = (name: string) => (emotes.get(name) ?? []).map(([, what]) => what);
    const all = (names: string[], expected: string[]) =>
      until(`all see ${expected.at(-1)}`, () =>
        names.every((name) => JSON.stringify(whats(name)) === JSON.stringify(expected)),
      );
    await two.request("cheer");
    const expected: string[] = [];
    for (const [name, room] of Object.entries({ one, two, wrapper, three })) {
      expected.push(name);
      room.send("emote", name);
      await all(["one", "two", "wrapper", "three"], expected);
    }
    assert.equal(emotes.get("three"), emotes.get("one"), "its chance, too, is the same");
    assert.is(new Set((emotes.get("one") ?? []).map(([, , , chance]) => chance)).size, 4);
    try {
      await two.request("emote", "what?");
      assert.unreachable();
    } catch (error) {
      assert.match(JSON.stringify({ ...(error as object), message: String(error) }), /it has no answer/);
    }
    two.send("slip");
    assert.is(await two.request("cheer"), 0);
    await killed("n1", async () => {
      await until("the wrapper goes on", () => wrapper.endpoint?.url === cluster.url("n3"));
      const back = alone(await goOn(one, "n3"));
      listen("one", back);
      await until("the room goes on", async () => (await two.request("cheer")) === 0);
      await until("the wrapper hears it", () => cheers.get("wrapper")?.at(-1) === 3);
      for (const [name, room] of Object.entries({ back, two, wrapper, three })) {
        expected.push(`${name} again`);
        room.send("emote", `${name} again`);
        await all(["one", "two", "wrapper", "three"], expected);
      }
      assert.equal(
        [cheers.get("wrapper"), messagesLost],
        [[1, 2, 3], 0],
        "what has a number is counted alone",
      );
      await back.leave();
    });
    const late = alone(await clientOf("n1").joinById(two.roomId));
    listen("late", late);
    // Who is still joining is told nothing that is not kept: both nodes know by then that it has.
    for (const room of [late, two]) assert.is(await room.request("cheer"), 0);
    two.send("emote", "ave");
    await until("the node that is back shows it", () => whats("late").includes("ave"));
    for (const id of cluster.ids) assert.is((await cluster.status(id))?.divergences.count, 0);
    const { run, dropped } = (await cluster.status("n2"))?.eventuals ?? {};
    assert.ok((run ?? 0) >= 9);
    assert.is(dropped, 0);
    await Promise.all([late, two, three].map((player) => player.leave()));
    await wrapper.leave();
  },
);

feature("[Y48] an effect past its limits is refused by name, and the room goes on", async () => {
  const one = alone(await clientOf("n1").create("profile", { name: "Livia" }));
  try {
    await one.request("much", 60_000);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /what effect "much" resolves with has \d+ bytes, at most 49152/);
  }
  assert.is(await one.request("much", 40_000), 40_000);
  await one.leave();
});

feature("[Y48] remoteRoomCall on any node runs the method on all of them", async () => {
  const one = alone(await clientOf("n1").create("till", { gold: 1 }));
  const others = [];
  for (const [at, id] of ["n2", "n3", "n1"].entries())
    others.push(alone(await clientOf(id).joinById(one.roomId, { gold: at + 2 })));
  const paid = (await one.request("paid")) as [number, number][];
  assert.equal(
    paid.map(([gold]) => gold),
    [1, 2, 3, 4],
  );
  for (const player of others) assert.equal(await player.request("paid"), paid);
  await Promise.all([one, ...others].map((player) => player.leave()));
});

test.run();
