import { type FixedTimestepCallback, type Room, type StepContext, TimestepException } from "@colyseus/core";
import { failureWords } from "../session/failure.ts";
import { outsideWorld } from "../session/sandbox.ts";
import { isThenable } from "./room-hooks.ts";
import { seamOfRoom } from "./seam.ts";

/** What the stock room keeps in a closure, where no checkpoint sees it. */
export interface FixedSteps {
  /** Of the time that has passed, what no step has used yet. */
  owedMs: number;
  /** The number of the next step. */
  tick: number;
  /** Handed to every step; room code may keep it. */
  readonly context: { -readonly [Key in keyof StepContext]: StepContext[Key] };
}

/** As the stock room: after so many steps at once the rest of what is owed is dropped. */
const catchUpStepsMax = 5;
const tickRateMax = 1000;

const stepsOf = new WeakMap<Room, FixedSteps>();

/** Null: the room has no fixed timestep. */
export function fixedStepsOf(room: Room): FixedSteps | null {
  return stepsOf.get(room) ?? null;
}

export function setFixedSteps(room: Room, steps: FixedSteps | null): void {
  if (steps === null) stepsOf.delete(room);
  else stepsOf.set(room, steps);
}

/**
 * The room's steps from now on, counted from 0.
 * @param tickRate steps per second, up to 1,000
 * @param subSteps a whole number ≥ 1
 * @returns what is to be called with each measured delta (ms)
 * @throws RangeError
 */
export function beginFixedSteps(
  room: Room,
  step: FixedTimestepCallback,
  { tickRate, subSteps }: { tickRate: number; subSteps: number },
): (deltaMs: number) => void {
  if (!(tickRate > 0 && tickRate <= tickRateMax))
    throw bad(
      room,
      `tickRate is ${tickRate}: more than 0 and up to ${tickRateMax} steps a second are allowed`,
    );
  if (!Number.isSafeInteger(subSteps) || subSteps < 1)
    throw bad(room, `subSteps is ${subSteps}: a whole number of at least 1 is allowed`);
  const [dt, dtMs] = [1 / tickRate, 1000 / tickRate];
  const context = { dt, dtMs, tick: 0, subSteps, subDt: dt / subSteps, subDtMs: dtMs / subSteps };
  setFixedSteps(room, { owedMs: 0, tick: 0, context });
  return (deltaMs) => {
    // Asked each time: a restored room has other ones.
    const steps = fixedStepsOf(room);
    if (steps !== null) advance(room, step, steps, deltaMs);
  };
}

function advance(room: Room, step: FixedTimestepCallback, steps: FixedSteps, deltaMs: number): void {
  const { context } = steps;
  steps.owedMs += deltaMs;
  let ran = 0;
  while (steps.owedMs >= context.dtMs && ran < catchUpStepsMax) {
    steps.owedMs -= context.dtMs;
    context.tick = steps.tick++;
    runStep(room, step, context);
    ran += 1;
  }
  if (ran === catchUpStepsMax) steps.owedMs = 0;
}

/** A failure is told, and the next step is run as if nothing had been. */
function runStep(room: Room, step: FixedTimestepCallback, context: StepContext): void {
  const report = (error: unknown, where: string) =>
    outsideWorld(() => seamOfRoom(room)?.environment.report(error, where));
  const failed = (error: unknown) => {
    if (room.onUncaughtException === undefined) return report(error, "timestep");
    try {
      const told = new TimestepException(error as Error, failureWords(error));
      room.onUncaughtException(told, "setFixedTimestep");
    } catch (failure) {
      report(failure, "onUncaughtException");
    }
  };
  try {
    const result: unknown = step(context);
    if (isThenable(result))
      seamOfRoom(room)?.environment.track(result.then(undefined, failed), "the timestep");
  } catch (error) {
    failed(error);
  }
}

function bad(room: Room, what: string): RangeError {
  return new RangeError(`${room.constructor.name}.setFixedTimestep(): ${what}`);
}
