// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckError, type CheckScript, checkDeterminism } from "../../server/check.ts";
import { BulkyRoom, GoRoom, join, say, tick } from "./go-room.ts";

class IdleRoom extends GoRoom {
  go() {}
}

const malformed: [string, unknown, RegExp][] = [
  ["no object", 7, /script is not one: .*expected object/],
  ["no steps", {}, /steps/],
  [
    "an unknown step",
    { steps: [{ type: "jump" }] },
    /steps\.0.*join, message, leave, reconnect, tick, propose and news/s,
  ],
  ["a player who has not joined", { steps: [{ type: "leave", client: "bob" }] }, /steps\.0.*"bob"/],
  ["a tick of no time", { steps: [{ type: "tick", ms: 0 }] }, /steps\.0\.ms/],
  ["too much time", { steps: Array.from({ length: 10 }, () => tick(600_000)) }, /6000000 ms.*3600000 ms/],
  ["too many steps", { steps: Array.from({ length: 2_001 }, () => tick(1)) }, /steps.*2000/],
];

for (const [what, bad, words] of malformed) {
  test(`[Y67] a script with ${what} is refused with the place and what is allowed`, async () => {
    try {
      await checkDeterminism(IdleRoom, bad as CheckScript);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, CheckError);
      assert.match((error as Error).message, words);
    }
  });
}

test("[Y67] so is one that is too long for a room of that size", async () => {
  const steps = [join("ann"), ...Array.from({ length: 60 }, () => say("ann", "go"))];
  try {
    await checkDeterminism(BulkyRoom, { steps });
    assert.unreachable();
  } catch (error) {
    assert.is((error as CheckError).code, "SCRIPT_TOO_BIG");
    assert.match(
      (error as Error).message,
      /after each of 5\d steps take more than 67108864 bytes: use a shorter script/,
    );
  }
});

test.run();
