// test-run: node=--import=./server/colyseus/register.ts
import { Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import type { Quarantine } from "../../server/session/quarantine.ts";
import { QuarantineProposer } from "../../server/session/quarantine-proposer.ts";
import { type RoomMark, RoomMarks } from "../../server/session/room-mark.ts";
import { defineTestRoom, Replica } from "../colyseus/machine-harness.ts";
import { Scene } from "../colyseus/scene.ts";

class PlainRoom extends Room {
  override autoDispose = false;
}

await defineTestRoom("plain", PlainRoom);

const turn = () => new Promise((resolve) => setImmediate(resolve));

interface Proposed {
  readonly group: number;
  readonly quarantine: Quarantine;
  readonly answer: (error: Error | null) => void;
}

/** A node with marks, two groups of which only the first one has rooms, and what it proposes. */
async function proposing(roomIds: readonly string[], marked: readonly Partial<RoomMark>[]) {
  const scene = new Scene(["A"]);
  const marks = new RoomMarks(
    marked.map((mark) => ({
      roomId: "?",
      group: 0,
      act: "apply",
      index: 3,
      why: "stuck",
      deaths: 1,
      ...mark,
    })),
  );
  const replicas = [new Replica("A", 2, { marks }), new Replica("A", 2, { marks })];
  for (const roomId of roomIds) {
    const command = scene.log.allocate("A", roomId, "plain");
    await inMacrotask(() => replicas[0]?.apply(command));
  }
  const proposed: Proposed[] = [];
  const log: string[] = [];
  const barriers: (() => void)[] = [];
  const proposer = new QuarantineProposer({
    machines: replicas.map(({ machine }) => machine),
    marks,
    propose: (group, quarantine) =>
      new Promise((resolve, reject) => {
        const answer = (error: Error | null) => (error === null ? resolve(null) : reject(error));
        proposed.push({ group, quarantine, answer });
      }),
    caughtUp: () => new Promise((resolve) => barriers.push(resolve)),
    log: { info: (_, message) => log.push(message), warn: (_, message) => log.push(message) },
  });
  return { scene, marks, replicas, proposed, proposer, barriers, log };
}

test("[Q7] a node has each room closed that it could not get past, once at a time, and again until it is", async () => {
  const { scene, marks, replicas, proposed, proposer, log } = await proposing(
    ["one00000A", "two00000A", "fine0000A"],
    [{ roomId: "one00000A" }, { roomId: "two00000A", act: "create", index: 2, deaths: 2 }],
  );
  proposer.sweep();
  proposer.sweep();
  assert.equal(
    proposed.map(({ group, quarantine }) => [group, quarantine.roomId, quarantine.act, quarantine.deaths]),
    [
      [0, "one00000A", "apply", 1],
      [0, "two00000A", "create", 2],
    ],
  );
  proposed[0]?.answer(new Error("no leader"));
  await turn();
  assert.equal(log, ["its quarantine will be proposed again"]);
  proposer.sweep();
  assert.equal(
    proposed.map(({ quarantine }) => quarantine.roomId),
    ["one00000A", "two00000A", "one00000A"],
  );
  const command = scene.log.quarantine("A", { roomId: "one00000A" });
  await inMacrotask(() => replicas[0]?.apply(command));
  proposed[2]?.answer(null);
  await turn();
  proposer.sweep();
  assert.is(proposed.length, 3, "nothing is left to be agreed");
  assert.ok(marks.of("one00000A"), "its end is not durable yet");
});

test("[Q5] a mark of a room that does not exist any more is dropped, once this replica is up to date", async () => {
  const { marks, proposed, proposer, barriers } = await proposing(
    ["fine0000A"],
    [{ roomId: "gone0000A" }, { roomId: "gone0000B", group: 1 }, { roomId: "gone0000Z", group: 25 }],
  );
  proposer.sweep();
  await turn();
  assert.equal(
    marks.all.map(({ roomId }) => roomId),
    ["gone0000A", "gone0000B"],
    "a group that there is not has no rooms",
  );
  for (const resolve of barriers) resolve();
  await turn();
  assert.equal(marks.all, []);
  assert.equal(proposed, []);
});

test.run();
