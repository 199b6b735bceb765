/**
 * A start of a node that does nothing but run room code: `watchdog-main.ts FOLDER LIMIT_MS MODE [FILE]`. It prints what
 * earlier starts could not get past, as JSON, then "begun" in the middle of an act, and "back" behind it.
 */
import { existsSync, writeSync } from "node:fs";
import { realClock } from "../../server/cluster/clock.ts";
import { makeLog } from "../../server/cluster/log.ts";
import { Watchdog } from "../../server/cluster/watchdog.ts";

const [folder = "", limitMs = "0", mode = "", file = ""] = process.argv.slice(2);
// The main thread does not come back to its streams.
const say = (line: string) => writeSync(1, `${line}\n`);
const watchdog = new Watchdog({
  nodeId: "n1",
  data: folder,
  limitMs: Number(limitMs),
  clock: realClock,
  monotonicMs: () => performance.now(),
  log: makeLog({ node: "n1", level: "info" }),
});
const acting = { group: 3, roomId: "room0001D", act: "apply", index: 42 } as const;

function busyUntil(isOver: () => boolean): void {
  while (!isOver());
}

await watchdog.open({ bootId: "b00t" });
say(JSON.stringify(watchdog.found));
// An act that comes back is not the one that is looked at.
watchdog.begin({ ...acting, index: 41 });
watchdog.end();
const untilMs = (ms: number) => {
  const endMs = performance.now() + ms;
  return () => performance.now() >= endMs;
};

const acts: Readonly<Record<string, () => void>> = {
  loops: () => busyUntil(() => false),
  returns: () => {},
  waitsForFile: () => busyUntil(() => existsSync(file)),
  aborts: () => process.abort(),
  abortsLate: () => {
    busyUntil(untilMs(400));
    process.abort();
  },
  eats: () => {
    const eaten: number[][] = [];
    busyUntil(() => eaten.push(new Array(100_000).fill(eaten.length)) < 0);
  },
};
if (mode === "hangs") {
  say("begun");
  busyUntil(() => false);
}
if (mode !== "idles") {
  watchdog.begin(acting);
  say("begun");
  acts[mode]?.();
  watchdog.end();
}
// Not before: in the middle of an act the process is to end by a signal.
process.once("SIGTERM", () => void watchdog.close().then(() => process.exit(0)));
if (mode !== "idles") say("back");
setInterval(() => {}, 1_000);
