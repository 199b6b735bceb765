/**
 * The numbers of the game. Lengths in world units (the arena is 1,600 by 1,200 of them), speeds in units a second,
 * angles in radians, times in milliseconds.
 */
export const arenaRules = Object.freeze({
  /** The arena is an ellipse around (0, 0). */
  semiAxisX: 800,
  semiAxisY: 600,
  playersMax: 12,
  /** Bots fill the arena up to so many ships. */
  shipsMin: 4,
  tickMs: 50,
  /** One tick never moves anything by more than this at once; a longer tick is cut into steps. */
  stepMsMax: 50,
  /** After a long pause the world moves on by this much at most; the match clock counts all of it. */
  catchUpMsMax: 250,
  shipRadius: 27,
  shipAcceleration: 620,
  shipDragPerSecond: 0.9,
  shipSpeedMax: 430,
  shipTurnPerSecond: 8,
  /** Share of the speed that a ship keeps when it bounces off the wall. */
  wallBounce: 0.55,
  shieldMs: 1_800,
  missileSpeed: 760,
  /** Share of its ship's velocity that a missile takes along. */
  missileInheritance: 0.4,
  missileRadius: 5,
  missileLifeMs: 1_100,
  /** A ship that fires with so many in flight gives up its oldest one: the shot counts all the same. */
  missilesPerShipMax: 6,
  botFireMsMin: 900,
  botFireMsMax: 2_200,
  botRange: 620,
});
