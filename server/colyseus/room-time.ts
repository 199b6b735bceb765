import { currentWorld } from "../session/sandbox.ts";

/** `Date` and `performance.now` inside a room read the log's stamps; outside they are what they were. */
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

  const realPerformanceNow = performance.now.bind(performance);
  performance.now = () => currentWorld()?.nowMs() ?? realPerformanceNow();
}
