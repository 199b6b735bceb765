/** A process that drains until it is hurried, and stops: at once, or, with `hangs`, never. */
import { failHard, makeLog } from "../../server/cluster/log.ts";
import { stopWithProcess } from "../../server/cluster/process-life.ts";

const hangs = process.argv[2] === "hangs";
const log = makeLog({ node: "n1", level: "info" });
const say = (event: string) => log.info({ event }, event);
let hurried = () => {};
stopWithProcess({
  drain: async () => {
    say("drains");
    await new Promise<void>((resolve) => (hurried = resolve));
  },
  hurry: () => {
    say("hurries");
    hurried();
  },
  stop: async () => {
    say("stops");
    if (hangs) await new Promise(() => {});
  },
  stopTimeoutMs: 600_000,
  log,
  fail: failHard({ node: "n1", log }),
});
setInterval(() => {}, 1_000);
say("runs");
