/** A node with registers in all of its groups, for real clients: `POST /registers` with a `Question`, answered by an `Answer`. */
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { makeAdminHandler } from "../../server/admin/admin-handler.ts";
import { failHard, makeLog, writeLastLine } from "../../server/cluster/log.ts";
import { TestudoNode } from "../../server/cluster/node.ts";
import { codeOf, exitCodeOf } from "../../server/cluster/node-error.ts";
import { readNodeOptions } from "../../server/cluster/options.ts";
import { stopWithProcess } from "../../server/cluster/process-life.ts";
import type { Answer, Question } from "./question.ts";
import { RegisterMachine } from "./register-machine.ts";
import { Registers } from "./registers.ts";

const options = parse();
const log = makeLog({ node: options.id, level: options.logLevel });
const fail = failHard({ node: options.id, log });
const machines: RegisterMachine[] = [];
let registers: Registers | null = null;
const node = new TestudoNode({
  options,
  log,
  fail,
  machineFor: (group) => {
    const machine = new RegisterMachine();
    machines[group] = machine;
    return machine;
  },
});
const admin = makeAdminHandler({ node, rooms: () => [] });
const server = createServer((request, response) => {
  if (admin(request, response)) return;
  // What is no refusal ends the process.
  answer(request).then((answered) => response.end(JSON.stringify(answered)), fail);
});

async function answer(request: IncomingMessage): Promise<Answer> {
  const { group, key, input, way, timeoutMs } = JSON.parse(await text(request)) as Question;
  if (registers === null || node.life.state !== "serving") return { type: "failed", reason: "NOT_SERVING" };
  switch (way) {
    case "log":
      return await registers.perform(group, key, input, { timeoutMs });
    case "local": {
      const read = await registers.readHere(group, key);
      return read === null ? { type: "failed", reason: "BEHIND" } : { type: "local", ...read };
    }
    default:
      return await registers.read(group, key, { consistency: way, timeoutMs });
  }
}

server.on("error", fail);
stopWithProcess({
  stop: async () => {
    server.close();
    server.closeAllConnections();
    await node.stop();
  },
  stopTimeoutMs: options.stopTimeoutMs,
  log,
  fail,
});
server.listen(options.port, options.host);
try {
  await node.start();
  await node.ready();
  registers = new Registers(node.engine, machines);
} catch (error) {
  // A stop that came first is no failure.
  if (codeOf(error) !== "NODE_STOPPED") fail(error);
}

function parse() {
  try {
    const parsed = readNodeOptions({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() });
    if (parsed.type === "options") return parsed.options;
    process.stdout.write(parsed.text);
    process.exit(0);
  } catch (error) {
    writeLastLine(`testudo: ${(error as Error).message}`);
    process.exit(exitCodeOf(error));
  }
}
