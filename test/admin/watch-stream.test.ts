// test-run: seconds=60
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { sendChanges } from "../../server/admin/watch-stream.ts";
import { EmbeddedKeeper } from "../../server/cluster/embedded-keeper.ts";

const test = suite("a stream of changes");

/** More than a socket's buffers and the limit together hold. */
const changes = 600;
const value = "x".repeat(40_000);

test("[C62] who reads too slowly is told so, behind what it was sent, and is sent no more", async () => {
  const embedded = new EmbeddedKeeper();
  const { kv } = embedded.keeper;
  const door = createServer((_request, response) => {
    const query = new URLSearchParams({ prefix: "slow/", after: "0" });
    sendChanges(kv, query, response).catch((error: unknown) => response.destroy(error as Error));
  });
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  const socket = connect((door.address() as AddressInfo).port, "127.0.0.1");
  let told = "";
  try {
    socket.write("GET / HTTP/1.0\r\n\r\n");
    await once(socket, "readable");
    // From here on it reads nothing.
    for (let each = 0; each < changes; each++) await kv.put("slow/one", value);
    for await (const bytes of socket) told += String(bytes);
  } finally {
    socket.destroy();
    door.close();
  }
  const lines = told.trim().split("\n");
  assert.match(lines.at(-1) ?? "", /"code":"WATCH_TOO_SLOW".*1048576 bytes of changes wait to be read/);
  const sent = lines.filter((line) => line.includes('"type":"put"')).length;
  assert.ok(sent > 1_048_576 / value.length && sent < changes, `${sent} of ${changes}`);
});

test.run();
