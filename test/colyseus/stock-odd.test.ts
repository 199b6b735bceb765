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
  const replicas = both.scene.replicas.map(({ nodeId }) => both.scene.room(nodeId));
  for (const step of steps) {
    await step();
    await both.acknowledge();
    assert.is(both.scene.isGone, both.stock.isGone, `gone, after ${JSON.stringify(both.done.slice(-8))}`);
    if (both.scene.isGone) break;
    both.compare(factsOf);
  }
  both.hear();
  const { journal } = both.stock.room as OddRoom;
  for (const room of replicas) assert.equal((room as OddRoom).journal, journal, JSON.stringify(both.done));
}

/** Nothing goes on before the room is made, time neither. */
const endless: readonly OddAct[] = ["waits", "rejectsLater"];
const only = process.env["ODD"]?.split(" ");
for (const hook of oddHooks)
  for (const name of ["odd", "hearing"])
    test(`[Y181] whatever a room does in ${hook}, it is as in Colyseus itself: ${name}`, async () => {
      const failures: string[] = [];
      for (const act of Object.keys(oddActs) as OddAct[]) {
        if (only !== undefined && !(only.includes(hook) && only.includes(act))) continue;
        if (hook === "onCreate" && endless.includes(act)) continue;
        try {
          await play(name, { hook, act });
        } catch (error) {
          if (only !== undefined) throw error;
          const { message, details } = error as Error & { details?: string };
          failures.push(`${hook} ${act}: ${message}\n${details ?? ""}`);
        }
      }
      assert.equal(failures, [], failures.join("\n"));
    });

test.run();
