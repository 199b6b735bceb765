import { test } from "uvu";
import * as assert from "uvu/assert";
import { Handover, handoverDefaults } from "../../server/cluster/handover.ts";
import type { GroupStatus } from "../../server/group/group-status.ts";
import { ManualClock } from "./manual-clock.ts";

/** Groups whose leaders a test sets; what was asked is written down. */
function world(leaders: string[], heirs: string[]) {
  const clock = new ManualClock();
  const asked: [number, string][] = [];
  const engine = {
    status: () =>
      leaders.map(
        (leader, id) => ({ id, leader, role: leader === "n1" ? "leader" : "follower" }) as GroupStatus,
      ),
    transferLeader: (group: number, to: string) => asked.push([group, to]),
  };
  let over = false;
  const begin = () =>
    new Handover({ engine, clock, nodeId: "n1", heirs: () => heirs }).run().then(() => (over = true));
  const settle = async (ms: number) => {
    clock.advance(ms);
    await Promise.resolve();
    await Promise.resolve();
    return over;
  };
  return { asked, begin, settle, leaders, heirs };
}

test("[C9] each led group is given to a linked node, once, and the end is waited for", async () => {
  const { asked, begin, settle, leaders } = world(["n1", "n2", "n1"], ["n2", "n3"]);
  void begin();
  assert.is(await settle(50), false);
  assert.equal(asked, [
    [0, "n2"],
    [2, "n2"],
  ]);
  leaders[0] = "n2";
  assert.is(await settle(50), false);
  leaders[2] = "n3";
  assert.is(await settle(handoverDefaults.pollMs), true);
  assert.is(asked.length, 2);
});

test("[C9] an heir whose link goes down is replaced by another", async () => {
  const { asked, begin, settle, heirs } = world(["n1"], ["n2", "n3"]);
  void begin();
  heirs.shift();
  assert.is(await settle(handoverDefaults.pollMs), false);
  assert.equal(asked, [
    [0, "n2"],
    [0, "n3"],
  ]);
});

test("[C9] a node that leads nothing, or is alone, waits for nothing; one that cannot get rid of a lead stops after handoverMsMax", async () => {
  const idle = world(["n2"], ["n2"]);
  void idle.begin();
  assert.is(await idle.settle(0), true);
  const alone = world(["n1"], []);
  void alone.begin();
  assert.is(await alone.settle(0), true);
  const stuck = world(["n1"], ["n2"]);
  void stuck.begin();
  assert.is(await stuck.settle(handoverDefaults.handoverMsMax - 1), false);
  assert.is(await stuck.settle(handoverDefaults.pollMs), true);
});

test.run();
