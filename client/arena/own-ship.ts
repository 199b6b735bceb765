import { distance } from "../../shared/arena/geometry.ts";
import { arenaRules } from "../../shared/arena/rules.ts";
import { advanceShip } from "../../shared/arena/ship.ts";

/** How fast a difference to the server is made up for: after so long a third of it is left. */
const correctionMs = 130;
/** Farther off than this is a new place, not a difference. */
const jump = 180;
/** Without a patch for so long the ship waits where it is. */
const blindMsMax = 300;

interface Pose {
  readonly x: number;
  readonly y: number;
  readonly angle: number;
}

/**
 * The player's own ship, a moment ahead of the server: it obeys at once, by the same rules, and drifts to where the
 * server says it is. Times are the page's own and are handed in.
 */
export class OwnShip {
  readonly #ship = { x: 0, y: 0, angle: 0, thrust: 0 };
  readonly #pilot = { vx: 0, vy: 0, steerAngle: 0 };
  #error = { x: 0, y: 0 };
  #seen: { x: number; y: number; clockMs: number } | null = null;
  #patchAtMs = 0;

  get pose(): Pose & { readonly thrust: number } {
    return this.#ship;
  }

  /** @param leadMs how old the patch is when it arrives: half a round trip */
  reconcile(server: Pose, clockMs: number, atMs: number, leadMs: number): void {
    const last = this.#seen;
    this.#seen = { x: server.x, y: server.y, clockMs };
    this.#patchAtMs = atMs;
    if (last === null || distance(last, server) > jump) {
      this.#place(server);
      return;
    }
    const seconds = (clockMs - last.clockMs) / 1_000;
    if (seconds <= 0) return;
    const vx = (server.x - last.x) / seconds;
    const vy = (server.y - last.y) / seconds;
    const x = server.x + (vx * leadMs) / 1_000;
    const y = server.y + (vy * leadMs) / 1_000;
    if (distance(this.#ship, { x, y }) > jump) {
      this.#place(server);
      return;
    }
    this.#error = { x: x - this.#ship.x, y: y - this.#ship.y };
    this.#pilot.vx += (vx - this.#pilot.vx) * 0.25;
    this.#pilot.vy += (vy - this.#pilot.vy) * 0.25;
  }

  advance(steer: { readonly angle: number; readonly thrust: number }, deltaMs: number, atMs: number): void {
    this.#pilot.steerAngle = steer.angle;
    if (atMs - this.#patchAtMs > blindMsMax) return;
    this.#ship.thrust = steer.thrust;
    advanceShip(this.#ship, this.#pilot, Math.min(deltaMs, arenaRules.stepMsMax));
    const share = 1 - Math.exp(-deltaMs / correctionMs);
    this.#ship.x += this.#error.x * share;
    this.#ship.y += this.#error.y * share;
    this.#error = { x: this.#error.x * (1 - share), y: this.#error.y * (1 - share) };
  }

  #place(server: Pose): void {
    this.#ship.x = server.x;
    this.#ship.y = server.y;
    this.#ship.angle = server.angle;
    this.#pilot.vx = 0;
    this.#pilot.vy = 0;
    this.#error = { x: 0, y: 0 };
  }
}
