import type { Table } from "../../shared/arena/match.ts";
import type { Missile } from "../../shared/arena/missile.ts";
import type { Ship } from "../../shared/arena/ship.ts";

/** The room's state, as the page reads it. */
export interface ArenaState {
  readonly clockMs: number;
  readonly players: Table<Player>;
  readonly missiles: Table<Missile>;
}

export interface Player extends Ship {
  readonly name: string;
  readonly online: boolean;
  /** The node that the player is attached to; "" when none is known. */
  readonly node: string;
}

/** A copy of the state at one patch. */
export interface Snapshot {
  readonly clockMs: number;
  readonly players: ReadonlyMap<string, Player>;
  readonly missiles: ReadonlyMap<string, Missile>;
}

export function takeSnapshot(state: ArenaState): Snapshot {
  const players = new Map<string, Player>();
  for (const [key, player] of state.players) {
    const { name, x, y, angle, thrust, shielded, score, shots, online, node } = player;
    players.set(key, { name, x, y, angle, thrust, shielded, score, shots, online, node });
  }
  const missiles = new Map<string, Missile>();
  for (const [id, { x, y, angle, owner }] of state.missiles) missiles.set(id, { x, y, angle, owner });
  return { clockMs: state.clockMs, players, missiles };
}
