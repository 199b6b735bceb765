import { distance, wrapAngle } from "../../shared/arena/geometry.ts";
import type { Missile } from "../../shared/arena/missile.ts";
import type { Player, Snapshot } from "./arena-state.ts";

/** So far behind the newest patch the others are drawn: two patches, so that there is one on either side. */
const delayMs = 100;
/** Past the newest patch everything flies straight on for so long, then it waits. */
const extrapolationMsMax = 150;
/** What moved farther between two patches did not fly there. */
const jump = 200;
const snapshotsMax = 40;
/** How fast the idea of the server's clock follows the patches: a late patch says little. */
const clockBlend = 0.06;

/** What is drawn in one frame. */
export interface Frame {
  readonly players: ReadonlyMap<string, Player>;
  readonly missiles: ReadonlyMap<string, Missile>;
}

/**
 * The last patches along the match's clock, and what lies between them.
 * Times `atMs` are the page's own (`performance.now`), and are handed in.
 */
export class Timeline {
  readonly #snapshots: Snapshot[] = [];
  /** Match clock minus page clock. */
  #offsetMs: number | null = null;
  #drawnClockMs = 0;

  push(snapshot: Snapshot, atMs: number): void {
    const newest = this.#snapshots.at(-1);
    if (newest !== undefined && snapshot.clockMs <= newest.clockMs) {
      // The same tick once more (somebody joined between two): the newer picture of it counts.
      if (snapshot.clockMs === newest.clockMs) this.#snapshots[this.#snapshots.length - 1] = snapshot;
      return;
    }
    this.#snapshots.push(snapshot);
    if (this.#snapshots.length > snapshotsMax) this.#snapshots.shift();
    const offsetMs = snapshot.clockMs - atMs;
    const known = this.#offsetMs;
    // The match stood still, or the page slept: start over from this patch.
    if (known === null || Math.abs(offsetMs - known) > 400) this.#offsetMs = offsetMs;
    else this.#offsetMs = known + (offsetMs - known) * clockBlend;
  }

  /** The world as it is drawn at this moment of the page's clock; never an earlier one than last time. */
  sample(atMs: number): Frame {
    const newest = this.#snapshots.at(-1);
    if (newest === undefined || this.#offsetMs === null) return { players: new Map(), missiles: new Map() };
    const wanted = Math.min(atMs + this.#offsetMs - delayMs, newest.clockMs + extrapolationMsMax);
    this.#drawnClockMs = Math.max(this.#drawnClockMs, wanted);
    const clockMs = this.#drawnClockMs;
    let after = this.#snapshots.findIndex((snapshot) => snapshot.clockMs > clockMs);
    if (after === -1) after = this.#snapshots.length - 1;
    const to = this.#snapshots[after];
    const from = this.#snapshots[after - 1];
    if (to === undefined) return newest;
    if (from === undefined) return to;
    return between(from, to, (clockMs - from.clockMs) / (to.clockMs - from.clockMs));
  }
}

/** @param share 0 at `from`, 1 at `to`, more beyond it */
function between(from: Snapshot, to: Snapshot, share: number): Frame {
  const players = new Map<string, Player>();
  for (const [key, next] of to.players) {
    const last = from.players.get(key);
    if (last === undefined) players.set(key, next);
    else if (distance(last, next) > jump) players.set(key, share < 1 ? last : next);
    else players.set(key, { ...next, ...blend(last, next, share) });
  }
  const missiles = new Map<string, Missile>();
  for (const [id, next] of to.missiles) {
    const last = from.missiles.get(id);
    if (last !== undefined) missiles.set(id, { ...next, ...blend(last, next, share) });
    else if (share > 0.5) missiles.set(id, next);
  }
  return { players, missiles };
}

interface Posed {
  x: number;
  y: number;
  angle: number;
}

function blend(from: Posed, to: Posed, share: number): Posed {
  return {
    x: from.x + (to.x - from.x) * share,
    y: from.y + (to.y - from.y) * share,
    angle: from.angle + wrapAngle(to.angle - from.angle) * Math.min(1, share),
  };
}
