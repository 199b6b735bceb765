// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ReplicatedRoom } from "../../server/colyseus/replicated.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { currentWorld } from "../../server/session/sandbox.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const State = schema({ n: t.number().default(0) }, "PrimaryState");

/** What was done, by the replica that did it. */
let did: { readonly room: Room; readonly what: string }[] = [];

class MeteredRoom extends Room<{ state: InstanceType<typeof State> }> {
  declare onPrimary: ReplicatedRoom["onPrimary"];
  override state = new State();

  override onCreate() {
    this.autoDispose = false;
    this.meter("created");
    this.onMessage("count", () => {
      this.state.n += 1;
      this.meter(`counted ${this.state.n}`);
    });
    this.onMessage("fail", () => {
      this.onPrimary(() => {
        throw new Error("the meter is broken");
      });
      this.onPrimary(() => Promise.reject(new Error("the meter is broken later")));
      this.onPrimary(() => {
        this.state.n = 100;
      });
      this.onPrimary(async () => {
        await Promise.resolve();
        await Promise.resolve();
        this.state.n = 200;
      });
      this.state.n += 1;
    });
  }

  meter(what: string) {
    this.onPrimary(() => {
      did.push({ room: this, what: currentWorld() === null ? what : "inside of the room" });
    });
  }
}

await defineTestRoom("metered", MeteredRoom);

function scene(): Scene {
  did = [];
  const made = new Scene();
  // The harness's commands are all of term 1.
  made.node("B").leadsTerm = 1;
  return made;
}

test("[Y32] what is for one node only is done on the leader's, outside of the room", async () => {
  const made = scene();
  await made.create("metered");
  await made.join("p1", "A");
  await made.send("p1", "count");
  await made.send("p1", "count");
  assert.equal(
    did.map(({ what }) => what),
    ["created", "counted 1", "counted 2"],
  );
  for (const { room } of did) assert.is(room, made.room("B"));
});

test("[Y32] nothing is done again by a leader that applies what was agreed in another's time, or restores", async () => {
  const made = scene();
  await made.create("metered");
  await made.join("p1", "A");
  await made.send("p1", "count");
  assert.is(did.length, 2);
  assert.ok(await made.restore("B"));
  assert.is(did.length, 2);
  made.node("B").leadsTerm = 2;
  await made.send("p1", "count");
  assert.is(did.length, 2);
  assert.is(made.room<MeteredRoom>("B").state.n, 2);
});

test("[Y32] a failure is a line in the log, and a change of the room is none", async () => {
  const made = scene();
  await made.create("metered");
  await made.join("p1", "A");
  await made.send("p1", "fail");
  await inMacrotask(() => {});
  const warnings = JSON.stringify(made.node("B").warnings);
  assert.is(warnings.split("was changed outside of its log").length, 3, "nor what it goes on with");
  for (const words of ["the meter is broken", "the meter is broken later", "was changed outside of its log"])
    assert.match(warnings, words);
  assert.is(made.room<MeteredRoom>("B").state.n, 1);
  const [a, b, c] = made.hashes();
  assert.equal([b, c], [a, a]);
});

test("[Y32] from outside there is no such thing", async () => {
  const made = scene();
  await made.create("metered");
  assert.throws(
    () => made.room<MeteredRoom>("B").onPrimary(() => {}),
    /onPrimary\(\) was called outside of the room/,
  );
});

test.run();
