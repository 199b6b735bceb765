/** What a player tells the room with `steer`: the newest one counts. */
export interface SteerMessage {
  /** Radians, within two turns of 0. */
  readonly angle: number;
  /** 0 to 1. */
  readonly thrust: number;
}

/** What the room answers to `fire`: how often this player has fired in all, this shot included. */
export interface FireReply {
  readonly shots: number;
}

export const steerAngleMax = 4 * Math.PI;
export const playerNameLengthMax = 20;
