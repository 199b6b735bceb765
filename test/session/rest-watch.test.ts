import { randomBytes } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import { RestWatch, restTimes } from "../../server/session/rest-watch.ts";
import type { RoomProgram } from "../../server/session/room-program.ts";
import type { RoomReplica } from "../../server/session/room-replica.ts";
import { Sessions } from "../../server/session/sessions.ts";

/** A watch on one room, and what it tells, as its seconds go by. */
function watching() {
  const told: string[] = [];
  let nowMs = 0;
  let because: string | null = null;
  let looks = 0;
  const replica = {
    birth: { roomId: "r1", roomName: "arena" },
    restlessBecause: () => {
      looks++;
      return because;
    },
  } as unknown as RoomReplica;
  const watch = new RestWatch({
    nowMs: () => nowMs,
    rooms: () => [replica],
    log: { warn: (facts, message) => told.push(`${(facts as { event: string }).event}: ${message}`) },
  });
  return {
    told,
    looks: () => looks,
    seconds(count: number, reason: string | null) {
      because = reason;
      for (let quarter = 0; quarter < count * 4; quarter++) {
        watch.tick();
        nowMs += 250;
      }
    },
  };
}

const minute = restTimes.restlessMsMax / 1_000;

test("[Y145] a room that has not been at rest for a minute is told of, with the reason and its place, once for each", () => {
  const { told, seconds } = watching();
  const timer = "a clock timer made at arena.ts:12 has not fired";
  seconds(minute, timer);
  assert.equal(told, []);
  seconds(minute, timer);
  assert.is(told.length, 1);
  assert.match(
    told[0] ?? "",
    /^room-restless: room r1 \(arena\) has not been at rest for 60 s: a clock timer made at arena\.ts:12 /,
  );
  assert.match(told[0] ?? "", "past --room-log-bytes-max no more");
  seconds(1, 'effect "save" has not finished');
  seconds(minute, timer);
  assert.is(told.length, 2);
  assert.match(told[1] ?? "", 'effect "save"');
});

test("[Y145] one that is at rest now and then is not, however often it is looked at", () => {
  const { told, seconds, looks } = watching();
  for (let turn = 0; turn < 10; turn++) {
    seconds(minute / 2, "a hook has not finished");
    seconds(1, null);
  }
  assert.equal(told, []);
  assert.is(looks(), 10 * (minute / 2 + 1), "once a second");
});

test("[Y145] of one room there are only so many reasons to tell", () => {
  const { told, seconds } = watching();
  seconds(minute, "reason 0");
  for (let reason = 0; reason < 40; reason++) seconds(1, `reason ${reason}`);
  assert.is(told.length, 16);
});

test("[Y145] a node looks at its rooms by itself", async () => {
  const told: object[] = [];
  let nowMs = 0;
  const program = {
    reservedSeats: 0,
    disposed: false,
    restlessBecause: () => "it waits for ever",
    takeLeaves: () => [],
    vacated: () => [],
    hash: () => "0",
    discard: () => {},
  } as unknown as RoomProgram;
  const sessions = new Sessions({
    ...{ nodeId: "A", bootCount: 1, groups: 1, isLost: () => false, random: randomBytes },
    programs: { create: async () => program, restore: async () => program },
    log: { info: () => {}, warn: (facts) => told.push(facts), error: () => {} },
    clock: { setTimer: () => () => {}, now: () => ({ monotonicMs: nowMs, wallMs: 0 }) },
  });
  sessions.bind({
    propose: (_group, command) =>
      new Promise((resolve) =>
        setImmediate(() => {
          const id = { nodeId: "A", bootCount: 1, sequence: 1 };
          const applied = { index: 1, term: 1, logTimeMs: 1, wallTimeMs: 1, level: 1, id, command };
          const result = sessions.machines[0]?.apply(applied);
          resolve(result?.type === "done" ? result.value : null);
        }),
      ),
    accepts: () => true,
    barrier: async () => {},
    isLeader: () => false,
    leaderlessMs: () => null,
    lead: () => ({ leaderId: null, term: 1 }),
    level: () => ({ level: 1, heldBackBy: () => [] }),
    configuration: () => emptyConfiguration,
    tell: () => {},
    isBusy: () => false,
  });
  const roomId = await sessions.allocate({
    ...{ key: "k", roomName: "arena", options: {}, fresh: false, exclude: null },
  });
  for (; nowMs <= restTimes.restlessMsMax; nowMs += 250) sessions.sweep();
  assert.equal(told, [
    {
      ...{ event: "room-restless", roomId, room: "arena" },
      ...{ restlessMs: restTimes.restlessMsMax, because: "it waits for ever" },
    },
  ]);
});

test.run();
