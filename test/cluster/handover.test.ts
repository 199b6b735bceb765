import { test } from "uvu";
import * as assert from "uvu/assert";
import { Handover, handoverDefaults } from "../../server/cluster/handover.ts";
import type { GroupStatus } from "../../server/group/group-status.ts";
import type { TransferOutcome, TransferRefusalCode } from "../../server/group/lead-transfer.ts";
import { ManualClock } from "./manual-clock.ts";

/** Groups whose leaders and heirs a test sets; what was asked is written down, and answered when the test says so. */
function world(leaders: string[], heirs: string[]) {
  const clock = new ManualClock();
  const asked: [number, string][] = [];
  const answers: ((outcome: TransferOutcome) => void)[] = [];
  const engine = {
    status: () =>
      leaders.map(
        (leader, id) => ({ id, leader, role: leader === "n1" ? "leader" : "follower" }) as GroupStatus,
      ),
    heirs: () => heirs,
    transferLeader: (group: number, to: string) => {
      asked.push([group, to]);
      return new Promise<TransferOutcome>((resolve) => answers.push(resolve));
    },
  };
  let isLinked = heirs.length > 0;
  let over = false;
  const begin = () =>
    new Handover({ engine, clock, nodeId: "n1", isLinked: () => isLinked }).run().then(() => (over = true));
  const settle = async (ms: number) => {
    clock.advance(ms);
    for (let round = 0; round < 5; round++) await Promise.resolve();
    return over;
  };
  const refuse = (code: TransferRefusalCode) => answers.shift()?.({ type: "refused", code, message: code });
  const unlink = () => (isLinked = false);
  return { asked, begin, settle, refuse, unlink, leaders, heirs };
}

test("[C30] each lead is offered to the best heir, once, and the end is waited for", async () => {
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

test("[C30] an heir that refuses is passed over; when all have refused they are asked anew", async () => {
  const { asked, begin, settle, refuse } = world(["n1"], ["n2", "n3"]);
  void begin();
  for (const code of ["NOT_LINKED", "TIMED_OUT", "LAGGING"] as const) {
    refuse(code);
    assert.is(await settle(0), false);
    await settle(handoverDefaults.pollMs);
  }
  assert.equal(
    asked.map(([, to]) => to),
    ["n2", "n3", "n2", "n3"],
  );
});

test("[C30] a transfer that somebody else asked for is waited out", async () => {
  const { asked, begin, settle, refuse } = world(["n1"], ["n2", "n3"]);
  void begin();
  refuse("TRANSFERRING");
  await settle(0);
  await settle(handoverDefaults.pollMs);
  assert.equal(
    asked.map(([, to]) => to),
    ["n2", "n2"],
  );
});

test("[C30] as long as nobody has caught up it is looked again", async () => {
  const { asked, begin, settle, heirs } = world(["n1"], ["n2"]);
  heirs.pop();
  void begin();
  assert.is(await settle(50), false);
  heirs.push("n3");
  await settle(handoverDefaults.pollMs);
  assert.equal(asked, [[0, "n3"]]);
});

test("[C9] a node that leads nothing, or is alone, waits for nothing; one that cannot get rid of a lead stops after handoverMsMax", async () => {
  const idle = world(["n2"], ["n2"]);
  void idle.begin();
  assert.is(await idle.settle(0), true);
  const alone = world(["n1"], []);
  void alone.begin();
  assert.is(await alone.settle(0), true);
  const left = world(["n1"], ["n2"]);
  void left.begin();
  assert.is(await left.settle(handoverDefaults.pollMs), false);
  left.unlink();
  assert.is(await left.settle(handoverDefaults.pollMs), true);
  const stuck = world(["n1"], ["n2"]);
  void stuck.begin();
  assert.is(await stuck.settle(handoverDefaults.handoverMsMax - 1), false);
  assert.is(await stuck.settle(handoverDefaults.pollMs), true);
});

test.run();
