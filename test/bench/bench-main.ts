/** One node with the rooms of the benchmark: what server/main.ts is to the game. */
import { defineRoom, defineServer } from "@colyseus/core";
import { failHard, writeLastLine } from "../../server/cluster/log.ts";
import { exitCodeOf } from "../../server/cluster/node-error.ts";
import { type NodeOptions, readNodeOptions } from "../../server/cluster/options.ts";
import { stopWithProcess } from "../../server/cluster/process-life.ts";
import { replicated } from "../../server/colyseus/replicated.ts";
import { Testudo } from "../../server/testudo.ts";
import { BenchRoom, PulseRoom } from "./bench-room.ts";

function optionsOrExit(): NodeOptions {
  try {
    const read = readNodeOptions({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() });
    if (read.type === "options") return read.options;
    process.stdout.write(read.text);
    process.exit(0);
  } catch (error) {
    writeLastLine(`testudo: ${(error as Error).message}`);
    process.exit(exitCodeOf(error));
  }
}

const options = optionsOrExit();
const testudo = new Testudo(options);
const fail = failHard({ node: options.id, log: testudo.log });
stopWithProcess({
  stop: () => testudo.stop(),
  stopTimeoutMs: options.stopTimeoutMs,
  log: testudo.log,
  fail,
});

const server = defineServer({
  ...testudo.serverOptions,
  rooms: { bench: defineRoom(replicated(BenchRoom)), pulse: defineRoom(replicated(PulseRoom)) },
});

try {
  await server.listen(options.port, options.host);
} catch (error) {
  fail(error);
}
