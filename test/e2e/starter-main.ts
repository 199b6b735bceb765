/** The starter with nodes of rooms-main.ts: `starter-main.ts NODE_FLAGS -- OPTIONS`, the flags being Node's own for each node. */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Starter } from "../../server/cluster/starter.ts";
import { readStarterOptions } from "../../server/cluster/starter-options.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const preload = pathToFileURL(join(root, "server/colyseus/register.ts")).href;

const split = process.argv.indexOf("--");
const flags = process.argv.slice(2, split);
const parsed = readStarterOptions({ argv: process.argv.slice(split + 1), env: {}, cwd: root });
if (parsed.type === "help") throw new Error("no help was asked for");
const starter = new Starter({
  options: parsed.options,
  command: [...flags, "--import", preload, join(root, "test/e2e/rooms-main.ts")],
  cwd: root,
  preparePage: async () => {},
  write: (line) => process.stdout.write(`${line}\n`),
});
process.on("SIGTERM", () => starter.stop());
process.exit(await starter.run());
