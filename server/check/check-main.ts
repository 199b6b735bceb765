/** The process in which `testudo check` runs a studio's rooms: what they print or end is not the command line's. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { failureWords } from "../session/failure.ts";
import type { CheckJob, CheckNews } from "./check-job.ts";

function say(news: CheckNews): Promise<void> {
  return new Promise((resolve) => process.send?.(news, () => resolve()));
}

/** Of the project that a folder belongs to; null: it belongs to none. (Node's findPackageJSON takes a file for it then.) */
function manifestOf(folder: string): string | null {
  const manifest = join(folder, "package.json");
  if (existsSync(manifest)) return manifest;
  const parent = dirname(folder);
  return parent === folder ? null : manifestOf(parent);
}

function isCommonJs(file: string): boolean {
  if (/\.[cm][jt]s$/.test(file)) return extname(file).startsWith(".c");
  const manifest = manifestOf(dirname(file));
  if (manifest === null) return true;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { type?: unknown }).type !== "module";
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
