import { test } from "uvu";
import * as assert from "uvu/assert";
import { botKey, botsWanted, isBot } from "../../shared/arena/bot.ts";
import {
  distance,
  distanceToSegment,
  isInside,
  randomPoint,
  turnToward,
  wrapAngle,
} from "../../shared/arena/geometry.ts";
import { advanceMatch, enter, fire, leave, type Match, steer } from "../../shared/arena/match.ts";
import type { Flight, Missile } from "../../shared/arena/missile.ts";
import { arenaRules } from "../../shared/arena/rules.ts";
import type { Pilot, Ship } from "../../shared/arena/ship.ts";

type PlainMatch = Match<Ship, Missile>;

const newMatch = (): PlainMatch => ({
  ships: new Map<string, Ship>(),
  pilots: new Map<string, Pilot>(),
  missiles: new Map<string, Missile>(),
  flights: new Map<string, Flight>(),
  missileCount: 0,
});
const newShip = (): Ship => ({ x: 0, y: 0, angle: 0, thrust: 0, shielded: false, score: 0, shots: 0 });
const newMissile = (): Missile => ({ x: 0, y: 0, angle: 0, owner: "" });

/** A small generator with a seed: chance is handed in. */
function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Two ships, `a` at the middle that looks right, `b` to its right, both without a shield. */
function duel(range: number): PlainMatch {
  const match = newMatch();
  for (const key of ["a", "b"]) enter(match, key, newShip(), chance(1));
  place(match, "a", 0, 0);
  place(match, "b", range, 0);
  return match;
}

function place(match: PlainMatch, key: string, x: number, y: number): void {
  Object.assign(match.ships.get(key)!, { x, y, angle: 0, shielded: false });
  Object.assign(match.pilots.get(key)!, { vx: 0, vy: 0, steerAngle: 0, shieldMs: 0 });
}

const run = (match: PlainMatch, ticks: number, random = chance(2)): void => {
  for (let tick = 0; tick < ticks; tick += 1) advanceMatch(match, arenaRules.tickMs, { random, newMissile });
};

test("angles wrap, and turning takes the short way", () => {
  assert.ok(Math.abs(wrapAngle(3 * Math.PI) - Math.PI) < 1e-9);
  assert.ok(Math.abs(wrapAngle(-5) - (2 * Math.PI - 5)) < 1e-9);
  assert.ok(Math.abs(turnToward(3, -3, 0.1) - 3.1) < 1e-9);
  assert.is(turnToward(0.1, 0.12, 0.5), 0.12);
});

test("the distance to a segment is to its nearest point, its ends included", () => {
  assert.is(distanceToSegment({ x: 5, y: 3 }, { x: 0, y: 0 }, { x: 10, y: 0 }), 3);
  assert.is(distanceToSegment({ x: 14, y: 3 }, { x: 0, y: 0 }, { x: 10, y: 0 }), 5);
  assert.is(distanceToSegment({ x: 3, y: 4 }, { x: 0, y: 0 }, { x: 0, y: 0 }), 5);
});

test("ships appear within the arena, shielded", () => {
  const random = chance(3);
  for (let draw = 0; draw < 500; draw += 1) assert.ok(isInside(randomPoint(random), arenaRules.shipRadius));
  const match = newMatch();
  enter(match, "a", newShip(), random);
  assert.is(match.ships.get("a")!.shielded, true);
  run(match, arenaRules.shieldMs / arenaRules.tickMs);
  assert.is(match.ships.get("a")!.shielded, false);
});

test("a ship turns where it is steered, speeds up to its limit, and drifts on", () => {
  const match = duel(500);
  steer(match, "a", { angle: Math.PI / 2, thrust: 1 });
  run(match, 20);
  const pilot = match.pilots.get("a")!;
  assert.ok(Math.abs(match.ships.get("a")!.angle - Math.PI / 2) < 1e-9);
  assert.ok(pilot.vy > 200 && pilot.vy <= arenaRules.shipSpeedMax);
  steer(match, "a", { angle: 0, thrust: 0 });
  const before = match.ships.get("a")!.y;
  run(match, 2);
  assert.ok(match.ships.get("a")!.y > before, "it drifts on without an engine");
});

test("nothing leaves the arena: ships bounce off the wall, missiles end there", () => {
  const match = duel(300);
  steer(match, "b", { angle: 0, thrust: 1 });
  for (let tick = 0; tick < 200; tick += 1) {
    run(match, 1);
    assert.ok(isInside(match.ships.get("b")!, arenaRules.shipRadius - 1e-6));
  }
  place(match, "a", arenaRules.semiAxisX - 40, 0);
  fire(match, "a", newMissile);
  run(match, 2);
  assert.is(match.missiles.size, 0);
});

test("a missile that passes a ship between two ticks hits it: a point for the shooter, a new place for the victim", () => {
  const match = duel(60);
  const victim = match.ships.get("b")!;
  assert.is(fire(match, "a", newMissile), 1);
  run(match, 1);
  assert.is(match.ships.get("a")!.score, 1);
  assert.is(victim.score, 0);
  assert.is(victim.shielded, true);
  assert.ok(distance(victim, { x: 60, y: 0 }) > 1);
  assert.is(match.missiles.size, 0);
  assert.is(match.flights.size, 0);
});

test("a shield lets missiles through without harm, and nobody hits himself", () => {
  const match = duel(200);
  Object.assign(match.ships.get("b")!, { shielded: true });
  match.pilots.get("b")!.shieldMs = 5_000;
  fire(match, "a", newMissile);
  run(match, 30);
  assert.is(match.ships.get("a")!.score, 0);
  assert.is(match.missiles.size, 0, "its life is over");
});

test("every shot counts, however many are in flight; the oldest missile gives way", () => {
  const match = duel(700);
  steer(match, "a", { angle: 0, thrust: 0 });
  const shots = 3 * arenaRules.missilesPerShipMax;
  for (let shot = 1; shot <= shots; shot += 1) assert.is(fire(match, "a", newMissile), shot);
  assert.is(match.missiles.size, arenaRules.missilesPerShipMax);
  assert.equal(
    [...match.missiles].map(([id]) => id),
    [...Array(arenaRules.missilesPerShipMax).keys()].map((n) =>
      String(shots - arenaRules.missilesPerShipMax + 1 + n),
    ),
  );
  assert.is(fire(match, "nobody", newMissile), 0);
});

test("a missile whose ship has left scores for nobody", () => {
  const match = duel(60);
  fire(match, "a", newMissile);
  leave(match, "a");
  run(match, 1);
  assert.is(match.ships.get("b")!.shielded, true);
  assert.is(match.pilots.size, 1);
});

test("a long pause moves the world by catchUpMsMax at most", () => {
  const match = duel(700);
  match.pilots.get("a")!.vx = 100;
  advanceMatch(match, 60_000, { random: chance(1), newMissile });
  assert.ok(match.ships.get("a")!.x <= (100 * arenaRules.catchUpMsMax) / 1_000);
});

test("bots make up the numbers, hunt and fire", () => {
  assert.equal([0, 1, 3, 4, 12].map(botsWanted), [4, 3, 1, 0, 0]);
  assert.ok(isBot(botKey(2)) && !isBot("xYz12"));
  const match = newMatch();
  const random = chance(7);
  for (let number = 1; number <= 4; number += 1) enter(match, botKey(number), newShip(), random);
  run(match, 60 * 20, random);
  const ships = [...match.ships].map(([, ship]) => ship);
  assert.ok(
    ships.every((ship) => ship.shots > 5),
    "all of them fire",
  );
  assert.ok(ships.reduce((sum, ship) => sum + ship.score, 0) > 0, "some of them hit");
});

test("the same commands and the same chance give the same match, to the last bit", () => {
  const play = (): string => {
    const match = newMatch();
    const random = chance(11);
    for (const key of ["a", botKey(1), botKey(2)]) enter(match, key, newShip(), random);
    for (let tick = 0; tick < 400; tick += 1) {
      if (tick % 3 === 0) steer(match, "a", { angle: tick / 10 - Math.PI, thrust: (tick % 10) / 10 });
      if (tick % 5 === 0) fire(match, "a", newMissile);
      advanceMatch(match, 47 + (tick % 9), { random, newMissile });
    }
    return JSON.stringify([[...match.ships], [...match.pilots], [...match.missiles], [...match.flights]]);
  };
  assert.is(play(), play());
});

test.run();
