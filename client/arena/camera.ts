import { arenaRules } from "../../shared/arena/rules.ts";

/** World units around the arena that are shown too. */
const margin = 66;
/** Smaller than this (pixels a unit) the arena is not shown whole: the camera follows the ship. */
const scaleMin = 0.5;

export interface View {
  /** Pixels a world unit. */
  readonly scale: number;
  /** Where the world's (0, 0) is, in pixels. */
  readonly x: number;
  readonly y: number;
  /** Is all of the arena in view? */
  readonly whole: boolean;
}

/** The whole arena if it fits; else the part of it around the ship, never more of the outside than needed. */
export function viewOf(
  screen: { readonly width: number; readonly height: number },
  ship: { readonly x: number; readonly y: number },
): View {
  const halfX = arenaRules.semiAxisX + margin;
  const halfY = arenaRules.semiAxisY + margin;
  const scale = Math.max(scaleMin, Math.min(screen.width / (2 * halfX), screen.height / (2 * halfY)));
  return {
    scale,
    x: origin(screen.width, halfX * scale, ship.x * scale),
    y: origin(screen.height, halfY * scale, ship.y * scale),
    whole: 2 * halfX * scale <= screen.width + 1 && 2 * halfY * scale <= screen.height + 1,
  };
}

function origin(length: number, half: number, focus: number): number {
  if (2 * half <= length) return length / 2;
  const middle = length / 2 - focus;
  return Math.min(half, Math.max(length - half, middle));
}
