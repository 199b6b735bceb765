import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Player, Snapshot } from "../../client/arena/arena-state.ts";
import { viewOf } from "../../client/arena/camera.ts";
import { GapMeter } from "../../client/arena/gap-meter.ts";
import { type NodeStatus, readEndpoints, readStatus } from "../../client/arena/node-status.ts";
import { OwnShip } from "../../client/arena/own-ship.ts";
import { Colors } from "../../client/arena/palette.ts";
import { ReplicaSeals } from "../../client/arena/replica-seals.ts";
import { ShotCounter } from "../../client/arena/shot-counter.ts";
import { Timeline } from "../../client/arena/timeline.ts";
import { clockText, msText, numeral } from "../../client/arena/wording.ts";
import { arenaRules } from "../../shared/arena/rules.ts";

const player = (x: number): Player => ({
  name: "A",
  x,
  y: 0,
  angle: 0,
  thrust: 0,
  shielded: false,
  score: 0,
  shots: 0,
  online: true,
  node: "",
});
const at = (clockMs: number, x: number): Snapshot => ({
  clockMs,
  players: new Map([["a", player(x)]]),
  missiles: new Map(),
});
const patches = (meter: GapMeter, times: readonly number[]): void => {
  for (const time of times) meter.patch(time);
};

test("the gap meter finds the longest silence around a failover, whenever it is told of it", () => {
  const meter = new GapMeter();
  patches(meter, [0, 50, 100, 150, 390, 440]);
  assert.is(meter.worstGapMs, null, "a pause without a failover is none of its business");
  meter.suspect("node-2 fell", 600);
  assert.is(meter.lastGapMs, 240);
  patches(meter, [490, 900]);
  assert.is(meter.lastGapMs, 410, "also what comes after");
  patches(meter, [950, 4_000, 4_700]);
  assert.equal(
    meter.gaps,
    [{ cause: "node-2 fell", atMs: 600, gapMs: 3_050 }],
    "and a silence that began within it",
  );
  meter.suspect("dropped", 60_000);
  patches(meter, [60_010]);
  assert.is(meter.silentMs(60_100), 90);
});

test("two signs of one failover are one gap; a later one is another; the worst stays", () => {
  const meter = new GapMeter();
  patches(meter, [0, 50, 350]);
  meter.suspect("dropped", 200);
  meter.suspect("node-1 fell", 800);
  patches(meter, [400, 5_000, 5_050]);
  meter.suspect("node-3 fell", 9_000);
  assert.is(meter.gaps.length, 2);
  assert.is(meter.worstGapMs, 4_600);
});

test("the gap meter forgets gaps past 100", () => {
  const meter = new GapMeter();
  for (let failover = 0; failover < 120; failover += 1) {
    meter.suspect(`${failover}`, failover * 10_000);
    patches(meter, [failover * 10_000, failover * 10_000 + 4_000]);
  }
  assert.is(meter.gaps.length, 100);
  assert.is(meter.gaps[0]?.cause, "20");
});

test("shots are lost when the match holds fewer than were confirmed, doubled when it holds more than were fired", () => {
  const counter = new ShotCounter();
  counter.observe(5, 0);
  counter.fired();
  counter.fired();
  counter.confirmed(6, 100);
  counter.failed();
  counter.observe(5, 500);
  assert.equal(
    [counter.shots, counter.acknowledged, counter.unknown, counter.lost, counter.doubled],
    [2, 1, 1, 0, 0],
    "a patch may lag",
  );
  counter.observe(5, 1_200);
  assert.is(counter.lost, 1);
  counter.observe(8, 1_300);
  assert.is(counter.doubled, 1);
  assert.is(counter.lost, 1, "what was lost once is not forgotten");
});

test("the timeline draws between two patches, a little behind, and never back in time", () => {
  const timeline = new Timeline();
  for (let tick = 0; tick <= 10; tick += 1) timeline.push(at(tick * 50, tick * 10), 1_000 + tick * 50);
  const x = (atMs: number): number => timeline.sample(atMs).players.get("a")?.x ?? Number.NaN;
  assert.ok(Math.abs(x(1_425) - 65) < 1e-6);
  assert.ok(Math.abs(x(1_450) - 70) < 1e-6);
  assert.ok(Math.abs(x(1_400) - 70) < 1e-6, "not back");
  assert.ok(Math.abs(x(1_650) - 110) < 1e-6, "on beyond the newest patch");
  assert.is(x(9_000), 130, "but not for long");
});

test("who jumps is not drawn in between", () => {
  const timeline = new Timeline();
  timeline.push(at(0, 0), 0);
  timeline.push(at(50, 600), 50);
  assert.is(timeline.sample(125).players.get("a")?.x, 0);
  assert.is(timeline.sample(151).players.get("a")?.x, 600);
});

test("the own ship obeys at once, makes up for differences, and waits when no patch comes", () => {
  const ship = new OwnShip();
  ship.reconcile({ x: 0, y: 0, angle: 0 }, 0, 0, 0);
  for (let frame = 1; frame <= 6; frame += 1) ship.advance({ angle: 0, thrust: 1 }, 16, frame * 16);
  assert.ok(ship.pose.x > 1);
  const ahead = ship.pose.x;
  ship.reconcile({ x: ahead + 30, y: 20, angle: 0 }, 96, 96, 0);
  for (let frame = 1; frame <= 12; frame += 1) ship.advance({ angle: 0, thrust: 0 }, 16, 96 + frame * 16);
  assert.ok(ship.pose.y > 12, "most of the difference is made up for");
  const blind = ship.pose.x;
  ship.advance({ angle: 0, thrust: 1 }, 16, 96 + 2_000);
  assert.is(ship.pose.x, blind);
  ship.reconcile({ x: -500, y: 0, angle: 1 }, 150, 2_200, 0);
  assert.equal([ship.pose.x, ship.pose.angle], [-500, 1], "a new place is taken at once");
});

const status = (node: string, hashIndex: number, stateHash: string): NodeStatus =>
  readStatus({
    node,
    pid: 1,
    groups: [],
    rooms: [{ roomId: "r", name: "arena", group: 1, appliedIndex: hashIndex + 7, stateHash, hashIndex }],
  });

test("replica seals are compared at equal indexes only, and a difference is never painted over", () => {
  const seals = new ReplicaSeals();
  seals.observe(status("node-1", 10, "aa"), "r");
  seals.observe(status("node-2", 11, "bb"), "r");
  assert.equal(seals.agreement, { type: "open" });
  seals.observe(status("node-1", 11, "bb"), "r");
  assert.equal(seals.agreement, { type: "equal", index: 11, replicas: 2 });
  seals.observe(status("node-3", 10, "zz"), "r");
  assert.equal(seals.agreement, { type: "different", index: 10 });
  seals.observe(status("node-3", 11, "bb"), "r");
  assert.equal(seals.agreement, { type: "different", index: 10 });
});

test("what is no status and no list of endpoints is refused", () => {
  for (const value of [null, 1, {}, { node: "n" }, { groups: [] }])
    assert.throws(() => readStatus(value), TypeError);
  for (const value of [null, {}, { endpoints: [] }]) assert.throws(() => readEndpoints(value), TypeError);
  assert.equal(
    readEndpoints({ endpoints: [{ node: "node-1", region: "eu", url: "ws://127.0.0.1:2567/x" }] }),
    [{ node: "node-1", region: "eu", url: "http://127.0.0.1:2567" }],
  );
  assert.is(readStatus({ node: "node-1", groups: [], development: "yes" }).development, false);
});

test("the camera shows the whole arena where it fits, else follows the ship without looking far outside", () => {
  const wide = viewOf({ width: 1_440, height: 900 }, { x: 500, y: 0 });
  assert.is(wide.whole, true);
  assert.equal([wide.x, wide.y], [720, 450]);
  const phone = { width: 390, height: 600 };
  const middle = viewOf(phone, { x: 100, y: 0 });
  assert.is(middle.whole, false);
  assert.is(middle.x + 100 * middle.scale, phone.width / 2, "the ship is in the middle");
  const edge = viewOf(phone, { x: arenaRules.semiAxisX, y: 0 });
  assert.ok(edge.x + (arenaRules.semiAxisX + 80) * edge.scale >= phone.width);
});

test("colours differ as long as there are enough, and gold is the player's own", () => {
  const colors = new Colors("me");
  assert.is(colors.of("me"), colors.of("me"));
  const given = Array.from({ length: 11 }, (_, index) => colors.of(`player-${index}`));
  assert.is(new Set([...given, colors.of("me")]).size, 12);
  colors.keep(new Map([["player-0", null]]));
  assert.is(colors.of("player-0"), given[0]);
});

test("clocks, times and numerals are worded", () => {
  assert.equal([0, 61_240, 600_000].map(clockText), ["0:00.0", "1:01.2", "10:00.0"]);
  assert.equal([null, 83.6, 1_094].map(msText), ["–", "84 ms", "1.09 s"]);
  assert.equal([0, 3, 11, 12].map(numeral), ["I", "IV", "XII", "13"]);
});

test.run();
