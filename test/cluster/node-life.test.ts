import { test } from "uvu";
import * as assert from "uvu/assert";
import { NodeLife, type NodeLifeEvent } from "../../server/cluster/node-life.ts";

function lived(...events: NodeLifeEvent[]): string[] {
  const life = new NodeLife();
  const states: string[] = [life.state];
  life.onState((state) => states.push(state));
  for (const event of events) life.send(event);
  return states;
}

const open = { type: "open" } as const;
const led = { type: "led" } as const;
const drain = { type: "drain" } as const;
const stop = { type: "stop" } as const;
const closed = { type: "closed" } as const;

test("[C8] a blank node founds, joins, serves, drains and stops", () => {
  const founded: NodeLifeEvent[] = [open, { type: "recovered", founded: false }, { type: "founded" }];
  assert.equal(lived(...founded, led, drain, stop, closed), [
    "starting",
    "recovering",
    "founding",
    "joining",
    "serving",
    "draining",
    "stopping",
    "stopped",
  ]);
});

test("[C8] only a node that serves drains; any stops without", () => {
  assert.equal(lived(open, { type: "recovered", founded: true }, drain, led, stop), [
    "starting",
    "recovering",
    "joining",
    "serving",
    "stopping",
  ]);
});

test("[C8] a founded node joins at once", () => {
  assert.equal(lived(open, { type: "recovered", founded: true }, led), [
    "starting",
    "recovering",
    "joining",
    "serving",
  ]);
});

test("[C8] it can be stopped, and can fail, wherever it is; after that nothing changes", () => {
  const way: NodeLifeEvent[] = [open, { type: "recovered", founded: false }, { type: "founded" }, led, drain];
  for (let at = 0; at <= way.length; at++) {
    const before = way.slice(0, at);
    assert.is(lived(...before, stop, closed).at(-1), "stopped");
    assert.is(lived(...before, { type: "fail" }, led, stop, closed).at(-1), "failed");
    assert.is(lived(...before, stop, { type: "fail" }).at(-1), at === 0 ? "stopped" : "failed");
  }
});

test("[C8] an event out of its turn changes nothing", () => {
  assert.equal(lived(led, closed, { type: "founded" }), ["starting"]);
  assert.equal(
    lived(open, { type: "recovered", founded: true }, { type: "founded" }, closed).at(-1),
    "joining",
  );
});

test.run();
