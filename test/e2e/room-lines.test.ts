// test-run: seconds=300
import { Client, CloseCode, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, sleep, unhurried, until } from "./cluster.ts";
import { alone, killBetween, type Player, refused } from "./kill-between.ts";

/** What games do in their rooms, a room for each. */
const test = suite("what games do in their rooms");

const long = { timeout: 60_000 };

let cluster: Cluster;
const { line, shown, roomNames, playersOf } = killBetween(
  test,
  { main: "test/e2e/room-lines-main.ts", args: unhurried },
  (shared) => {
    cluster = shared;
  },
);

line("[Y78] clock timers, loops over clients, broadcasts, auth and userData", "ordinary", async (players) => {
  const heard: [string, number][] = [];
  const all: number[] = [];
  players.other.onMessage("to you", (message: [string, number]) => heard.push(message));
  players.other.onMessage("to all", (n: number) => all.push(n));
  const who = await players.one.request("who");
  assert.equal(who, [{ rank: 3 }, { name: "one", at: 1 }]);
  return async () => {
    const before = all.length;
    await until("the timer goes on", () => all.length > before + 10);
    const { sessionId } = players.other;
    assert.equal(
      all,
      all.map((_, at) => (all[0] as number) + at),
      "every one, and once",
    );
    assert.equal(
      heard.slice(0, all.length),
      all.slice(0, heard.length).map((n) => [sessionId, n]),
    );
    assert.equal(await players.one.request("who"), who);
  };
});

line(
  "[Y78] awaiting what is deterministic; the room is not at rest meanwhile",
  "awaiting",
  async (players) => {
    const answer = players.other.request("add", 5);
    await until("it waits", async () => (await cluster.room("n2", players.other.roomId))?.atRest === false);
    return async () => {
      assert.equal(await answer, [0, 5]);
      assert.equal(await players.one.request("add", 2), [5, 7]);
      await until("it rests", async () => (await cluster.room("n2", players.other.roomId))?.atRest === true);
    };
  },
);

line("[Y78] await allowReconnection", "keeping", async (players) => {
  return async () => {
    await until("both see it", () =>
      [players.one, players.other].every(({ state }) => state.text === "dropped back "),
    );
  };
});

line("[Y78, Y105] a seat that is kept by hand", "patient", async (players) => {
  return async () => {
    await until("both see it", () =>
      [players.one, players.other].every(({ state }) => state.text === "dropped back "),
    );
  };
});

line("[Y78] #private fields that the room saves itself", "hidden", async (players) => {
  await players.one.request("draw");
  const drawn = (await players.other.request("draw")) as number[];
  assert.is(drawn.length, 2);
  return async () => {
    assert.equal(await players.one.request("look"), drawn);
    const more = (await players.one.request("draw")) as number[];
    assert.equal(more.slice(0, 2), drawn);
    assert.equal(await players.other.request("look"), more);
  };
});

line("[Y31, Y78] broadcasts behind the next patch", "patched", async (players) => {
  const count = async () => {
    const both = [players.one, players.other];
    await until("both have the state", () => both.every((player) => player.state.n !== undefined));
    const heard = both.map((player) => {
      const told: [string, number, number][] = [];
      for (const type of ["at once", "patched"])
        player.onMessage(type, (n: number) => told.push([type, n, player.state.n]));
      return told;
    });
    const from = players.other.state.n;
    players.one.send("count");
    await until("both have heard", () => heard.every((told) => told.length === 2));
    const expected = [
      ["at once", from + 1, from],
      ["patched", from + 1, from + 1],
    ];
    assert.equal(heard, [expected, expected]);
  };
  await count();
  return count;
});

line("[Y78] timers made in a handler: a closure, a field, a method with data", "timers", async (players) => {
  await players.one.request("set");
  await until("it is told of", async () => {
    const room = await cluster.room("n2", players.one.roomId);
    return /clock timer made at .*room-lines-main\.ts:\d+/.test(String(room?.restlessBecause));
  });
  return async () => {
    await until("they have fired", () => players.one.state.n >= 11 && players.other.state.n >= 11);
    assert.equal(await players.one.request("look"), [11, false]);
    await until(
      "it rests",
      async () => (await cluster.room("n2", players.other.roomId))?.restlessBecause === null,
    );
  };
});

line(
  "[Y78] a closure that arms itself again lives on, and is told of by its place",
  "loop",
  async (players) => {
    await players.one.request("begin").catch(() => {});
    return async () => {
      const before = players.other.state.n;
      await until(
        "it goes on",
        () => players.one.state.n > before + 10 && players.other.state.n > before + 10,
      );
      const room = await cluster.room("n3", players.other.roomId);
      assert.match(String(room?.restlessBecause), /clock timer made at .*room-lines-main\.ts:\d+/);
    };
  },
);

line("[Y78] real timers and sockets inside a room are errors with a remedy", "outside", async (players) => {
  const asked = async (player: Player) => {
    for (const what of ["timer", "interval", "fetch"])
      assert.match(await refused(player.request(what)), /room\.propose|clock\./, what);
  };
  await asked(players.one);
  assert.is(await players.one.request("fine"), 1);
  return async () => {
    await asked(players.one);
    assert.is(await players.other.request("fine"), 2);
    await until("both see it", () => players.one.state.n === 2 && players.other.state.n === 2);
  };
});

line(
  "[Y78, Y108] a route of the game's own comes in through propose or remoteRoomCall, and no other way",
  "routed",
  async (players) => {
    const act = async (id: string, what: string): Promise<unknown> =>
      await (await fetch(`${cluster.url(id)}/test/${what}/${players.other.roomId}`)).json();
    assert.is(await act("n1", "propose"), 5);
    assert.is(await act("n1", "call"), 10);
    assert.is(await act("n2", "mutate"), "MUTATION_OUTSIDE_LOG");
    return async () => {
      assert.is(await act("n3", "propose"), 15);
      assert.is(await act("n2", "call"), 20);
      assert.is(await act("n3", "call"), 25);
      assert.is(await act("n3", "mutate"), "MUTATION_OUTSIDE_LOG");
      await until("both see it", () => players.one.state.n === 25 && players.other.state.n === 25);
      assert.equal([await act("n2", "look"), await act("n3", "look")], [25, 25]);
    };
  },
);

line(
  "[Y78] maps, sets, aliases, listed classes, maps by client, transient helpers",
  "fields",
  async (players) => {
    await players.one.request("play", 3);
    const before = await players.other.request("play", 4);
    const looks = {
      scores: [3, 4],
      seen: 2,
      list: ["3", "-0", "NaN", "4", "-0", "NaN"],
      same: true,
      deck: [true, [4, 3]],
    };
    const present = (names: string[]) => names.map((name) => [name, true]);
    assert.equal(before, { ...looks, players: present(["player 1", "player 2"]) });
    return async () => {
      // Who came back is the last one of the map.
      const expected = { ...looks, players: present(["player 2", "player 1"]) };
      assert.equal(await players.one.request("look"), expected);
      assert.equal(await players.other.request("look"), expected);
    };
  },
);

line("[Y78] a handler that throws hurts nobody else, and what it did stays", "throwing", async (players) => {
  assert.match(await refused(players.one.request("half")), /half done/);
  assert.match(await refused(players.other.request("later")), /half done later/);
  return async () => {
    assert.match(await refused(players.one.request("half")), /half done/);
    await until("both see it", () => players.one.state.n === 3 && players.other.state.n === 3);
  };
});

line("[Y78] each hook in its turn, and what a room says, locks and sends away", "hooks", async (players) => {
  const { one, other } = players;
  const enterAs = async (name: string) =>
    alone(await new Client(cluster.url("n3")).joinById(one.roomId, { name }));
  const leaver = await enterAs("leaver");
  await leaver.leave();
  const fleeting = await enterAs("fleeting");
  fleeting.connection.close();
  const say = async () => {
    const told: unknown[] = [];
    const stop = [players.one, other].map((player) =>
      player.onMessage("told", (name) => told.push([player.sessionId, name])),
    );
    await players.one.request("tell");
    await until("the other one hears it", () => told.length === 1);
    // Behind whatever would have come to who said it.
    await players.one.request("log");
    assert.equal(told, [[other.sessionId, "one"]]);
    for (const each of stop) each();
    const raw = new Promise((resolve) => other.onMessage("raw", resolve));
    other.send("bytes");
    assert.equal([...((await raw) as Uint8Array)], [7, 8]);
    players.one.send("explode");
  };
  await say();
  await one.request("lock", true);
  // By what is listed there, or by the log.
  const isFull = /is locked|is full or locked/;
  assert.match(await refused(enterAs("late")), isFull);
  await one.request("lock", false);
  await until("who was kept for a moment has gone", async () =>
    ((await other.request("log")) as string[]).some((each) => each.startsWith("fleeting leaves")),
  );
  assert.equal(await other.request("room", 3), [3, { most: 3 }]);
  const guest = await enterAs("guest");
  assert.match(await refused(enterAs("one too many")), isFull);
  await guest.leave();
  const begun = (await other.request("log")) as string[];
  const patches = (await other.request("patches")) as number;
  return async () => {
    await until("patches go on", async () => ((await other.request("patches")) as number) > patches);
    await say();
    const kicked = new Promise((resolve) => other.onLeave((code) => resolve(code)));
    await players.one.request("kick", "other");
    assert.is(await kicked, 4_000);
    const log = (await players.one.request("log")) as string[];
    assert.equal(
      log.map((each) => each.replace(/by (1005|1006|4010)$/, "by accident")),
      [
        ...["created by one", "one joins as one and one", "other joins as other and other"],
        ...["leaver joins as leaver and leaver", "leaver leaves by 4000"],
        ...["fleeting joins as fleeting and fleeting", "fleeting is dropped by accident"],
        ...["too hot in onMessage", "fleeting leaves by accident"],
        ...["guest joins as guest and guest", "guest leaves by 4000"],
        ...["one is dropped by accident", "one is back", "too hot in onMessage", "other leaves by 4000"],
      ],
    );
    assert.equal(log.slice(0, begun.length), begun);
    const ended = new Promise((resolve) => players.one.onLeave((code) => resolve(code)));
    players.one.send("end");
    assert.is(await ended, 4_000);
    await until("it is told once", () => cluster.linesLike(/<disposed behind 16 lines>/).length === 1);
  };
});

line(
  "[Y167, Y169, Y170] what is on a client, or picked into a field, outlives a node; a close code that is none ends nobody",
  "guarded",
  async ({ one, other }) => {
    await other.request("team", "blue");
    await one.request("team", "red");
    const bad = async (player: Player) => {
      for (const [code, reason] of [
        [99, ""],
        [4_000, "語".repeat(100)],
      ] as const)
        assert.match(await refused(player.request("out", [code, reason])), /^client\.leave\(\): /);
      assert.match(await refused(player.request("throwOut", [player.sessionId, 70])), /^kickClient\(\): /);
    };
    await bad(one);
    const teams = await other.request("teams");
    assert.equal(teams, [["blue", "red"], ["blue"]]);
    return async () => {
      await bad(other);
      // As in Colyseus, who comes back is a client of its own.
      assert.equal(await other.request("teams"), [["blue", "none"], ["blue"]]);
      assert.is(await other.request("add"), 1);
      const guest = alone(await new Client(cluster.url("n2")).joinById(other.roomId, { name: "guest" }));
      const left = new Promise((resolve) => guest.onLeave((code, reason) => resolve([code, reason])));
      guest.send("out", [4_321, "語".repeat(41)]);
      assert.equal(await left, [4_321, "語".repeat(41)]);
    };
  },
);

line(
  "[Y32, Y77] what is printed, and what is for one node only, happens once",
  "telling",
  async (players) => {
    const told = ["a1", "a2", "a3"];
    for (const what of told) await players.one.request("tell", what);
    const found = (what: string) => [
      cluster.linesLike(new RegExp(`<printed ${what}>`)).length,
      cluster.linesLike(new RegExp(`<counted ${what}>`)).length,
    ];
    const once = async () => {
      // The leader may be a moment behind the node that answered; more than once would come by then.
      await until("the last one is told", () => found(told.at(-1) as string)[1] === 1);
      await sleep(200);
      assert.equal(
        told.map(found),
        told.map(() => [1, 1]),
      );
    };
    await once();
    return async () => {
      for (const what of ["b1", "b2"]) {
        told.push(what);
        await players.one.request("tell", what);
      }
      await once();
    };
  },
);

line(
  "[Y86] of messages of which only the newest counts the newest arrives, however many there are",
  "steered",
  async (players) => {
    const steer = async (player: Player, from: number) => {
      for (let to = from; to < from + 2_000; to++) player.send("steer", to);
      // A request is agreed behind whatever was said before it.
      return (await player.request("taken")) as number[];
    };
    const before = await steer(players.one, 1);
    assert.is(before.at(-1), 2_000);
    assert.ok(before.length < 200, `${before.length} of 2,000 were agreed`);
    return async () => {
      const since = await steer(players.one, 3_001);
      assert.equal(since.slice(0, before.length), before);
      assert.is(since.at(-1), 5_000);
      assert.ok(since.length < 2 * 200, `${since.length} of 4,000 were agreed`);
      assert.equal(
        since,
        since.toSorted((a, b) => a - b),
      );
      await until("the other one sees it", () => players.other.state.n === 5_000);
    };
  },
);

line(
  "[Y106] what is said in bytes, to some, or to who is sent away by a code, after the death of a node, too",
  "saying",
  async (players) => {
    const say = async () => {
      const { one, other } = players;
      const guest = alone(await new Client(cluster.url("n3")).joinById(other.roomId, { name: "guest" }));
      // Behind what says that it has joined: before that nothing is sent to it.
      await guest.request("nothing");
      const heard = [one, other, guest].map((room) => {
        const told: unknown[] = [];
        for (const type of ["all", "others", "bytes"])
          room.onMessage(type, (what: unknown) =>
            told.push([type, what instanceof Uint8Array ? [...what] : what]),
          );
        return told;
      });
      const left = new Promise((resolve) => guest.onLeave((code, reason) => resolve([code, reason])));
      await one.request("say", guest.sessionId);
      assert.equal(await left, [4_205, "off you go"]);
      const all = [
        ["all", 1],
        ["bytes", [1, 2, 3]],
      ];
      await until("all have heard", () => heard.every((told) => told.length >= 2));
      // A request is answered behind what was said before it.
      for (const room of [one, other]) await room.request("nothing");
      const others = [["others", 2]];
      assert.equal(heard, [all, [...all, ...others], [...all, ...others]]);
    };
    await say();
    return say;
  },
);

line(
  "[Y107] effects that fail, time out and are cancelled: each told once, by whichever node leads by then",
  "wishing",
  async (players) => {
    const ask = (player: Player) =>
      Promise.all(
        ["fails", "lasts", "regrets"].map((what) => refused(player.request(what, 0, long as never))),
      );
    const told = [/out of wishes/, /took more than 2000 ms/, /cancelled/];
    const check = (answers: string[]) => {
      for (const [at, each] of told.entries()) assert.match(answers[at] as string, each);
    };
    check(await ask(players.one));
    const open = ask(players.other);
    return async () => {
      check(await open);
      check(await ask(players.one));
      const log = (await players.one.request("log")) as string[];
      assert.equal(
        log.toSorted(),
        ["fails", "lasts", "regrets"].flatMap((what) => [what, what, what]),
      );
      assert.equal(await players.other.request("log"), log);
    };
  },
);

/** What the SDK makes of it: of Testudo as of Colyseus. */
async function fate(entering: Promise<Room>): Promise<unknown> {
  const heard: unknown[] = [];
  try {
    const room = await entering;
    room.reconnection.enabled = false;
    room.onMessage("welcome", (how) => heard.push(how));
    const left = new Promise<number>((resolve) => room.onLeave((code) => resolve(code)));
    return { heard, left: await Promise.race([left, sleep(1_500).then(() => "stays")]) };
  } catch (error) {
    const { code, message } = error as { code?: number; message?: string };
    return { heard, refused: [code, message] };
  }
}

line(
  "[Y182] who is sent away as they come in or come back hears of it as from Colyseus",
  "bouncer",
  async () => {
    const compare = async (from: string, to: string) => {
      const fates = async (roomName: string) => {
        const told: Record<string, unknown> = {};
        for (const how of ["leave", "kick", "throw", "late", "end"]) {
          told[`${how}, alone`] = await fate(new Client(cluster.url(from)).create(roomName, { how }));
          const host = alone(await new Client(cluster.url(from)).create(roomName, { how: "" }));
          // Plain rooms are where they are.
          const node = new Client(cluster.url(roomName === "bouncer" ? to : from));
          const guest = alone(await node.joinById(host.roomId, { how: "" }));
          guest.send("how", how);
          await guest.leave(false);
          await sleep(100);
          told[`${how}, back`] = await fate(node.reconnect(guest.reconnectionToken));
          if (how === "end") continue;
          told[how] = await fate(node.joinById(host.roomId, { how }));
          await host.leave();
        }
        return told;
      };
      const [stock, ours] = await Promise.all([fates("plainBouncer"), fates("bouncer")]);
      assert.equal(ours, stock);
    };
    await compare("n1", "n2");
    return () => compare("n2", "n3");
  },
);

line(
  "[Y108] who says more than maxMessagesPerSecond is sent away, by whichever node; what came before counts",
  "rated",
  async (players) => {
    const { other } = players;
    let counted = 0;
    const flood = async (id: string) => {
      const guest = alone(await new Client(cluster.url(id)).joinById(other.roomId, { name: "guest" }));
      const left = new Promise((resolve) => guest.onLeave((code) => resolve(code)));
      for (let n = 0; n < 50; n++) guest.send("add");
      assert.is(await left, CloseCode.WITH_ERROR);
      assert.is(
        await other.request("count"),
        counted + 20,
        "so many a second, and none of those behind them",
      );
      counted += 20;
    };
    await flood("n1");
    await flood("n3");
    return async () => {
      await flood("n3");
      await flood("n2");
      assert.is(await players.one.request("count"), counted);
    };
  },
);

line("[Y78] time and chance that a library has read before are the log's", "chance", async (players) => {
  const rolled = (await players.one.request("roll")) as string[];
  return async () => {
    const since = (await players.one.request("roll")) as string[];
    assert.equal(since.slice(0, 4), rolled);
    assert.is(new Set(since).size, since.length);
    const last = (await players.other.request("roll")) as string[];
    assert.equal(last.slice(0, 8), since, "the same on another node");
  };
});

for (const [roomName, what] of [
  ["balls", "physics in wasm"],
  ["crates", "physics in JavaScript"],
  ["bricks", "physics in JavaScript with hooks"],
  ["herd", "an entity world"],
] as const) {
  line(`[Y75, Y78] ${what} is the same on every node`, roomName, async (players) => {
    for (let each = 0; each < 5; each++) players.one.send("add");
    await until("something moves", () => players.other.state.sum !== 0);
    return async () => {
      for (let each = 0; each < 3; each++) players.one.send("add");
      await sleep(300);
      const sum = await players.one.request("stop");
      await until("both see it", () => [players.one, players.other].every(({ state }) => state.sum === sum));
    };
  });
}

shown("[Y78] the node that comes back has every room as the others have it", async () => {
  cluster.launch("n1");
  await cluster.ready();
  for (const roomName of roomNames().filter((each) => each !== "hooks")) {
    const players = await playersOf(roomName);
    const late = alone(await new Client(cluster.url("n1")).joinById(players.other.roomId, { name: "late" }));
    if (["balls", "crates", "bricks", "herd"].includes(roomName))
      assert.is(await late.request("stop"), players.other.state.sum, roomName);
    if (roomName === "chance") {
      const last = (await late.request("roll")) as string[];
      assert.equal(((await players.other.request("roll")) as string[]).slice(0, last.length), last);
    }
    if (roomName === "hidden")
      assert.equal(await late.request("look"), await players.other.request("look"), roomName);
    await Promise.all([late, players.one, players.other].map((player) => player.leave()));
  }
  for (const id of cluster.ids) assert.is((await cluster.status(id))?.divergences.count, 0, id);
});

test.run();
