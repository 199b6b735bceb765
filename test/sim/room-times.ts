import { owedStepsMax, type RoomTimers } from "../../server/session/room-timers.ts";
import { hold } from "./violation.ts";

/** Of one replica of a room. */
interface Seen {
  clockMs: number;
  dateMs: number;
  performanceMs: number;
  steps: { readonly command: number; times: number };
}

/** Time as room code sees it, on each replica: its clocks, the order of its timers, and the steps that it is owed. */
export class RoomTimes {
  readonly #seen = new WeakMap<object, Seen>();
  readonly #watched = new WeakSet<RoomTimers>();
  #commands = 0;
  #isApplying = false;

  #of(room: object): Seen {
    let seen = this.#seen.get(room);
    if (seen === undefined) {
      const none = Number.NEGATIVE_INFINITY;
      seen = {
        ...{ clockMs: none, dateMs: none, performanceMs: none },
        steps: { command: 0, times: 0 },
      };
      this.#seen.set(room, seen);
    }
    return seen;
  }

  /** Another command is about to be applied, by any replica. */
  applying(): void {
    this.#commands += 1;
    this.#isApplying = true;
  }

  /** What a replica does now that takes the place of one that differs are many commands, one after the other. */
  applied(): void {
    this.#isApplying = false;
  }

  /** From now on: what is due fires in its order, and all of it. */
  watch(timers: RoomTimers, roomId: string): void {
    if (this.#watched.has(timers)) return;
    this.#watched.add(timers);
    const advance = timers.advance.bind(timers);
    timers.advance = (toMs, fire) => {
      let before = { dueMs: Number.NEGATIVE_INFINITY, id: 0 };
      advance(toMs, (timer, dueMs) => {
        const { id } = timer;
        hold(
          dueMs > before.dueMs || (dueMs === before.dueMs && id > before.id),
          "X11",
          () => `timer ${id} of room ${roomId}, due at ${dueMs}, fires behind ${JSON.stringify(before)}`,
        );
        before = { dueMs, id };
        fire(timer, dueMs);
      });
      const left = timers.live.find(({ dueMs }) => dueMs <= toMs);
      hold(
        left === undefined,
        "X11",
        () => `timer ${left?.id} of room ${roomId}, due at ${left?.dueMs}, has not fired by ${toMs}`,
      );
    };
  }

  /** Clocks only go forward. */
  time(
    room: object,
    roomId: string,
    now: { readonly clockMs: number; readonly dateMs: number; readonly performanceMs: number },
  ): void {
    const seen = this.#of(room);
    for (const name of ["clockMs", "dateMs", "performanceMs"] as const) {
      hold(
        now[name] >= seen[name],
        "X11",
        () => `${name} of room ${roomId} goes back from ${seen[name]} to ${now[name]}`,
      );
      seen[name] = now[name];
    }
  }

  /** After an outage the rest of what a timestep owes is dropped (design 5.1). */
  stepped(room: object, roomId: string): void {
    if (!this.#isApplying) return;
    const { steps } = this.#of(room);
    const times = steps.command === this.#commands ? steps.times + 1 : 1;
    this.#of(room).steps = { command: this.#commands, times };
    hold(
      times <= owedStepsMax,
      "X11",
      () => `room ${roomId} takes ${times} steps in one command, ${owedStepsMax} are allowed`,
    );
  }
}
