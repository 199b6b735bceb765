import { test } from "uvu";
import * as assert from "uvu/assert";
import { reconnectDelayMs } from "../../server/network/dialer.ts";

const limits = { reconnectDelayMsMin: 20, reconnectDelayMsMax: 1000 };

test("[N17] the first retry comes soon, each later one waits twice as long, up to the ceiling", () => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 7, 100, 5000].map((failures) => reconnectDelayMs(failures, 0, limits));
  assert.equal(delays, [20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000]);
});

test("[N17] chance shortens a wait by up to half", () => {
  assert.is(reconnectDelayMs(0, 0.5, limits), 15);
  assert.ok(reconnectDelayMs(9, 0.999, limits) > 500);
});

test.run();
