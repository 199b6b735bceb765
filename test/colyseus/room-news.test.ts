// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { newsMethod } from "../../server/colyseus/presence/room-news.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import { same, turns } from "./asking-room.ts";
import { SharedPresence } from "./calling-room.ts";
import { agree, Ear, heard, hearing, LoggingPresence, type Told, tend } from "./hearing-room.ts";

const ears = (presence: SharedPresence, channel: string) => presence.subscriptions.listenerCount(channel);

test("[Y135] what is published comes to every replica at the same place, by the leader's ears alone", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  await scene.join("p1", "A");
  assert.is(ears(presence, "news"), 1);
  presence.publish("news", { gold: 7 });
  presence.publish("named", "second");
  presence.publish("elsewhere", "nobody's");
  assert.equal(heard(scene), [], "nothing is told before it is agreed");
  await agree(scene, all);
  assert.equal(heard(scene), [
    ["created", { gold: 7 }],
    ["named", "second"],
  ]);
  assert.equal(scene.player("p1").messages, [
    ["created", { gold: 7 }],
    ["named", "second"],
  ]);
});

test("[Y135] a handler subscribes and unsubscribes; who subscribed twice hears twice, in the order of subscribing", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  await scene.join("p1", "A");
  await scene.send("p1", "named", "news");
  await scene.send("p1", "named", "more");
  await turns();
  assert.equal(
    [ears(presence, "news"), ears(presence, "more")],
    [1, 1],
    "at once, and once for each channel",
  );
  presence.publish("news", 1);
  presence.publish("more", 2);
  await agree(scene, all);
  assert.equal(heard(scene).splice(0), [
    ["created", 1],
    ["named", 1],
    ["named", 2],
  ]);
  await scene.send("p1", "unname");
  await scene.send("p1", "quiet", "more");
  presence.publish("more", "on its way when it was too late");
  await agree(scene, all);
  await tend(all);
  assert.equal([ears(presence, "news"), ears(presence, "more")], [1, 0]);
  presence.publish("news", 3);
  await agree(scene, all);
  assert.equal(heard(scene).slice(3), [["created", 3]]);
});

test("[Y135] functions in fields are found again, on a restored replica too", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  await scene.join("p1", "A");
  assert.ok(await scene.restore("C"));
  const expected = [
    ["field", 1],
    ["kept", 1],
    ["kept", 2],
  ];
  for (const [news, then] of [
    [1, "unfield"],
    [2, "unkeep"],
    [3, "unkeep"],
  ] as const) {
    presence.publish("field", news);
    await agree(scene, all);
    await scene.send("p1", then);
  }
  assert.equal(heard(scene), expected);
  await tend(all);
  assert.is(ears(presence, "field"), 0);
});

test("[Y135] a callback that fails is a result, and hurts no other; one that waits keeps the room from rest", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  await scene.join("p1", "A");
  await scene.send("p1", "named", "news");
  presence.publish("news", "fails");
  presence.publish("named", "after it");
  await agree(scene, all);
  assert.equal(heard(scene), [
    ["created", "fails"],
    ["named", "after it"],
  ]);
  for (const { warnings } of scene.replicas) assert.match(JSON.stringify(warnings), "no such news");
  await scene.send("p1", "slow", "slow");
  await turns();
  presence.publish("slow", "takes its time");
  await agree(scene, all);
  const because = () => scene.first.machine.rooms.get(scene.roomId)?.restlessBecause() ?? null;
  assert.match(because() as string, /the subscription to "slow" has not finished/);
  await scene.tick(50, 6);
  assert.equal(heard(scene).at(-1), ["slow", "takes its time"]);
  assert.is(because(), null);
});

test("[Y135] a room that ends, and a node that stops or leads no more, is heard for no more", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  scene.node("B").leadsTerm = null;
  await tend(all);
  assert.is(ears(presence, "news"), 0);
  scene.node("C").leadsTerm = 2;
  await tend(all);
  assert.is(ears(presence, "news"), 1);
  presence.publish("news", 1);
  await agree(scene, all);
  assert.equal(heard(scene), [["created", 1]]);
  all.get("C")?.keeper.stop();
  assert.is(ears(presence, "news"), 0);
  const other = await hearing(presence);
  assert.is(ears(presence, "news"), 1);
  await other.scene.apply(other.scene.log.quarantine("A", { roomId: other.scene.roomId }));
  await tend(other.ears);
  assert.is(ears(presence, "news"), 0);
});

test("[Y136] what an earlier leader still says after its successor counts for nothing", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  presence.publish("news", "of the first");
  await turns();
  const [late] = (all.get("B") as Ear).told.splice(0) as [Told];
  scene.node("B").leadsTerm = null;
  scene.node("C").leadsTerm = 2;
  await tend(all);
  presence.publish("news", "of the second");
  await agree(scene, all);
  await scene.apply(scene.log.call("B", scene.roomId, newsMethod, late.batch));
  assert.equal(heard(scene), [["created", "of the second"]]);
});

test("[Y136] where the presence numbers what is published, the next leader misses nothing and doubles nothing", async () => {
  const presence = new LoggingPresence();
  presence.publish("news", "before the room");
  const { scene, ears: all } = await hearing(presence);
  await agree(scene, all);
  presence.publish("news", 1);
  await agree(scene, all);
  presence.publish("news", 2);
  await turns();
  const [late] = (all.get("B") as Ear).told.splice(0) as [Told];
  scene.node("B").leadsTerm = null;
  await tend(all);
  presence.publish("news", 3);
  scene.node("C").leadsTerm = 2;
  await tend(all);
  // Agreed after all, in front of what the next one says.
  await scene.apply(scene.log.call("B", scene.roomId, newsMethod, late.batch));
  presence.publish("news", 4);
  await agree(scene, all);
  assert.equal(
    heard(scene),
    [1, 2, 3, 4].map((news) => ["created", news]),
  );
});

test("[Y136] that holds from the moment that the first leader has subscribed, though nothing was published yet", async () => {
  const presence = new LoggingPresence();
  const { scene, ears: all } = await hearing(presence);
  await agree(scene, all);
  scene.node("B").leadsTerm = null;
  await tend(all);
  presence.publish("news", "between");
  scene.node("C").leadsTerm = 2;
  await tend(all);
  await agree(scene, all);
  assert.equal(heard(scene), [["created", "between"]]);
});

test("[Y136] what could not be agreed is told again, in order", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  presence.publish("news", 1);
  presence.publish("news", 2);
  await turns();
  const ear = all.get("B") as Ear;
  ear.told.splice(0)[0]?.refused(new Error("OVERLOADED"));
  await turns();
  presence.publish("news", 3);
  await tend(all);
  await agree(scene, all);
  assert.equal(
    heard(scene),
    [1, 2, 3].map((news) => ["created", news]),
  );
});

test("[Y137] subscriptions go through checkpoints: those of onCreate by ordinal, methods by name, with what was heard", async () => {
  const presence = new LoggingPresence();
  const { scene, ears: all } = await hearing(presence);
  await scene.join("p1", "A");
  await scene.send("p1", "named", "more");
  await scene.send("p1", "quiet", "named");
  await agree(scene, all);
  presence.publish("news", 1);
  await agree(scene, all);
  for (const nodeId of ["C", "B"]) {
    assert.ok(await scene.restore(nodeId));
    same(scene);
  }
  const restored = scene.node("B");
  restored.leadsTerm = 3;
  all.get("B")?.keeper.stop();
  const fresh = new Map([["B", new Ear(restored, presence)]]);
  presence.publish("news", 2);
  presence.publish("more", 3);
  presence.publish("named", "nobody listens");
  await tend(fresh);
  await agree(scene, fresh);
  assert.equal(heard(scene), [
    ["created", 1],
    ["created", 2],
    ["named", 3],
  ]);
  assert.ok(await scene.restore("C"));
  same(scene);
});

test("[Y137] a closure of a handler keeps the room from rest until it has unsubscribed, and is named with its place", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  await scene.join("p1", "A");
  await scene.send("p1", "closure");
  await turns();
  presence.publish("loose", 1);
  await agree(scene, all);
  assert.equal(heard(scene), [["closure", 1]]);
  const because = scene.first.machine.rooms.get(scene.roomId)?.restlessBecause() ?? "";
  assert.match(
    because,
    /the subscription to "loose" made at .*hearing-room\.ts:\d+.* is a closure: give it a method/,
  );
  assert.is(await scene.restore("C"), false);
  await scene.tick(50, 12);
  assert.ok(await scene.restore("C"));
  same(scene);
});

test("[Y138] a room's subscriptions are limited, and what is none is refused", async () => {
  const { scene } = await hearing(new SharedPresence());
  await scene.join("p1", "A");
  const told = () => scene.player("p1").messages.map(([, each]) => (each as unknown[]).slice(1));
  await scene.send("p1", "many", sessionLimits.subscriptionsMax - 4);
  assert.equal(told(), []);
  await scene.send("p1", "many", 1);
  assert.equal(told(), [
    [
      "SUBSCRIPTIONS_TOO_MANY",
      "a room has at most 64 subscriptions: unsubscribe from those that are no longer needed",
    ],
  ]);
  await scene.send("p1", "wrong");
  assert.equal(
    told().map(([code]) => code),
    ["SUBSCRIPTIONS_TOO_MANY", ...Array(4).fill("NOT_SUPPORTED")],
  );
  same(scene);
});

test("[Y138] what is no plain data, or too big, is left out and told of", async () => {
  const presence = new SharedPresence();
  const { scene, ears: all } = await hearing(presence);
  presence.publish("news", new Map());
  presence.publish("news", new Uint8Array(sessionLimits.newsBytesMax));
  presence.publish("news", new Uint8Array(sessionLimits.newsBytesMax - 100));
  presence.publish("news", "fits");
  await agree(scene, all);
  assert.is(heard(scene).length, 2);
  const { errors } = all.get("B") as Ear;
  assert.match(errors[0]?.["error"] as string, /message is a Map/);
  assert.match(errors[1]?.["error"] as string, /it has \d+ bytes, at most 49152/);
  assert.is(errors.length, 2);
});

for (const [what, size, fits] of [
  ["messages", 1, sessionLimits.newsWaitingMax],
  ["bytes", 40_000, 6],
] as const) {
  test(`[Y138] past the limit of waiting ${what} what comes is left out and told of; then the room hears again`, async () => {
    const presence = new SharedPresence();
    const { scene, ears: all } = await hearing(presence);
    for (let n = 0; n < fits + 3; n++) presence.publish("news", new Uint8Array(size));
    const ear = all.get("B") as Ear;
    assert.equal(
      ear.errors.map(({ event }) => event),
      ["news-overflow"],
    );
    await agree(scene, all);
    assert.is(heard(scene).length, fits);
    assert.equal([ear.errors.at(-1)?.["event"], ear.errors.at(-1)?.["lost"]], ["news-lost", 3]);
    presence.publish("news", "again");
    await agree(scene, all);
    assert.equal(heard(scene).at(-1), ["created", "again"]);
    assert.is(ear.errors.length, 2);
  });
}

test("[Y138] where the presence keeps what is published nothing of that is lost", async () => {
  const presence = new LoggingPresence();
  const { scene, ears: all } = await hearing(presence);
  await agree(scene, all);
  const count = 3 * sessionLimits.newsWaitingMax;
  for (let n = 1; n <= count; n++) presence.publish("news", n);
  for (let round = 0; round < 4; round++) {
    await agree(scene, all);
    await tend(all);
  }
  assert.equal(
    heard(scene).map((each) => (each as unknown[])[1]),
    Array.from({ length: count }, (_, at) => at + 1),
  );
  assert.equal(all.get("B")?.errors, []);
});

test("[Y138] a subscription that fails is tried again, and told of", async () => {
  const presence = new SharedPresence();
  let fails = true;
  const subscribe = presence.subscribe.bind(presence);
  presence.subscribe = (channel, callback) =>
    fails && channel === "news"
      ? Promise.reject(new Error("the store is down"))
      : subscribe(channel, callback);
  const { scene, ears: all } = await hearing(presence);
  assert.match(all.get("B")?.errors[0]?.["error"] as string, "the store is down");
  fails = false;
  await tend(all);
  presence.publish("news", 1);
  await agree(scene, all);
  assert.equal(heard(scene), [["created", 1]]);
});

test.run();
