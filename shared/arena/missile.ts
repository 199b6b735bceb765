import { distanceToSegment, isInside } from "./geometry.ts";
import { arenaRules } from "./rules.ts";
import type { Pilot, Ship } from "./ship.ts";

/** What everybody sees of a missile. */
export interface Missile {
  x: number;
  y: number;
  /** Radians: where it flies. */
  angle: number;
  /** The key of the ship that fired it. */
  owner: string;
}

/** What only the rules need to know of a missile: plain data. */
export interface Flight {
  vx: number;
  vy: number;
  lifeMs: number;
}

/** Puts a missile at the nose of its ship. Returns its flight. */
export function launch(missile: Missile, owner: string, ship: Ship, pilot: Pilot): Flight {
  const noseX = Math.cos(ship.angle);
  const noseY = Math.sin(ship.angle);
  const vx = noseX * arenaRules.missileSpeed + pilot.vx * arenaRules.missileInheritance;
  const vy = noseY * arenaRules.missileSpeed + pilot.vy * arenaRules.missileInheritance;
  missile.x = ship.x + noseX * arenaRules.shipRadius;
  missile.y = ship.y + noseY * arenaRules.shipRadius;
  missile.angle = Math.atan2(vy, vx);
  missile.owner = owner;
  return { vx, vy, lifeMs: arenaRules.missileLifeMs };
}

/** Moves a missile by one step. Returns whether it still flies: it ends with its life or at the wall. */
export function advanceMissile(missile: Missile, flight: Flight, stepMs: number): boolean {
  const seconds = stepMs / 1_000;
  missile.x += flight.vx * seconds;
  missile.y += flight.vy * seconds;
  flight.lifeMs -= stepMs;
  return flight.lifeMs > 0 && isInside(missile, 0);
}

/** Did the missile, on its way from where it was a step ago, touch this ship? */
export function touches(missile: Missile, flight: Flight, stepMs: number, ship: Ship): boolean {
  const seconds = stepMs / 1_000;
  const start = { x: missile.x - flight.vx * seconds, y: missile.y - flight.vy * seconds };
  return distanceToSegment(ship, start, missile) <= arenaRules.shipRadius + arenaRules.missileRadius;
}
