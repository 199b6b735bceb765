import { currentWorld } from "../../session/sandbox.ts";

/** `Date`, `performance.now` and `process.hrtime` inside a room read the log's stamps; outside they are what they were. */
export function replaceTime(): void {
  const RealDate = Date;
  const realNow = RealDate.now.bind(RealDate);
  const now = () => currentWorld()?.wallMs() ?? realNow();
  RealDate.now = now;
  const RoomDate: DateConstructor = new Proxy(RealDate, {
    construct(target, args: unknown[], newTarget) {
      const given = args.length === 0 ? [now()] : args;
      return Reflect.construct(target, given, newTarget === RoomDate ? target : newTarget) as object;
    },
    apply: () => new RealDate(now()).toString(),
  });
  RealDate.prototype.constructor = RoomDate;
  globalThis.Date = RoomDate;

  const realHrtime = process.hrtime;
  const nanoseconds = () => {
    const world = currentWorld();
    return world === null ? null : BigInt(Math.round(world.nowMs() * 1e6));
  };
  const hrtime = (since?: [number, number]): [number, number] => {
    const now = nanoseconds();
    if (now === null) return realHrtime(since);
    const passed = now - (since === undefined ? 0n : BigInt(since[0]) * 1_000_000_000n + BigInt(since[1]));
    return [Number(passed / 1_000_000_000n), Number(passed % 1_000_000_000n)];
  };
  process.hrtime = Object.assign(hrtime, { bigint: () => nanoseconds() ?? realHrtime.bigint() });

  const realPerformanceNow = performance.now.bind(performance);
  performance.now = () => currentWorld()?.nowMs() ?? realPerformanceNow();
}
