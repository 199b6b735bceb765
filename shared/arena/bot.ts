import { distance, wrapAngle } from "./geometry.ts";
import { arenaRules } from "./rules.ts";
import type { Pilot, Ship } from "./ship.ts";

const botKeyPrefix = "bot-";

const botNames = Object.freeze(["Maximus", "Cassia", "Brutus", "Octavia"]);

/** Aiming so well that every shot hits would be no fun: bots miss by up to this, in radians. */
const aimErrorMax = 0.3;
/** A bot shoots only at what it points at, within this, in radians. */
const aimTolerance = 0.12;
/** Nearer than this a bot stops pushing on. */
const keepAway = 230;

export function isBot(key: string): boolean {
  return key.startsWith(botKeyPrefix);
}

/** The key of the bot with this number, from 1. */
export function botKey(number: number): string {
  return botKeyPrefix + number;
}

/** @param number from 1 */
export function botName(number: number): string {
  return botNames[(number - 1) % botNames.length] ?? botKeyPrefix + number;
}

/** How many bots keep so many people company. */
export function botsWanted(people: number): number {
  return Math.max(0, arenaRules.shipsMin - people);
}

/**
 * Steers one bot for one step: after the nearest ship that can be hit.
 * @returns whether it fires now
 */
export function steerBot(
  key: string,
  ship: Ship,
  pilot: Pilot,
  ships: Iterable<[string, Ship]>,
  stepMs: number,
  random: () => number,
): boolean {
  const target = nearest(key, ship, ships);
  if (target === null) {
    // Nobody to chase: cruise in a circle around the middle.
    pilot.steerAngle = Math.atan2(-ship.y, -ship.x) + 1.2;
    ship.thrust = 0.35;
    return false;
  }
  const range = distance(ship, target);
  const bearing = Math.atan2(target.y - ship.y, target.x - ship.x);
  pilot.steerAngle = wrapAngle(bearing + pilot.aimError);
  ship.thrust = range > keepAway ? 0.7 : 0.1;
  pilot.fireInMs = Math.max(0, pilot.fireInMs - stepMs);
  if (pilot.fireInMs > 0 || range > arenaRules.botRange) return false;
  if (Math.abs(wrapAngle(pilot.steerAngle - ship.angle)) > aimTolerance) return false;
  pilot.fireInMs = arenaRules.botFireMsMin + random() * (arenaRules.botFireMsMax - arenaRules.botFireMsMin);
  pilot.aimError = (random() * 2 - 1) * aimErrorMax;
  return true;
}

function nearest(key: string, ship: Ship, ships: Iterable<[string, Ship]>): Ship | null {
  let best: Ship | null = null;
  let bestRange = Number.POSITIVE_INFINITY;
  for (const [otherKey, other] of ships) {
    if (otherKey === key || other.shielded) continue;
    const range = distance(ship, other);
    if (range < bestRange) {
      best = other;
      bestRange = range;
    }
  }
  return best;
}
