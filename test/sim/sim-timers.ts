import { callerFile } from "../../server/colyseus/preload/caller-file.ts";
import { currentWorld } from "../../server/session/sandbox.ts";
import type { Schedule } from "./schedule.ts";
import { SimProcess } from "./sim-node.ts";

type Callback = (...args: unknown[]) => void;
// biome-ignore lint/suspicious/noExplicitAny: delays and arguments, as they come
type Make = (run: Callback, ...how: any[]) => unknown;

/** What Colyseus times for a whole process, which all simulated ones are: its statistics, say. */
const ofProcess = /[\\/]@colyseus[\\/]core[\\/](build|src)[\\/](Stats|MatchMaker|IPC)\./;

/** What stands for Node's own timer. */
class SimTimer {
  cancel: () => void = () => {};

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

/**
 * For code that runs on a node outside of every apply, as that of rooms which their leader runs: timers and time are the
 * simulated process's. Nothing of a process that has ended happens any more.
 */
export class SimTimers {
  readonly #schedule: Schedule;
  readonly #before: { readonly target: object; readonly name: string; readonly own: PropertyDescriptor }[] =
    [];

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  install(): void {
    const start =
      (isRepeated: boolean): Make =>
      (run, ms: number = 1, ...args) =>
        this.#start(run, { ms, isRepeated, args });
    this.#replaceTimer("setTimeout", start(false));
    this.#replaceTimer("setInterval", start(true));
    this.#replaceTimer("setImmediate", (run, ...args) =>
      this.#start(run, { ms: 0, isRepeated: false, args }),
    );
    for (const name of ["clearTimeout", "clearInterval"] as const) {
      const real = globalThis[name] as (timer: never) => void;
      this.#replace(globalThis, name, (timer: unknown) => {
        if (timer instanceof SimTimer) timer.cancel();
        else real(timer as never);
      });
    }
    this.#replace(performance, "now", () => {
      const { owner } = this.#schedule;
      return owner instanceof SimProcess ? owner.clock.now().monotonicMs : this.#schedule.nowMs;
    });
  }

  uninstall(): void {
    for (const { target, name, own } of this.#before.splice(0)) Object.defineProperty(target, name, own);
  }

  #replaceTimer(name: "setTimeout" | "setInterval" | "setImmediate", simulated: Make): void {
    const real = globalThis[name] as unknown as Make;
    this.#replace(globalThis, name, (...timer: Parameters<Make>) =>
      ofProcess.test(callerFile(1)) ? real(...timer) : simulated(...timer),
    );
  }

  /** A getter: what stands there inside of rooms goes by who calls it, and so must not be called by anything else. */
  #replace(target: object, name: string, simulated: unknown): void {
    const own = Object.getOwnPropertyDescriptor(target, name) as PropertyDescriptor;
    const inRoom: unknown = own.value;
    this.#before.push({ target, name, own });
    Object.defineProperty(target, name, {
      configurable: true,
      get: () => (currentWorld() === null ? simulated : inRoom),
    });
  }

  #start(run: Callback, how: { ms: number; isRepeated: boolean; args: unknown[] }): SimTimer {
    const { owner } = this.#schedule;
    if (!(owner instanceof SimProcess)) throw new Error("a timer is made by nobody's process");
    const timer = new SimTimer();
    const next = () => {
      timer.cancel = owner.clock.setTimer(
        () => {
          if (how.isRepeated) next();
          run(...how.args);
        },
        Math.max(1, how.ms),
      );
    };
    next();
    return timer;
  }
}
