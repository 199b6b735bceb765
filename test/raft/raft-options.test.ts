import { test } from "uvu";
import * as assert from "uvu/assert";
import { completeRaftOptions, type RaftOptions, raftDefaults } from "../../server/raft/raft-options.ts";

test("[R43] a wrong option is told with its name, its value and what is allowed", () => {
  for (const name of Object.keys(raftDefaults) as (keyof RaftOptions)[]) {
    if (name === "fastFailover") continue;
    const wrong = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER];
    for (const value of [...wrong, "50" as unknown as number]) {
      assert.throws(
        () => completeRaftOptions({ [name]: value }),
        (error: unknown) => {
          const { message } = error as RangeError;
          return (
            error instanceof RangeError &&
            message.startsWith(`raft option ${name} is ${value}: a whole number from `) &&
            message.endsWith("is allowed")
          );
        },
      );
    }
  }
});

test("[R43] a switch is on or off", () => {
  assert.throws(
    () => completeRaftOptions({ fastFailover: "no" as unknown as boolean }),
    "raft option fastFailover is no: true or false is allowed",
  );
  assert.is(completeRaftOptions({ fastFailover: false }).fastFailover, false);
});

test("[R43] the defaults are frozen, allowed, and stretch along with T", () => {
  assert.ok(Object.isFrozen(raftDefaults));
  assert.equal(completeRaftOptions({}), raftDefaults);
  const stretched = completeRaftOptions({ electionBaseMs: 100, probeTimeoutMs: 7 });
  assert.is(stretched.quorumTimeoutMs, 2 * raftDefaults.quorumTimeoutMs);
  assert.is(stretched.probeTimeoutMs, 7);
  for (const electionBaseMs of [5, 60_000]) completeRaftOptions({ electionBaseMs });
});

test.run();
