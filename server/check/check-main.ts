/** The process in which `testudo check` runs a studio's rooms: what they print or end is not the command line's. */
import { createRequire } from "node:module";
import { extname } from "node:path";
import { failureWords } from "../session/failure.ts";
import type { CheckJob, CheckNews } from "./check-job.ts";
import { isCommonJs } from "./module-kind.ts";

function say(news: CheckNews): Promise<void> {
  return new Promise((resolve) => process.send?.(news, () => resolve()));
}

/** Loaded as the studio's file will be: in a CommonJS project tsx makes copies of Colyseus and of our modules for `require`. */
async function run(job: CheckJob): Promise<void> {
  const { runCheck } = isCommonJs(job.file)
    ? (createRequire(import.meta.url)(
        `./check-run${extname(import.meta.filename)}`,
      ) as typeof import("./check-run.ts"))
    : await import("./check-run.ts");
  await runCheck(job, say);
}

process.once("message", (job) => {
  run(job as CheckJob)
    .then(
      () => say({ type: "done" }),
      (error: unknown) => {
        const { code = "CHECK_FAILED" } = error as { code?: string };
        return say({ type: "failed", code, message: failureWords(error) });
      },
    )
    .finally(() => process.exit(0));
});
