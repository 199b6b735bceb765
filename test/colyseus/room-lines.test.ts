// test-run: seconds=60
import { spawnSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";

test("[Y77] what room code prints is printed once, by the leader's node, and not again when the room is restored", () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import=./server/colyseus/register.ts", "test/colyseus/room-lines-main.ts"],
    { encoding: "utf8" },
  );
  assert.is(status, 0, stderr);
  const lines = `${stdout}\n${stderr}`.match(/\[(\w+)\]/g)?.toSorted();
  // A callback is called on every replica, and outside of the room: what that prints is no room code's.
  const written = ["[written]", "[written]", "[written]"];
  assert.equal(
    lines,
    [
      ...["[created]", "[log]", "[outside]", "[pino]", "[stderr]", "[stdout]", "[warn]", "[writeSync]"],
      ...written,
    ].toSorted(),
  );
});

test.run();
