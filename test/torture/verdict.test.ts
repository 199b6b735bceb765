import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Line, Request } from "./history.ts";
import { judge } from "./verdict.ts";

const joined = (player: string, kind: "stock" | "wrapper"): Line => ({
  type: "joined",
  player,
  kind,
  roomId: "r",
  sessionId: `seat of ${player}`,
});

function request(player: string, n: number, given: Partial<Request>): Request {
  const times = { invokedMs: 10 * n, endedMs: 10 * n + 5 };
  return {
    type: "request",
    what: "add",
    player,
    n,
    key: null,
    input: null,
    output: n,
    outcome: "ok",
    ...times,
    ...given,
  };
}

const finals = (count: number | undefined) =>
  new Map([["n1", count === undefined ? {} : { "seat of p": count }]]);

test("[T1] what was acknowledged and what is unknown: nothing lost, nothing doubled", () => {
  const stock = [
    joined("p", "stock"),
    request("p", 1, { output: 1 }),
    request("p", 2, { outcome: "unknown", output: "lost" }),
    request("p", 3, { output: 2 }),
  ];
  assert.equal(judge(stock, finals(2)).problems, []);
  assert.equal(judge(stock, finals(3)).problems, []);
  assert.match(judge(stock, finals(1)).problems.join(), /1 adds on n1: 2 ok, 1 unknown/);
  assert.match(judge(stock, finals(4)).problems.join(), /4 adds on n1/);
  assert.match(judge(stock, finals(undefined)).problems.join(), /undefined adds/);
  const twice = [joined("p", "stock"), request("p", 1, { output: 1 }), request("p", 2, { output: 1 })];
  assert.match(judge(twice, finals(2)).problems.join(), /one number twice/);
});

test("[T1] a wrapper's commands are applied once each, in order, and every one is answered", () => {
  const good = [joined("p", "wrapper"), request("p", 1, {}), request("p", 2, {})];
  assert.equal(judge(good, finals(2)).problems, []);
  const skipped = [joined("p", "wrapper"), request("p", 1, {}), request("p", 2, { output: 3 })];
  assert.match(judge(skipped, finals(2)).problems.join(), /answer 2 is 3/);
  const open = [joined("p", "wrapper"), request("p", 1, { outcome: "unknown" })];
  assert.match(judge(open, finals(1)).problems.join(), /1 adds without an answer/);
});

test("[T1] a seat that was lost is a problem", () => {
  const lines: Line[] = [joined("p", "stock"), { type: "left", player: "p", code: 4002, reason: "why" }];
  assert.match(judge(lines, finals(0)).problems.join(), /p lost its seat: 4002 why/);
});

test("[T1] a register's answers must have an order", () => {
  const put = (n: number, value: string, before: string | null) =>
    request("p", n, {
      what: "put",
      key: "k",
      input: { key: "k", value },
      output: { value: before },
    });
  const get = (n: number, value: string | null) =>
    request("p", n, { what: "get", key: "k", input: "k", output: { value } });
  const lines = (last: string) => [joined("p", "stock"), put(1, "a", null), put(2, "b", "a"), get(3, last)];
  assert.equal(judge(lines("b"), finals(0)).problems, []);
  assert.match(judge(lines("a"), finals(0)).problems.join(), /not linearizable/);
});

test.run();
