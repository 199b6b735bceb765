import { settledOutside } from "../session/sandbox.ts";

/** What @colyseus/testing gives rooms for a test to wait by. */
const waits = [
  ...["waitForMessage", "waitForNextMessage", "waitForNextPatch"],
  ...["waitForNextTimestep", "waitForNextSimulationTick"],
];

type Wait = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** A test that waited for something in a room goes on outside of it, and not in the middle of the apply that it waited for. */
export function waitOutside(roomClass: { readonly prototype: object }): void {
  const prototype = roomClass.prototype as Record<string, Wait | undefined>;
  for (const name of waits) {
    const wait = prototype[name];
    if (wait === undefined || Object.hasOwn(prototype, name)) continue;
    prototype[name] = function (this: unknown, ...args: unknown[]) {
      return settledOutside(wait.apply(this, args));
    };
  }
}
