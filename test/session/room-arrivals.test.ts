import { test } from "uvu";
import * as assert from "uvu/assert";
import { RoomArrivals } from "../../server/session/room-arrivals.ts";

test("[U31] those who wait for a room go on behind the turn in which it comes, or when their time is over; too many do not wait", async () => {
  let timers: { readonly act: () => void; readonly ms: number }[] = [];
  const arrivals = new RoomArrivals((act, ms) => timers.push({ act, ms }));
  const gone: string[] = [];
  const wait = (who: string, roomId: string) => void arrivals.until(roomId, 2_000).then(() => gone.push(who));
  const pass = async (ms: number) => {
    const due = timers.filter((timer) => timer.ms <= ms);
    timers = timers.filter((timer) => timer.ms > ms);
    for (const { act } of due) act();
    await new Promise((resolve) => setImmediate(resolve));
  };
  wait("one", "a");
  wait("two", "a");
  wait("three", "b");
  arrivals.came("a");
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(gone, [], "not in the midst of an apply");
  await pass(0);
  assert.equal(gone, ["one", "two"]);
  await pass(2_000);
  assert.equal(gone, ["one", "two", "three"]);
  for (let each = 0; each < 1_000; each++) wait("more", "c");
  wait("too many", "c");
  await pass(0);
  assert.equal(gone.slice(3), ["too many"]);
});

test.run();
