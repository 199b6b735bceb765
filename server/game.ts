/** A node with the sample game: the arena's room, and its page. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineRoom, defineServer } from "colyseus";
import sirv from "sirv";
import { ArenaRoom } from "./arena/arena-room.ts";
import { replicated, startTestudo } from "./index.ts";
import type { Testudo } from "./testudo.ts";

const page = fileURLToPath(new URL("../dist/arena", import.meta.url));

/** Every node serves the page: any of them may be the one that is left. */
function servePage(testudo: Testudo): void {
  // In development the page may be built anew under a running node.
  const { development } = testudo.roomNode.node.options;
  const serve = sirv(page, { etag: true, dev: development });
  testudo.handleFirst((request, response) => {
    const path = request.url ?? "/";
    if ((request.method !== "GET" && request.method !== "HEAD") || path.startsWith("/matchmake"))
      return false;
    serve(request, response, () => {
      response.writeHead(404, { "content-type": "text/plain" });
      response.end("not found");
    });
    return true;
  });
}

const testudo = startTestudo();
const server = defineServer({
  ...testudo.serverOptions,
  rooms: { arena: defineRoom(replicated(ArenaRoom)) },
});
if (existsSync(page)) servePage(testudo);
// Without arguments: where the node's options say. A failure ends the process (see startTestudo).
await server.listen(undefined as never);
