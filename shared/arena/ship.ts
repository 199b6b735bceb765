import { bounceInside, randomPoint, turnToward } from "./geometry.ts";
import { arenaRules } from "./rules.ts";

/** What everybody sees of a ship. */
export interface Ship {
  x: number;
  y: number;
  /** Radians, 0 to the right, growing clockwise on the screen. */
  angle: number;
  /** 0 to 1: the engine. */
  thrust: number;
  /** Just arrived: missiles do it no harm. */
  shielded: boolean;
  score: number;
  /** All that it ever fired. */
  shots: number;
}

/** What only the rules need to know of a ship: plain data, so that a room can be saved with it. */
export interface Pilot {
  vx: number;
  vy: number;
  /** Where the player wants to go: radians. */
  steerAngle: number;
  shieldMs: number;
  /** Bots: until the next shot. */
  fireInMs: number;
  /** Bots: radians by which the next shot misses. */
  aimError: number;
}

export function newPilot(): Pilot {
  return { vx: 0, vy: 0, steerAngle: 0, shieldMs: 0, fireInMs: 0, aimError: 0 };
}

/** Puts a ship somewhere in the arena, at rest, shielded for a moment. */
export function spawn(ship: Ship, pilot: Pilot, random: () => number): void {
  const point = randomPoint(random);
  ship.x = point.x;
  ship.y = point.y;
  ship.angle = Math.atan2(-point.y, -point.x);
  ship.thrust = 0;
  ship.shielded = true;
  pilot.vx = 0;
  pilot.vy = 0;
  pilot.steerAngle = ship.angle;
  pilot.shieldMs = arenaRules.shieldMs;
}

/**
 * Moves one ship by one step: it turns toward where it is steered, its engine pushes it where it points, it drifts.
 * Also what the page predicts its own ship with.
 * @param stepMs 0 to `stepMsMax`
 */
export function advanceShip(
  ship: Pick<Ship, "x" | "y" | "angle" | "thrust">,
  pilot: Pick<Pilot, "vx" | "vy" | "steerAngle">,
  stepMs: number,
): void {
  const seconds = stepMs / 1_000;
  ship.angle = turnToward(ship.angle, pilot.steerAngle, arenaRules.shipTurnPerSecond * seconds);
  const push = arenaRules.shipAcceleration * ship.thrust * seconds;
  const drag = Math.max(0, 1 - arenaRules.shipDragPerSecond * seconds);
  let vx = (pilot.vx + Math.cos(ship.angle) * push) * drag;
  let vy = (pilot.vy + Math.sin(ship.angle) * push) * drag;
  const speed = Math.sqrt(vx * vx + vy * vy);
  if (speed > arenaRules.shipSpeedMax) {
    vx *= arenaRules.shipSpeedMax / speed;
    vy *= arenaRules.shipSpeedMax / speed;
  }
  const body = { x: ship.x + vx * seconds, y: ship.y + vy * seconds, vx, vy };
  bounceInside(body, arenaRules.shipRadius);
  ship.x = body.x;
  ship.y = body.y;
  pilot.vx = body.vx;
  pilot.vy = body.vy;
}

/** The shield wears off. */
export function wearShield(ship: Ship, pilot: Pilot, stepMs: number): void {
  pilot.shieldMs = Math.max(0, pilot.shieldMs - stepMs);
  ship.shielded = pilot.shieldMs > 0;
}
