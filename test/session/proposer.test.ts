// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { Proposer } from "../../server/session/proposer.ts";
import type { SessionGroups } from "../../server/session/session-groups.ts";
import { sessionMenu } from "../../server/session/session-menu.ts";
import { defineTestRoom } from "../colyseus/machine-harness.ts";
import { Scene } from "../colyseus/scene.ts";

class EndingRoom extends Room {
  end(): void {
    void this.disconnect();
  }
}
await defineTestRoom("ending", EndingRoom);

/** A node's proposer over a real machine, whose log takes everything at once; the numbers that it gave. */
function proposing(scene: Scene): { call: (method: string) => Promise<unknown>; given: number[] } {
  const given: number[] = [];
  const { machine } = scene.first;
  const groups = {
    level: () => ({ level: 1, heldBackBy: () => [] }),
    accepts: () => true,
    propose: async (_group: number, command: Uint8Array) => {
      given.push((sessionMenu.decode(command).argument as { sequence: number }).sequence);
      const next = { ...scene.log.tick("A", 1), command };
      const result = await inMacrotask(() => scene.first.apply(next));
      return result.type === "done" ? result.value : null;
    },
  } as unknown as SessionGroups;
  const proposer = new Proposer({
    ...{ machines: [machine], groups: () => groups, groupOf: () => 0 },
    notServed: () => new Error("not served") as never,
  });
  const { roomId } = scene;
  const call = (method: string) =>
    proposer.toRoom(roomId, "call", (sequence) => ({ sequence, roomId, method, data: [] }));
  return { call, given };
}

test("[Y176] a node counts what it proposes to a room, and forgets the number with the room, also when it asks again", async () => {
  const scene = new Scene(["A"]);
  await scene.create("ending");
  const { call, given } = proposing(scene);
  await call("lock");
  await call("unlock");
  assert.equal(given, [1, 2]);
  await call("end");
  assert.ok(scene.isGone);
  for (let n = 0; n < 3; n++)
    assert.is(((await call("lock")) as { refused?: string }).refused, "ROOM_NOT_FOUND");
  // The machine's host, which is told of the room's end, would have forgotten it before the first of them.
  assert.equal(given, [1, 2, 3, 4, 1, 1]);
});

test.run();
