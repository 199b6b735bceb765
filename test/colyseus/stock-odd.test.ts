// test-run: seconds=300 node=--import=./server/colyseus/register.ts
import { defineRoom, matchMaker, type Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { reportInWorld } from "../../server/session/sandbox.ts";
import { defineTestRoom, leaveFrame } from "./machine-harness.ts";
import { Beside } from "./stock/beside.ts";
import {
  HearingOddRoom,
  type OddAct,
  type OddHook,
  OddRoom,
  OddState,
  oddActs,
  oddHooks,
} from "./stock/odd-room.ts";

// What nobody waits for: on a node it is a line in the log, in a plain server the end.
process.on("unhandledRejection", (error) => void reportInWorld(error));

for (const [name, roomClass] of [
  ["odd", OddRoom],
  ["hearing", HearingOddRoom],
] as const) {
  await defineTestRoom(name, roomClass);
  const handler = defineRoom(roomClass);
  handler.name = `stock ${name}`;
  matchMaker.addRoomType(handler);
}

const factsOf = (room: Room) => ({
  journal: [...(room as OddRoom).journal],
  present: room.clients.map(({ sessionId }) => sessionId),
  state: JSON.parse(JSON.stringify(room.state)) as unknown,
});

let restored = 0;

/** Two that come at once, one that is dropped and comes back, one that is lost, one that leaves, and one that is late. */
async function play(name: string, options: { hook: OddHook; act: OddAct }): Promise<void> {
  const both = new Beside(OddState as never);
  let stockFailed: string | null = null;
  await both.stock.create(`stock ${name}`, options).catch((error: Error) => {
    stockFailed = String(error.message ?? error);
  });
  await both.scene.create(name, options);
  if (stockFailed !== null) return assert.ok(both.scene.isGone, `made, though Colyseus says ${stockFailed}`);
  const isHere = (sessionId: string) => both.isHere(sessionId);
  const isAway = (sessionId: string) => both.scene.seat(sessionId) !== undefined && !isHere(sessionId);
  const add = async (sessionId: string) => {
    if (isHere(sessionId)) await both.send(sessionId, "add", 1);
  };
  const steps: (() => Promise<void>)[] = [
    async () => {
      for (const sessionId of ["p1", "p2"]) await both.enter(sessionId, { name: sessionId }, "A");
    },
    () => add("p1"),
    () => both.tick(60),
    () => add("p2"),
    async () => {
      if (isHere("p2")) await both.ask("p2", "ask", 5);
    },
    () => both.tick(60),
    async () => {
      if (isHere("p2")) await both.drop("p2", 1006);
    },
    () => add("p1"),
    () => both.tick(60),
    async () => {
      if (isAway("p2")) await both.reconnect("p2", "B");
    },
    () => both.tick(60),
    () => add("p2"),
    () => both.enter("p3", { name: "p3" }, "B"),
    async () => {
      if (isHere("p1")) await both.drop("p1", 1001);
    },
    () => both.tick(400),
    () => both.tick(400),
    () => both.tick(400),
    async () => {
      if (isHere("p2")) await both.frame("p2", leaveFrame());
    },
    () => both.tick(60),
    () => add("p3"),
    async () => {
      if (isHere("p3")) await both.frame("p3", leaveFrame());
    },
    () => both.tick(100),
  ];
  let rooms: Room[] = [];
  for (const [at, step] of steps.entries()) {
    rooms = both.scene.replicas.map(({ nodeId }) => both.scene.room(nodeId));
    await step();
    await both.acknowledge();
    assert.is(both.scene.isGone, both.stock.isGone, `gone, after ${JSON.stringify(both.done.slice(-8))}`);
    if (both.scene.isGone) break;
    both.compare(factsOf);
    if (at % 3 === 1 && (await both.scene.restore("C"))) restored++;
  }
  both.hear();
  const { journal } = both.stock.room as OddRoom;
  for (const room of rooms) assert.equal((room as OddRoom).journal, journal, JSON.stringify(both.done));
}

const failing: readonly OddAct[] = ["throws", "throwsServerError", "rejects", "rejectsLater"];

function isPlayed(name: string, hook: OddHook, act: OddAct): boolean {
  // Who hears of failures differs by nothing else.
  if (name === "hearing" && !failing.includes(act)) return false;
  // Nothing goes on before the room is made, time neither.
  if (hook === "onCreate" && ["waits", "rejectsLater"].includes(act)) return false;
  // With nobody to hear of it a plain server ends.
  return !(name === "odd" && hook === "timer" && act.startsWith("throws"));
}

// One alone with ODD="onJoin kick".
const only = process.env["ODD"]?.split(" ");
for (const name of ["odd", "hearing"])
  for (const hook of oddHooks)
    test(`[Y181] whatever a room does in ${hook}, it is as in Colyseus itself: ${name}`, async () => {
      for (const act of Object.keys(oddActs) as OddAct[]) {
        if (!isPlayed(name, hook, act) || (only !== undefined && !(only[0] === hook && only[1] === act)))
          continue;
        await play(name, { hook, act }).catch((error: Error) => {
          error.message = `${act}: ${error.message}`;
          throw error;
        });
      }
    });

test("[Y181] that was so of restored replicas, too", () => {
  assert.ok(only !== undefined || restored > 500, `${restored} restores`);
});

test.run();
