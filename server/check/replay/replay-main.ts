/** The process in which `testudo replay` runs a room's code: a debugger may hold it up for as long as it likes. */
import { createRequire } from "node:module";
import { extname } from "node:path";
import { failureWords } from "../../session/failure.ts";
import { isCommonJs } from "../module-kind.ts";
import type { ReplayJob, ReplayNews } from "./replay-job.ts";

function say(news: ReplayNews): Promise<void> {
  return new Promise((resolve) => process.send?.(news, () => resolve()));
}

/** Loaded as the studio's file will be: see check-main. */
async function run(job: ReplayJob): Promise<void> {
  const { runReplay } = isCommonJs(job.app)
    ? (createRequire(import.meta.url)(
        `./replay-run${extname(import.meta.filename)}`,
      ) as typeof import("./replay-run.ts"))
    : await import("./replay-run.ts");
  await runReplay(job, say);
}

process.once("message", (job) => {
  run(job as ReplayJob)
    .catch((error: unknown) => {
      const { code = "REPLAY_FAILED" } = error as { code?: string };
      return say({ type: "failed", code, message: failureWords(error) });
    })
    .finally(() => process.exit(0));
});
