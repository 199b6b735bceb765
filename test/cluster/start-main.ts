/** The starter with nodes of node-main.ts: what server/start.ts is to the product. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeLastLine } from "../../server/cluster/log.ts";
import { describeError, exitCodeOf } from "../../server/cluster/node-error.ts";
import { Starter } from "../../server/cluster/starter.ts";
import { readStarterOptions } from "../../server/cluster/starter-options.ts";

const folder = dirname(fileURLToPath(import.meta.url));

async function start(): Promise<number> {
  const parsed = readStarterOptions({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() });
  if (parsed.type === "help") return 0;
  const starter = new Starter({
    options: parsed.options,
    command: [join(folder, "node-main.ts")],
    cwd: process.cwd(),
    preparePage: async (progress) => progress("the page is there"),
    write: (line) => process.stdout.write(`${line}\n`),
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => starter.stop());
  return await starter.run();
}

start().then(
  (code) => process.exit(code),
  (error: unknown) => {
    writeLastLine(`testudo: ${describeError(error)}`);
    process.exit(exitCodeOf(error));
  },
);
