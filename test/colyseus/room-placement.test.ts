import { LocalPresence, matchMaker, Room, requestFromIPC } from "@colyseus/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NodeCounts } from "../../server/colyseus/node-counts.ts";
import { replicated } from "../../server/colyseus/replicated.ts";
import { type ProcessCount, RoomPlacement } from "../../server/colyseus/room-placement.ts";
import { TestudoDriver } from "../../server/colyseus/testudo-driver.ts";

const test = suite("where plain rooms begin");

const stockSelect = matchMaker.selectProcessIdToCreateRoom;
const setup = async (select: typeof stockSelect) =>
  await matchMaker.setup(new LocalPresence(), new TestudoDriver(), "", select);

class PlainRoom extends Room {}
class SharedRoom extends Room {}

let others: ProcessCount[];
let drains: boolean;
let warnings: string[];
let placement: RoomPlacement;

test.before.each(async () => {
  others = [];
  drains = false;
  warnings = [];
  placement = new RoomPlacement({
    isDraining: () => drains,
    takers: () => others,
    isKnown: (processId) => processId === "lost" || others.some((other) => other.processId === processId),
    warn: (message) => warnings.push(message),
  });
  await setup(placement.select);
  matchMaker.defineRoomType("plain", PlainRoom);
  matchMaker.defineRoomType("shared", replicated(SharedRoom));
  matchMaker.stats.local.roomCount = 0;
});

const chosen = (options: unknown = {}) => matchMaker.selectProcessIdToCreateRoom("plain", options);

test("[T51] a plain room begins on the least loaded node, here if others have as few; a replicated one is of none", async () => {
  const own = matchMaker.processId;
  assert.is(await chosen(), own, "alone");
  others = [
    { processId: "p2", roomCount: 0 },
    { processId: "p3", roomCount: 2 },
  ];
  assert.is(await chosen(), own, "as few");
  matchMaker.stats.local.roomCount = 3;
  assert.is(await chosen(), "p2");
  assert.is(await matchMaker.selectProcessIdToCreateRoom("shared", {}), "testudo");
});

test("[T51] what was just given to a node counts before it tells of it: a burst goes to all", async () => {
  matchMaker.stats.local.roomCount = 2;
  others = [
    { processId: "p2", roomCount: 0 },
    { processId: "p3", roomCount: 1 },
  ];
  const burst: string[] = [];
  for (let at = 0; at < 4; at++) burst.push(await chosen());
  assert.equal(burst, ["p2", "p2", "p3", matchMaker.processId]);
});

test("[T52] the studio's own function is asked as Colyseus asks it, and its word counts, but for nodes that take no rooms", async () => {
  const asked: unknown[] = [];
  let word: string | undefined = "p2";
  await setup(async (...args) => {
    asked.push(args);
    return word as string;
  });
  await placement.take();
  others = [
    { processId: "p2", roomCount: 9 },
    { processId: "p3", roomCount: 1 },
  ];
  const options = { mode: "duel" };
  assert.is(await chosen(options), "p2");
  assert.equal(asked, [["plain", options]]);
  assert.is(await matchMaker.selectProcessIdToCreateRoom("shared", {}), "testudo");
  assert.is(asked.length, 1, "of replicated rooms it is not asked");
  matchMaker.stats.local.roomCount = 5;
  word = "lost";
  assert.is(await chosen(), "p3", "that node is lost, drains, or has other code");
  assert.equal(warnings, []);
  word = "typo";
  assert.is(await chosen(), "p3");
  assert.match(warnings.join(), /chose "typo", which is no process of the cluster: .*stats\.fetchAll/);
  word = undefined;
  assert.is(await chosen(), undefined, "as in Colyseus, which refuses the room then");
  const before = asked.length;
  await placement.take();
  await chosen();
  assert.is(asked.length, before + 1, "taken once");
});

test("[T53] a node that drains begins none, and makes none for others, which make it themselves at once", async () => {
  others = [{ processId: "p2", roomCount: 9 }];
  drains = true;
  assert.is(await chosen(), "p2");
  others = [];
  const refused = await chosen().catch((error: unknown) => error);
  assert.match(String(refused), /this node stops, and no other one takes a new "plain": try again/);
  matchMaker.setHealthChecksEnabled(false);
  await matchMaker.accept();
  const { presence, processId } = matchMaker;
  const ask = (method: string | undefined, args: unknown[]) =>
    requestFromIPC(presence, `p:${processId}`, method, args, 500);
  assert.is(((await ask(undefined, ["plain", {}, null, "made"])) as { roomId: string }).roomId, "made");
  await placement.close();
  // What Colyseus's createRoom takes for a process that does not answer.
  assert.match(String(await ask(undefined, ["plain", {}]).catch((error: unknown) => error)), /ipc_timeout/);
  assert.is(await ask("healthcheck", []), true);
  matchMaker.disconnectAll();
});

test("[T53] rooms are given to linked nodes that take clients, of the same code, with an address of their own", () => {
  const nodes: Record<string, { url: string; code: string; told?: object }> = {
    n1: { url: "http://one", code: "v2" },
    n2: { url: "http://two", code: "v2", told: { processId: "p2", roomCount: 4, ccu: 0 } },
    n3: { url: "http://three", code: "v1", told: { processId: "p3", roomCount: 0, ccu: 0 } },
    n4: { url: "http://one", code: "v2", told: { processId: "p4", roomCount: 0, ccu: 0 } },
    n5: { url: "http://five", code: "v2" },
  };
  const node = {
    options: { id: "n1", publicUrl: "http://one" },
    // But for this one: those whose door is open.
    elsewhere: () => ["n2", "n3", "n4", "n5"].map((id) => ({ node: id, url: nodes[id]?.url })),
    gossip: { of: (id: string) => ({ code: nodes[id]?.code, colyseus: nodes[id]?.told }) },
  };
  const takers = new NodeCounts(node as never, null as never, () => []).takers();
  assert.equal(
    takers.map(({ processId, roomCount }) => [processId, roomCount]),
    [["p2", 4]],
  );
});

test.after(async () => {
  await setup(stockSelect);
});

test.run();
