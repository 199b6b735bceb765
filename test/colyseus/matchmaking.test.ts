// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { randomBytes } from "node:crypto";
import { type Client, defineRoom, type IRoomCache, matchMaker, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ColyseusPrograms } from "../../server/colyseus/colyseus-programs.ts";
import { Matchmaking } from "../../server/colyseus/matchmaking.ts";
import { PlainRooms } from "../../server/colyseus/plain-rooms.ts";
import { replicated } from "../../server/colyseus/replicated.ts";
import { TestudoDriver } from "../../server/colyseus/testudo-driver.ts";
import { WayOut } from "../../server/colyseus/way-out.ts";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import { unasked } from "../../server/session/auth-outcome.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { sessionMenu } from "../../server/session/session-menu.ts";
import { Sessions } from "../../server/session/sessions.ts";
import { defineTestRoom, joinAck, RecordingSocket } from "./machine-harness.ts";

class LobbyLike extends Room {
  static asked: unknown[] = [];
  static says: unknown = null;
  static override onAuth(token: string | undefined, options: { user?: string }): Promise<unknown> {
    LobbyLike.asked.push([token, options]);
    if (options.user === "throws") throw new Error("cursed in onAuth");
    if (options.user === "rejects") return Promise.reject(new Error("cursed in onAuth"));
    if (LobbyLike.says !== null) return Promise.resolve(LobbyLike.says);
    return Promise.resolve(options.user === "banned" ? false : { user: options.user ?? "nobody" });
  }

  override maxClients = 2;
  auths: unknown[] = [];

  override onCreate(options: { fails?: boolean }) {
    if (options.fails === true) throw new Error("the map is missing");
    this.autoDispose = false;
  }

  override onJoin(client: Client) {
    this.auths.push(client.auth);
  }

  end() {
    void this.disconnect();
  }

  hide() {
    void this.setPrivate(true);
  }

  close() {
    void this.lock();
  }

  shut() {
    this.maxClients = 100_000;
  }
}

await defineTestRoom("unused", class extends Room {});
const handler = defineRoom(replicated(LobbyLike)).filterBy(["mode"]);
handler.name = "lobby";
matchMaker.addRoomType(handler);

class PlainRoom extends Room {
  override seatReservationTimeout = 0.1;
}
const plain = defineRoom(PlainRoom);
plain.name = "plain";
matchMaker.addRoomType(plain);

const sorted = defineRoom(
  replicated(
    class extends LobbyLike {
      override maxClients = 3;
    },
  ),
)
  .filterBy(["mode"])
  .sortBy({ clients: -1 });
sorted.name = "sorted";
matchMaker.addRoomType(sorted);

const programs = new ColyseusPrograms();
const driver = new TestudoDriver(programs.listings);
matchMaker.setup(undefined as never, driver, "");
const sessions = new Sessions({
  nodeId: "A",
  bootCount: 1,
  groups: 2,
  programs,
  isLost: () => false,
  log: { info: () => {}, warn: () => {}, error: () => {} },
  random: randomBytes,
  clock: {
    setTimer: (act: () => void, ms: number) => {
      const timer = setTimeout(act, ms);
      return () => clearTimeout(timer);
    },
    now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
  },
});

/** One node alone: what is proposed is committed, in order, each in a macrotask of its own. */
let index = 0;
let last = Promise.resolve<unknown>(null);
/** Nothing is committed before it resolves. */
let quorum = Promise.resolve();
let barriers = 0;
sessions.bind({
  propose: (group, command) => {
    const applied = Promise.all([last, quorum]).then(() =>
      inMacrotask(() => {
        index++;
        const stamps = { logTimeMs: index * 10, wallTimeMs: 1_700_000_000_000 + index * 10, level: 1 };
        const id = { nodeId: "A", bootCount: 1, sequence: index };
        const result = sessions.machines[group]?.apply({ index, term: 1, ...stamps, id, command });
        if (result?.type !== "done") throw new Error("a gap");
        // Promises in results are wrapped, as in the product: this one must not be waited for here.
        return { value: result.value };
      }),
    );
    last = applied.catch(() => {});
    return applied.then(({ value }) => value);
  },
  accepts: () => true,
  barrier: async () => {
    barriers++;
    await last;
  },
  isLeader: () => true,
  leaderlessMs: () => null,
  lead: () => ({ leaderId: "A", term: 1 }),
  level: () => ({ level: 1, heldBackBy: () => [] }),
  configuration: () => ({ ...emptyConfiguration, voters: [{ nodeId: "A", storeId: "a" }] }),
  tell: () => {},
  isBusy: () => false,
});
programs.bind(sessions);
const matchmaking = new Matchmaking(sessions, driver);
matchmaking.intercept();

interface Reservation {
  roomId: string;
  sessionId: string;
  publicAddress?: string;
}
const ask = async (method: string, name: string, options: object = {}): Promise<Reservation> => {
  const context = { token: "a token", headers: new Headers(), ip: "" };
  return (await matchMaker.controller.invokeMethod(
    method as never,
    name,
    options as never,
    context as never,
  )) as never;
};
const refusal = async (promise: Promise<unknown>): Promise<string> =>
  await promise.then(
    () => "nothing was thrown",
    (error: Error) => error.message,
  );

let modes = 0;
const newMode = () => `mode${++modes}`;

test("[Y26] joinOrCreate, asked many times at once, makes one room and fills it before the next", async () => {
  const mode = newMode();
  const seats = await Promise.all([1, 2, 3, 4, 5].map(() => ask("joinOrCreate", "lobby", { mode })));
  const perRoom = new Map<string, number>();
  for (const { roomId } of seats) perRoom.set(roomId, (perRoom.get(roomId) ?? 0) + 1);
  assert.equal([...perRoom.values()].sort(), [1, 2, 2]);
});

test("[Y26] the static onAuth runs once, on the node that was asked; its result is logged, the token is not", async () => {
  LobbyLike.asked = [];
  const mode = newMode();
  const { roomId, sessionId } = await ask("joinOrCreate", "lobby", { mode, user: "ada" });
  assert.equal(LobbyLike.asked, [["a token", { mode, user: "ada" }]]);
  const socket = new RecordingSocket();
  const attached = await sessions.attach(roomId, socket, {
    sessionId,
    presentedToken: null,
    wrapper: false,
    skipHandshake: false,
    auth: unasked,
  });
  attached.receive(joinAck());
  await last;
  const room = matchMaker.getLocalRoomById(roomId) as LobbyLike;
  assert.equal(room.auths, [{ user: "ada" }]);
  assert.is(LobbyLike.asked.length, 1);
  assert.match(await refusal(ask("joinOrCreate", "lobby", { mode, user: "banned" })), "onAuth failed");
  assert.match(await refusal(ask("joinById", roomId, { user: "banned" })), "onAuth failed");
});

test("[Q17] a static onAuth that throws or rejects refuses this client with its words, and takes no seat", async () => {
  const mode = newMode();
  const { roomId } = await ask("joinOrCreate", "lobby", { mode });
  for (const user of ["throws", "rejects"]) {
    assert.match(await refusal(ask("joinOrCreate", "lobby", { mode, user })), "cursed in onAuth");
    assert.match(await refusal(ask("joinById", roomId, { user })), "cursed in onAuth");
  }
  assert.is((await ask("joinOrCreate", "lobby", { mode })).roomId, roomId);
});

test("[Y30] what would arrive as something else is refused, with its path", async () => {
  const mode = newMode();
  LobbyLike.says = { friends: [new Set()] };
  assert.match(
    await refusal(ask("joinOrCreate", "lobby", { mode })),
    "auth.friends[0] is a Set: only plain data",
  );
  LobbyLike.says = null;
  assert.match(await refusal(ask("create", "lobby", { mode, at: new URL("ws://a") })), "options.at is a URL");
  const { roomId } = await ask("joinOrCreate", "lobby", { mode });
  assert.match(await refusal(sessions.call(roomId, "end", [() => 1])), "data[0] is a function");
  const knot: unknown[] = [];
  knot.push(knot);
  assert.match(await refusal(sessions.call(roomId, "end", knot)), "more than 100 levels deep");
});

test("[Y26] join finds rooms and makes none, create always makes one, joinById takes that very one until it is full", async () => {
  const mode = newMode();
  assert.match(await refusal(ask("join", "lobby", { mode })), "no rooms found");
  const first = await ask("create", "lobby", { mode });
  const second = await ask("create", "lobby", { mode });
  assert.is.not(first.roomId, second.roomId);
  assert.is((await ask("joinById", second.roomId)).roomId, second.roomId);
  assert.match(await refusal(ask("joinById", second.roomId)), "is full or locked");
  assert.is((await ask("join", "lobby", { mode })).roomId, first.roomId);
  assert.match(await refusal(ask("joinById", "unknown00")), /not found|disposed|unknown00/);
});

test("[Y26] of several rooms the one that sortBy() puts first is filled first", async () => {
  for (const [name, expected] of [
    ["lobby", 0],
    ["sorted", 1],
  ] as const) {
    const mode = newMode();
    const rooms = [await ask("create", name, { mode }), await ask("create", name, { mode })];
    await ask("joinById", rooms[1]?.roomId ?? "", {});
    const { roomId } = await ask("joinOrCreate", name, { mode });
    assert.is(
      rooms.findIndex((room) => room.roomId === roomId),
      expected,
      name,
    );
  }
});

test("[Y26] a room that has just ended is passed over: whoever comes then gets a new one", async () => {
  const mode = newMode();
  const { roomId } = await ask("joinOrCreate", "lobby", { mode });
  await sessions.call(roomId, "end", []);
  assert.is(sessions.room(roomId), undefined);
  assert.is.not((await ask("joinOrCreate", "lobby", { mode })).roomId, roomId);
});

test("[Y26] a room that failed to begin tells each who asks why, and stands in nobody's way", async () => {
  const mode = newMode();
  for (let time = 0; time < 2; time++) {
    assert.match(await refusal(ask("joinOrCreate", "lobby", { mode, fails: true })), "the map is missing");
  }
  assert.match((await ask("joinOrCreate", "lobby", { mode })).roomId, /^[\w-]{9}$/);
});

test("[Y26] a private or locked room is no one's by chance, although its key still stands for it", async () => {
  for (const method of ["hide", "close"]) {
    const mode = newMode();
    const { roomId } = await ask("joinOrCreate", "lobby", { mode });
    await sessions.call(roomId, method, []);
    const other = await ask("joinOrCreate", "lobby", { mode });
    assert.is.not(other.roomId, roomId, method);
    assert.is((await ask("joinOrCreate", "lobby", { mode })).roomId, other.roomId, method);
  }
});

test("[Y26] rooms past the number of seats that a room has are passed over, however many there are", async () => {
  const mode = newMode();
  const full: string[] = [];
  for (let room = 0; room < 3; room++) {
    const { roomId } = await ask("joinOrCreate", "lobby", { mode });
    assert.not(full.includes(roomId));
    full.push(roomId);
    await sessions.call(roomId, "shut", []);
    for (let seat = 0; seat < 99; seat++) {
      assert.is(
        await sessions.reserve(roomId, { sessionId: `x${seat}`, options: {}, auth: null, seconds: 1_000 }),
        true,
      );
    }
  }
  assert.not(full.includes((await ask("joinOrCreate", "lobby", { mode })).roomId));
});

test("[D14] rooms that are gone are forgotten by the leader's sweep", async () => {
  const mode = newMode();
  const { roomId } = await ask("joinOrCreate", "lobby", { mode });
  await sessions.call(roomId, "end", []);
  const gone = () => sessions.machines.flatMap((machine) => [...machine.gone()]);
  assert.ok(gone().includes(roomId));
  sessions.sweep();
  await last;
  assert.equal(gone(), []);
});

test("[Y26] reconnect wants a token that the seat accepts", async () => {
  const mode = newMode();
  const { roomId, sessionId } = await ask("joinOrCreate", "lobby", { mode });
  const socket = new RecordingSocket();
  await sessions.attach(roomId, socket, {
    sessionId,
    presentedToken: null,
    wrapper: false,
    skipHandshake: false,
    auth: unasked,
  });
  const token = sessions.room(roomId)?.seats.get(sessionId)?.token;
  assert.is((await ask("reconnect", roomId, { reconnectionToken: token })).sessionId, sessionId);
  assert.match(
    await refusal(ask("reconnect", roomId, { reconnectionToken: "forged" })),
    "invalid or expired",
  );
  assert.match(await refusal(ask("reconnect", roomId)), "must be provided");
  const listing = matchMaker.driver.query({ roomId }) as IRoomCache[];
  assert.is(listing[0]?.clients, 1);
});

test("[Y60] a room is unknown only once this replica does not lag; what is found is a copy", async () => {
  const id = "fromAfarA";
  let open = () => {};
  quorum = new Promise((resolve) => {
    open = resolve;
  });
  const seed = new Uint8Array(12);
  const wish = { key: "far", roomName: "lobby", options: {}, fresh: true, exclude: null, code: "" };
  const command = sessionMenu.encode("allocate", { ...wish, sequence: 1, roomId: id, seed });
  // Committed, and not applied here yet: another node's.
  last = Promise.all([last, quorum]).then(() =>
    inMacrotask(() => {
      index++;
      const stamps = { logTimeMs: index * 10, wallTimeMs: 1_700_000_000_000 + index * 10, level: 1 };
      sessions.machines[0]?.apply({
        ...{ index, term: 1, ...stamps, command },
        id: { nodeId: "B", bootCount: 1, sequence: 1 },
      });
    }),
  );
  const asked = matchMaker.getRoomById(id);
  open();
  const found = await asked;
  assert.is(found.roomId, id);
  const room = matchMaker.getLocalRoomById(id) as unknown as { _listing: IRoomCache };
  assert.is.not(found, room._listing);
  assert.is.not((await matchMaker.query({ roomId: id }))[0], room._listing);
  const several = await matchMaker.findRoomsByIds([id, "fromNoneA"]);
  assert.equal([...several.keys()], [id]);
  assert.equal(several.get(id), found);
  assert.is.not(several.get(id), room._listing);
  assert.is(await matchMaker.getRoomById("fromNoneA"), undefined);
});

test("[Y60] server code that waits for a room hears soon that nobody agrees to it", async () => {
  let open = () => {};
  quorum = new Promise((resolve) => {
    open = resolve;
  });
  assert.match(
    await refusal(matchmaking.createSoon("lobby", {})),
    'room "lobby" was not agreed within 1500 ms: try again',
  );
  open();
  await last;
  assert.is((await matchmaking.createSoon("lobby", {})).name, "lobby");
});

test("[Y57] a plain room is joined without a word to the cluster, even where its id looks like one of the log's", async () => {
  const before = barriers;
  await matchMaker.handleCreateRoom("plain", {}, undefined, "plainRooA");
  assert.is(sessions.groupOf("plainRooA"), 0);
  assert.is((await ask("joinById", "plainRooA")).roomId, "plainRooA");
  assert.is(barriers, before);
  await matchMaker.getLocalRoomById("plainRooA").disconnect();
});

test("[Y61] plain rooms end with their node: asked as Colyseus asks, once, and each is counted until it has", async () => {
  const [willing, unwilling, cursed] = await Promise.all(
    ["plainRoo1", "plainRoo2", "plainRoo3"].map(async (id) => {
      await matchMaker.handleCreateRoom("plain", {}, undefined, id);
      return Object.assign(matchMaker.getLocalRoomById(id), { autoDispose: false });
    }),
  );
  const { roomId } = await ask("joinOrCreate", "lobby", { mode: newMode() });
  const asked: boolean[] = [];
  Object.assign(unwilling as object, { onBeforeShutdown: () => asked.push(unwilling?.locked === true) });
  Object.assign(cursed as object, {
    onBeforeShutdown: () => {
      throw new Error("cursed in onBeforeShutdown");
    },
  });
  const failures: unknown[] = [];
  const plainRooms = new PlainRooms(programs.listings, (error) => failures.push(error));
  assert.equal([plainRooms.count, plainRooms.areEnding], [3, false]);
  plainRooms.end();
  plainRooms.end();
  for (let tries = 0; plainRooms.count > 1 && tries < 500; tries++) await new Promise(setImmediate);
  assert.equal([plainRooms.count, plainRooms.areEnding], [1, true]);
  assert.equal(asked, [true]);
  assert.match(String(failures), "cursed in onBeforeShutdown");
  assert.equal(
    ["plainRoo1", "plainRoo2", "plainRoo3", roomId].map(
      (id) => matchMaker.getLocalRoomById(id) === undefined,
    ),
    [true, false, false, false],
  );
  assert.is(willing?.locked, true);
  await Promise.all([unwilling?.disconnect(), cursed?.disconnect()]);
  assert.is(plainRooms.count, 0);
  assert.is(failures.length, 1);
});

test("[C55] a node that drains gives seats that are taken at the others, each in its turn, and makes no plain rooms", async () => {
  const at = { door: "closing", elsewhere: () => [endpoint("B"), endpoint("C")] } as const;
  const restore = new Matchmaking(sessions, driver, new WayOut(at)).intercept();
  try {
    const mode = newMode();
    const { roomId, publicAddress } = await ask("joinOrCreate", "lobby", { mode });
    assert.is(publicAddress, "B.example/game");
    assert.is((await ask("joinById", roomId)).publicAddress, "C.example/game");
    for (const method of ["create", "join", "joinOrCreate"]) {
      const refused = await ask(method, "plain").catch((error: unknown) => error);
      assert.is((refused as { code: number }).code, 503);
      assert.match(String(refused), /this node stops, and takes no new "plain": ask another one/);
    }
    // One that is here is left in peace.
    await matchMaker.handleCreateRoom("plain", {}, undefined, "plainRoo9");
    assert.is((await ask("joinById", "plainRoo9")).publicAddress, undefined);
    await matchMaker.getLocalRoomById("plainRoo9").disconnect();
  } finally {
    restore();
  }
  const alone = new WayOut({ door: "closing", elsewhere: () => [] });
  assert.equal([alone.isDraining, alone.next()], [true, null]);
  assert.is((await ask("joinOrCreate", "lobby", { mode: newMode() })).publicAddress, undefined);
});

const endpoint = (node: string) => ({ node, region: "here", url: `https://${node}.example/game` });

test.run();
