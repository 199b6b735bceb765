/** A whole node without Colyseus: what server/main.ts is to the product, for tests of the node and the starter. */
import { createServer } from "node:http";
import { makeAdminHandler } from "../../server/admin/admin-handler.ts";
import { failHard, makeLog, writeLastLine } from "../../server/cluster/log.ts";
import { TestudoNode } from "../../server/cluster/node.ts";
import { codeOf, exitCodeOf, NodeError } from "../../server/cluster/node-error.ts";
import { readNodeOptions } from "../../server/cluster/options.ts";
import { stopWithProcess } from "../../server/cluster/process-life.ts";
import { SumMachine } from "./sum-machine.ts";

const options = parse();
const log = makeLog({ node: options.id, level: options.logLevel });
const fail = failHard({ node: options.id, log });
const node = new TestudoNode({ options, machineFor: () => new SumMachine(), log, fail });
const admin = makeAdminHandler({
  node,
  rooms: () => [],
  roomFailures: () => ({ standing: [], quarantined: [], quarantines: 0 }),
});
const server = createServer((request, response) => {
  if (admin(request, response)) return;
  if (request.url === "/throw") throw new Error("thrown\n on two lines");
  const amount = /^\/add\/(\d+)\/(\d+)$/.exec(request.url ?? "");
  const answer =
    amount === null
      ? Promise.resolve("a page")
      : node.engine.propose(Number(amount[1]), new Uint8Array([Number(amount[2])]));
  answer.then(
    (value) => response.end(String(value)),
    (error: Error) => response.writeHead(500).end(error.message),
  );
});
server.on("error", (error: NodeJS.ErrnoException) => {
  fail(
    error.code === "EADDRINUSE"
      ? new NodeError("PORT_IN_USE", `option port: ${options.port} is in use on ${options.host}`)
      : error,
  );
});
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
// A stop that came first is no failure.
node.start().catch((error: unknown) => codeOf(error) === "NODE_STOPPED" || fail(error));

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
