/** The ordeal of registers for as long as one likes: `node test/registers/ordeal-main.ts --seconds 600 [--nodes 5] [--groups 4] [--clients 40] [--seed 1]`. */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { torments } from "../torture/torturer.ts";
import { ordeal } from "./ordeal.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    nodes: { type: "string", default: "5" },
    groups: { type: "string", default: "4" },
    clients: { type: "string", default: "40" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const tell = (line: string) => void process.stdout.write(`${line}\n`);
tell(`seed ${values.seed}`);
const { problems, picture, ...figures } = await ordeal({
  seconds: Number(values.seconds),
  tormentsMin: 1,
  nodes: Number(values.nodes),
  groups: Number(values.groups),
  clients: Number(values.clients),
  seed: Number(values.seed),
  torments,
  tell,
});
tell(JSON.stringify(figures));
for (const problem of problems) tell(`BROKEN: ${problem}`);
if (picture !== null) {
  const path = join(tmpdir(), `testudo-ordeal-${values.seed}.svg`);
  writeFileSync(path, picture);
  tell(`a picture of it: ${path}`);
}
process.exit(problems.length === 0 ? 0 : 1);
