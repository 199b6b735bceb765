import { arenaRules } from "./rules.ts";

export interface Point {
  x: number;
  y: number;
}

/** Where something is and how fast it goes (units, units a second). */
export interface Moving extends Point {
  vx: number;
  vy: number;
}

/** The same direction in (-π, π]. */
export function wrapAngle(angle: number): number {
  const turn = 2 * Math.PI;
  const rest = angle % turn;
  if (rest > Math.PI) return rest - turn;
  if (rest <= -Math.PI) return rest + turn;
  return rest;
}

/** `from` turned toward `to` the short way round, by at most `step` radians. */
export function turnToward(from: number, to: number, step: number): number {
  const difference = wrapAngle(to - from);
  if (difference > step) return wrapAngle(from + step);
  if (difference < -step) return wrapAngle(from - step);
  return wrapAngle(to);
}

export function distance(a: Point, b: Point): number {
  const dx = a.x - b.x;
  const dy = a.y - b.y;
  return Math.sqrt(dx * dx + dy * dy);
}

/** The shortest distance from `point` to the segment from `start` to `end`. */
export function distanceToSegment(point: Point, start: Point, end: Point): number {
  const dx = end.x - start.x;
  const dy = end.y - start.y;
  const lengthSquared = dx * dx + dy * dy;
  if (lengthSquared === 0) return distance(point, start);
  const along = ((point.x - start.x) * dx + (point.y - start.y) * dy) / lengthSquared;
  const share = Math.min(1, Math.max(0, along));
  return distance(point, { x: start.x + share * dx, y: start.y + share * dy });
}

/** Is a disc of this radius wholly within the arena? */
export function isInside(point: Point, radius: number): boolean {
  const x = point.x / (arenaRules.semiAxisX - radius);
  const y = point.y / (arenaRules.semiAxisY - radius);
  return x * x + y * y <= 1;
}

/** Sets a disc that left the arena back onto its edge, and reflects what carried it out. */
export function bounceInside(body: Moving, radius: number): void {
  const a = arenaRules.semiAxisX - radius;
  const b = arenaRules.semiAxisY - radius;
  const reach = Math.sqrt((body.x / a) * (body.x / a) + (body.y / b) * (body.y / b));
  if (reach <= 1) return;
  body.x /= reach;
  body.y /= reach;
  // The gradient of (x/a)² + (y/b)² points out of the arena.
  const gradientX = body.x / (a * a);
  const gradientY = body.y / (b * b);
  const length = Math.sqrt(gradientX * gradientX + gradientY * gradientY);
  const normalX = gradientX / length;
  const normalY = gradientY / length;
  const outward = body.vx * normalX + body.vy * normalY;
  if (outward <= 0) return;
  body.vx -= (1 + arenaRules.wallBounce) * outward * normalX;
  body.vy -= (1 + arenaRules.wallBounce) * outward * normalY;
}

/** A point of the arena, evenly spread, well away from the wall. `random` gives numbers in [0, 1). */
export function randomPoint(random: () => number): Point {
  const angle = random() * 2 * Math.PI;
  const share = 0.85 * Math.sqrt(random());
  return {
    x: Math.cos(angle) * share * arenaRules.semiAxisX,
    y: Math.sin(angle) * share * arenaRules.semiAxisY,
  };
}
