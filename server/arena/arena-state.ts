import { type SchemaType, schema, t } from "@colyseus/schema";

/** One ship and who flies it, under the player's `sessionId` (bots: `bot-1`, …). */
export const ArenaPlayer = schema(
  {
    name: t.string().default(""),
    /** World units, (0, 0) is the middle of the arena. */
    x: t.float32().default(0),
    y: t.float32().default(0),
    /** Radians. */
    angle: t.float32().default(0),
    /** The engine, 0 to 1: the page draws the flame with it. */
    thrust: t.float32().default(0),
    /** Just arrived: nothing harms it. */
    shielded: t.boolean().default(false),
    score: t.uint32().default(0),
    /** Every shot that this player ever fired. */
    shots: t.uint32().default(0),
    /** Is a connection attached to the seat? */
    online: t.boolean().default(true),
    /** The node that the connection is attached to; "" when there is none, or on a plain Colyseus server. */
    node: t.string().default(""),
  },
  "ArenaPlayer",
);
export type ArenaPlayer = SchemaType<typeof ArenaPlayer>;

export const ArenaMissile = schema(
  {
    x: t.float32().default(0),
    y: t.float32().default(0),
    /** Radians: where it flies. */
    angle: t.float32().default(0),
    /** The key of the player who fired it. */
    owner: t.string().default(""),
  },
  "ArenaMissile",
);
export type ArenaMissile = SchemaType<typeof ArenaMissile>;

export const ArenaState = schema(
  {
    /** Milliseconds since the match began: the sum of all ticks. */
    clockMs: t.float64().default(0),
    players: t.map(ArenaPlayer),
    /** By the missile's number. */
    missiles: t.map(ArenaMissile),
  },
  "ArenaState",
);
export type ArenaState = SchemaType<typeof ArenaState>;
