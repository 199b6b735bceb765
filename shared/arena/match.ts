import { isBot, steerBot } from "./bot.ts";
import { wrapAngle } from "./geometry.ts";
import { advanceMissile, type Flight, launch, type Missile, touches } from "./missile.ts";
import { arenaRules } from "./rules.ts";
import { advanceShip, newPilot, type Pilot, type Ship, spawn, wearShield } from "./ship.ts";

/** A map in order of insertion: JavaScript's own, or a synchronised one. */
export interface Table<Value> extends Iterable<[string, Value]> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): unknown;
  delete(key: string): boolean;
  readonly size: number;
}

/** One match: what everybody sees, and beside it what only the rules know. Each ship has a pilot, each missile a flight. */
export interface Match<S extends Ship, M extends Missile> {
  readonly ships: Table<S>;
  readonly pilots: Map<string, Pilot>;
  readonly missiles: Table<M>;
  readonly flights: Map<string, Flight>;
  /** The number of the last missile. */
  missileCount: number;
}

/** What the rules cannot make themselves. `random` gives numbers in [0, 1), the same on every replica. */
export interface Means<M extends Missile> {
  readonly random: () => number;
  readonly newMissile: () => M;
}

/** A ship enters the arena under a key that is not taken. */
export function enter<S extends Ship, M extends Missile>(
  match: Match<S, M>,
  key: string,
  ship: S,
  random: () => number,
): void {
  const pilot = newPilot();
  spawn(ship, pilot, random);
  match.ships.set(key, ship);
  match.pilots.set(key, pilot);
}

/** A ship leaves; its missiles fly on, for nobody's score. */
export function leave<S extends Ship, M extends Missile>(match: Match<S, M>, key: string): void {
  match.ships.delete(key);
  match.pilots.delete(key);
}

/** @param command `angle` in radians, `thrust` 0 to 1 */
export function steer<S extends Ship, M extends Missile>(
  match: Match<S, M>,
  key: string,
  command: { angle: number; thrust: number },
): void {
  const ship = match.ships.get(key);
  const pilot = match.pilots.get(key);
  if (ship === undefined || pilot === undefined) return;
  pilot.steerAngle = wrapAngle(command.angle);
  ship.thrust = command.thrust;
}

/** Fires a missile. Every shot counts; past `missilesPerShipMax` in flight the ship's oldest missile ends. Returns all its shots. */
export function fire<S extends Ship, M extends Missile>(
  match: Match<S, M>,
  key: string,
  newMissile: () => M,
): number {
  const ship = match.ships.get(key);
  const pilot = match.pilots.get(key);
  if (ship === undefined || pilot === undefined) return 0;
  const own: string[] = [];
  for (const [id, missile] of match.missiles) if (missile.owner === key) own.push(id);
  const [oldest] = own;
  if (oldest !== undefined && own.length >= arenaRules.missilesPerShipMax) endMissile(match, oldest);
  match.missileCount += 1;
  const id = String(match.missileCount);
  const missile = newMissile();
  match.flights.set(id, launch(missile, key, ship, pilot));
  match.missiles.set(id, missile);
  ship.shots += 1;
  return ship.shots;
}

/**
 * Moves the whole match on.
 * @param deltaMs since the last call; the world takes it in steps, and at most `catchUpMsMax` of it
 */
export function advanceMatch<S extends Ship, M extends Missile>(
  match: Match<S, M>,
  deltaMs: number,
  means: Means<M>,
): void {
  let restMs = Math.min(Math.max(0, deltaMs), arenaRules.catchUpMsMax);
  while (restMs > 0) {
    const stepMs = Math.min(restMs, arenaRules.stepMsMax);
    advanceShips(match, stepMs, means);
    advanceMissiles(match, stepMs, means.random);
    restMs -= stepMs;
  }
}

function advanceShips<S extends Ship, M extends Missile>(
  match: Match<S, M>,
  stepMs: number,
  means: Means<M>,
): void {
  for (const [key, ship] of match.ships) {
    const pilot = match.pilots.get(key);
    if (pilot === undefined) continue;
    if (isBot(key) && steerBot(key, ship, pilot, match.ships, stepMs, means.random))
      fire(match, key, means.newMissile);
    advanceShip(ship, pilot, stepMs);
    wearShield(ship, pilot, stepMs);
  }
}

function advanceMissiles<S extends Ship, M extends Missile>(
  match: Match<S, M>,
  stepMs: number,
  random: () => number,
): void {
  const ended: string[] = [];
  for (const [id, missile] of match.missiles) {
    const flight = match.flights.get(id);
    if (flight === undefined) continue;
    const flies = advanceMissile(missile, flight, stepMs);
    const victim = firstHit(match, missile, flight, stepMs);
    if (victim !== null) strike(match, missile.owner, victim, random);
    if (!flies || victim !== null) ended.push(id);
  }
  for (const id of ended) endMissile(match, id);
}

function firstHit<S extends Ship, M extends Missile>(
  match: Match<S, M>,
  missile: M,
  flight: Flight,
  stepMs: number,
): string | null {
  for (const [key, ship] of match.ships) {
    if (key === missile.owner || ship.shielded) continue;
    if (touches(missile, flight, stepMs, ship)) return key;
  }
  return null;
}

function strike<S extends Ship, M extends Missile>(
  match: Match<S, M>,
  owner: string,
  victim: string,
  random: () => number,
): void {
  const shooter = match.ships.get(owner);
  if (shooter !== undefined) shooter.score += 1;
  const ship = match.ships.get(victim);
  const pilot = match.pilots.get(victim);
  if (ship !== undefined && pilot !== undefined) spawn(ship, pilot, random);
}

function endMissile<S extends Ship, M extends Missile>(match: Match<S, M>, id: string): void {
  match.missiles.delete(id);
  match.flights.delete(id);
}
