import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { currentWorld, type World } from "../../session/sandbox.ts";
import { callerFile } from "./caller-file.ts";

type Callback = (...args: unknown[]) => void;

// The stock Room keeps its simulation, patches, seat reservations and reconnections in real timers: inside a room they
// become timers of the room's log. What the rest of Colyseus times (statistics, IPC) is the process's own affair.
const roomTimed = /[\\/]@colyseus[\\/](core[\\/](build|src)[\\/]Room\.|timer[\\/]|clock[\\/])/;
// What @colyseus/testing times in the room's methods is for the test that waits outside.
const colyseus = /[\\/]@colyseus[\\/](core|testing)[\\/]/;

type Setting = "room" | "real";

function settingOf(world: World, name: string): Setting {
  const file = callerFile(2);
  if (roomTimed.test(file)) return "room";
  if (colyseus.test(file)) return "real";
  throw Object.assign(
    new Error(
      `${name}() inside ${world.label}: a real timer would fire at another moment on every replica; use this.clock.setTimeout() or this.clock.setInterval()`,
    ),
    { code: "TIMER_INSIDE_ROOM" },
  );
}

/** `setTimeout` and its kin: inside a room, Colyseus's own run by log time, and anybody else's are errors that name the remedy. */
export function replaceTimers(): void {
  const real = {
    setTimeout: globalThis.setTimeout,
    setInterval: globalThis.setInterval,
    setImmediate: globalThis.setImmediate,
  };
  const realClear = { clearTimeout: globalThis.clearTimeout, clearInterval: globalThis.clearInterval };

  function setTimeout(callback: Callback, delayMs = 1, ...args: unknown[]) {
    const world = currentWorld();
    if (world === null || settingOf(world, "setTimeout") === "real")
      return real.setTimeout(callback, delayMs, ...args);
    return world.setTimer(callback, delayMs, null, args);
  }
  function setInterval(callback: Callback, delayMs = 1, ...args: unknown[]) {
    const world = currentWorld();
    if (world === null || settingOf(world, "setInterval") === "real")
      return real.setInterval(callback, delayMs, ...args);
    return world.setTimer(callback, delayMs, delayMs, args);
  }
  function setImmediate(callback: Callback, ...args: unknown[]) {
    const world = currentWorld();
    if (world !== null) settingOf(world, "setImmediate");
    return real.setImmediate(callback, ...args);
  }
  function clear(realClearTimer: (timer: never) => void) {
    return (timer: unknown) => {
      currentWorld()?.clearTimer(timer);
      realClearTimer(timer as never);
    };
  }
  const replaced = {
    setTimeout,
    setInterval,
    setImmediate,
    clearTimeout: clear(realClear.clearTimeout),
    clearInterval: clear(realClear.clearInterval),
  };
  for (const name of Object.keys(replaced) as (keyof typeof replaced)[]) {
    // util.promisify(setTimeout) finds its promise form under a symbol of the function.
    const original = globalThis[name] as unknown as object;
    Object.defineProperties(replaced[name], Object.getOwnPropertyDescriptors(original));
    (globalThis as Record<string, unknown>)[name] = replaced[name];
    (timers as unknown as Record<string, unknown>)[name] = replaced[name];
  }
  for (const name of ["setTimeout", "setImmediate", "setInterval"] as const) {
    const original = timersPromises[name] as (...args: unknown[]) => unknown;
    (timersPromises as unknown as Record<string, unknown>)[name] = (...args: unknown[]) => {
      const world = currentWorld();
      if (world !== null) settingOf(world, `timers/promises.${name}`);
      return original(...args);
    };
  }
}
