import type { World } from "../../server/session/sandbox.ts";

/** A world in which nothing happens: for those who only ask in which one they are. */
export function stillWorld(label: string): World {
  return {
    label,
    nowMs: () => 1,
    wallMs: () => 2,
    random: () => 0.5,
    secretBytes: () => {},
    tellOnce: () => {},
    setTimer: () => ({}),
    clearTimer: () => {},
    report: () => {},
  };
}
