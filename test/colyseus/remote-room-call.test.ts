// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { randomBytes } from "node:crypto";
import { LocalPresence, matchMaker, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ColyseusPrograms } from "../../server/colyseus/colyseus-programs.ts";
import type { ReplicatedRoom } from "../../server/colyseus/replicated.ts";
import { TestudoDriver } from "../../server/colyseus/testudo-driver.ts";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { Sessions } from "../../server/session/sessions.ts";
import { defineTestRoom, Replica } from "./machine-harness.ts";

const Purse = schema({ gold: t.number().default(0) }, "Purse");

class CountingRoom extends Room<{ state: InstanceType<typeof Purse> }> {
  override state = new Purse();
  /** Nobody compares it but the hash. */
  private paid: unknown[] = [];

  override onCreate() {
    this.autoDispose = false;
  }

  pay(gold: number, why?: object) {
    this.state.gold += gold;
    this.paid.push([gold, why ?? "no reason", Math.random()]);
    return this.paid.length;
  }

  async payLater(gold: number) {
    await null;
    return this.pay(gold);
  }

  fail() {
    throw new Error("the purse is empty");
  }

  get sum() {
    return this.state.gold;
  }
}

class PayingRoom extends CountingRoom {
  declare onPrimary: ReplicatedRoom["onPrimary"];
  note = (gold: number) => this.pay(gold);

  override onCreate() {
    super.onCreate();
    this.onMessage("unused", () => {});
  }

  override pay(gold: number, why?: object) {
    return super.pay(2 * gold, why);
  }

  override async setMetadata(metadata: object) {
    this.state.gold += 100;
    return await super.setMetadata({ ...metadata, by: "the room" });
  }

  readsPresence() {
    const { presence } = this;
    return presence.get("gold");
  }
}

function toldAs(error: unknown): unknown {
  const { code, message } = error as Error & { code: unknown };
  return [code, message];
}

await defineTestRoom("counting", CountingRoom);
await defineTestRoom("paying", PayingRoom);

const presence = new LocalPresence();
const programs = new ColyseusPrograms();
await matchMaker.setup(presence, new TestudoDriver(programs.listings), "");
const sessions = new Sessions({
  ...{ nodeId: "A", bootCount: 1, groups: 1, programs, isLost: () => false, random: randomBytes },
  log: { info: () => {}, warn: () => {}, error: () => {} },
  clock: {
    setTimer: (act: () => void, ms: number) => {
      const timer = setTimeout(act, ms);
      return () => clearTimeout(timer);
    },
    now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
  },
});

/** What is proposed is committed at once, on the other replica and then here: the matchmaker knows the last one's room. */
const other = new Replica("B");
let index = 0;
let last = Promise.resolve<unknown>(null);
sessions.bind({
  propose: (_group, command) => {
    const applied = last.then(() =>
      inMacrotask(() => {
        index++;
        const stamps = { index, logTimeMs: index * 10, wallTimeMs: 1_700_000_000_000 + index * 10, level: 1 };
        other.apply({ ...stamps, nodeId: "A", command });
        const id = { nodeId: "A", bootCount: 1, sequence: index };
        const result = sessions.machines[0]?.apply({ term: 1, ...stamps, id, command });
        if (result?.type !== "done") throw new Error("a gap");
        return { value: result.value };
      }),
    );
    last = applied.catch(() => {});
    return applied.then(({ value }) => value);
  },
  accepts: () => true,
  barrier: async () => {
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
other.programs.bind(sessions);

async function create(roomName: string) {
  const wish = { key: roomName, roomName, options: {}, fresh: true, exclude: null };
  const roomId = await sessions.allocate(wish);
  const room = matchMaker.getLocalRoomById(roomId) as PayingRoom;
  const program = sessions.room(roomId)?.program as { readonly room?: Room } | undefined;
  assert.is(program?.room, room);
  return {
    roomId,
    room,
    call: (method: string, args?: unknown[]) => matchMaker.remoteRoomCall(roomId, method, args as never),
  };
}

function same(roomId: string): string {
  const hash = other.hash(roomId);
  assert.ok(hash);
  assert.is(sessions.room(roomId)?.program.hash(), hash);
  return hash;
}

for (const [what, method, args, result, gold] of [
  ["a method", "pay", [3, { for: "bread" }], 1, 6],
  ["one of a class that it extends", "payLater", [3], 1, 6],
  ["an arrow function in a field", "note", [3], 1, 6],
  ["without arguments", "pay", undefined, 1, Number.NaN],
] as const) {
  test(`[Y47] remoteRoomCall of ${what} goes through the log and runs on every replica; its result comes back`, async () => {
    const { roomId, room, call } = await create("paying");
    const before = index;
    assert.is(await call(method, args as never), result);
    assert.is(index, before + 1);
    assert.equal([room.state.gold, other.room<PayingRoom>(roomId).state.gold], [gold, gold]);
    same(roomId);
  });
}

test("[Y47] so does what reaches the room over IPC", async () => {
  const { roomId, room } = await create("paying");
  const answered = new Promise((resolve) => {
    presence.subscribe("ipc:me", resolve);
  });
  presence.publish(`$${roomId}`, ["pay", "me", [3]]);
  assert.equal(await answered, [0, 1]);
  await last;
  // Both replicas of this process hear it; in the product there is one.
  assert.equal([room.state.gold, other.room<PayingRoom>(roomId).state.gold], [12, 12]);
  same(roomId);
});

test("[Y47] what a remote call fails with comes back, and it is no failure of the node", async () => {
  const { roomId, call } = await create("paying");
  assert.equal(await call("fail").catch(toldAs), ["APPLICATION", "the purse is empty"]);
  assert.equal(
    ((await call("pay", Array(17).fill(1)).catch(toldAs)) as unknown[])[0],
    "MENU_ARGUMENT",
    "it takes what propose takes",
  );
  same(roomId);
});

test("[Y47] the stock room's own methods enter the log from there, too; what the matchmaker does by itself does not", async () => {
  const { roomId, room, call } = await create("paying");
  await call("setMetadata", [{ mode: "duel" }]);
  assert.equal(room.metadata, { mode: "duel", by: "the room" });
  assert.is(other.room<PayingRoom>(roomId).state.gold, 100);
  await call("lock");
  assert.equal([room.locked, other.room(roomId).locked], [true, true]);
  await call("unlock");
  assert.is(await call("_reserveSeat", ["p1", {}, null]), true);
  assert.is(await call("hasReservedSeat", ["p1"]), true);
  assert.is(await call("checkReconnectionToken", ["none"]), undefined);
  same(roomId);
  await call("disconnect");
  await last;
  assert.is(other.machine.rooms.has(roomId), false);
});

test("[Y47] to read a property is a look at this replica", async () => {
  const { room, call } = await create("paying");
  const before = index;
  assert.is(await call("sum"), 0);
  assert.is(await call("maxClients"), room.maxClients);
  assert.is(index, before);
});

test("[Y47] a method that is called from outside in another way runs here alone, and cannot change the state", async () => {
  const { roomId, room } = await create("counting");
  const before = same(roomId);
  assert.throws(() => room.pay(1), /was changed outside of its log/);
  assert.is(same(roomId), before);
});

test("[Y46] presence is refused inside of a room, however it is reached, and outside it is the node's own", async () => {
  const { roomId, room, call } = await create("paying");
  await room.presence.set("gold", "7");
  assert.is(await presence.get("gold"), "7");
  const [code, message] = (await call("readsPresence").catch(toldAs)) as [string, string];
  assert.is(code, "APPLICATION");
  assert.match(message, /PayingRoom cannot go on: it uses this\.presence, .* memory of each node alone/);
  same(roomId);
});

test.run();
