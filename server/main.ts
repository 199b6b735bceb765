/** One node with the sample game: `node --import ./server/colyseus/register.ts server/main.ts [options]`. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineRoom, defineServer } from "colyseus";
import sirv from "sirv";
import { ArenaRoom } from "./arena/arena-room.ts";
import { failHard, writeLastLine } from "./cluster/log.ts";
import { exitCodeOf } from "./cluster/node-error.ts";
import { OptionError } from "./cluster/option-error.ts";
import { type NodeOptions, readNodeOptions } from "./cluster/options.ts";
import { stopWithProcess } from "./cluster/process-life.ts";
import { replicated } from "./colyseus/replicated.ts";
import { Testudo } from "./colyseus/testudo.ts";

const page = fileURLToPath(new URL("../dist/arena", import.meta.url));

function optionsOrExit(): NodeOptions {
  try {
    const read = readNodeOptions({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() });
    if (read.type === "options") return read.options;
    process.stdout.write(read.text);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    writeLastLine(`testudo: ${error.message}`);
    process.exit(exitCodeOf(error));
  }
}

const options = optionsOrExit();
const testudo = new Testudo(options);
const fail = failHard({ node: options.id, log: testudo.log });
stopWithProcess({ stop: () => testudo.stop(), stopTimeoutMs: options.stopTimeoutMs, log: testudo.log, fail });

const server = defineServer({
  ...testudo.serverOptions,
  rooms: { arena: defineRoom(replicated(ArenaRoom)) },
});

if (existsSync(page)) {
  const serve = sirv(page, { etag: true });
  testudo.handleFirst((request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    if ((request.method !== "GET" && request.method !== "HEAD") || path.startsWith("/matchmake"))
      return false;
    serve(request, response, () => {
      response.writeHead(404, { "content-type": "text/plain" });
      response.end("not found");
    });
    return true;
  });
}

try {
  await server.listen(options.port, options.host);
} catch (error) {
  fail(error);
}
