/** `npm start`: a whole cluster on this machine. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { writeLastLine } from "./cluster/log.ts";
import { paintLine } from "./cluster/log-line.ts";
import { describeError, exitCodeOf } from "./cluster/node-error.ts";
import { Starter } from "./cluster/starter.ts";
import { readStarterOptions } from "./cluster/starter-options.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, "server/main.ts");
/** Time and chance must be replaced before any other module can take hold of them (design 5.4). */
const preload = join(root, "server/colyseus/register.ts");
const page = join(root, "dist/arena/index.html");
const pageConfig = join(root, "client/vite.config.ts");

async function start(): Promise<number> {
  const parsed = readStarterOptions({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() });
  if (parsed.type === "help") {
    process.stdout.write(parsed.text);
    return 0;
  }
  const colors = process.stdout.isTTY && process.stdout.hasColors();
  const starter = new Starter({
    options: parsed.options,
    command: ["--import", pathToFileURL(preload).href, main],
    cwd: process.cwd(),
    preparePage: buildPage,
    write: (line) => process.stdout.write(`${colors ? paintLine(line) : line}\n`),
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => starter.stop());
  return await starter.run();
}

async function buildPage(progress: (line: string) => void): Promise<void> {
  if (existsSync(page)) return;
  progress("building the page, once");
  const { build } = await import("vite");
  await build({ configFile: pageConfig, logLevel: "warn" });
}

start().then(
  (code) => process.exit(code),
  (error: unknown) => {
    writeLastLine(`testudo: ${describeError(error)}`);
    process.exit(exitCodeOf(error));
  },
);
