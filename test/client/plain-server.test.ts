import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { defineRoom, defineServer, Room, type Client as ServerClient } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { WebSocketTransport } from "@colyseus/ws-transport";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Client } from "../../client/testudo-client.ts";
import { quick, until } from "./scene.ts";

const State = schema({ sum: t.int32().default(0) }, "PlainState");
const queries: string[] = [];

class PlainRoom extends Room<{ state: InstanceType<typeof State> }> {
  override state = new State();

  override messages = {
    add: (_client: ServerClient, by: number) => {
      this.state.sum += by;
      return { sum: this.state.sum };
    },
  };

  override async onDrop(client: ServerClient): Promise<void> {
    await this.allowReconnection(client, 5);
  }
}

const http = createServer();
http.prependListener("upgrade", (request) => queries.push(request.url ?? ""));
const server = defineServer({
  transport: new WebSocketTransport({ server: http }),
  rooms: { plain: defineRoom(PlainRoom) },
  greet: false,
});
let url = "";

test.before(async () => {
  await server.listen(0);
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
});

test.after(async () => {
  await server.gracefullyShutdown(false);
});

test("[W11] against a plain Colyseus server the rooms are the SDK's: nothing is numbered", async () => {
  const client = new Client<typeof server>(["http://127.0.0.1:1", url]);
  const room = await client.joinOrCreate("plain");
  await until(() => room.state?.sum === 0, "the first state");
  room.send("add", 2);
  assert.equal(await room.request("add", 3), { sum: 5 });
  await until(() => room.state.sum === 5, "the sum");
  assert.is(room.endpoint, null);
  assert.is(room.unacknowledged, 0);
  assert.is(room.reconnection.minUptime, 5_000);
  assert.ok(queries.length > 0);
  assert.ok(queries.every((query) => !query.includes("testudo")));
  assert.is(await room.leave(), 4000);
});

test("[W11] and they reconnect as the SDK's do", async () => {
  const client = new Client(url, quick);
  const room = await client.joinOrCreate<{ sum: number }>("plain");
  await until(() => room.state?.sum === 0, "the first state");
  room.reconnection.minUptime = 0;
  let back = false;
  room.onReconnect(() => {
    back = true;
  });
  room.connection.close();
  await until(() => back, "the reconnection");
  assert.equal(await room.request("add", 1), { sum: 1 });
  await room.leave();
});

test("[W11] a refusal is the SDK's own error", async () => {
  const error = await new Client(url, quick).join("nowhere").then(
    () => null,
    (error: unknown) => error as { name: string; code: number },
  );
  assert.is(error?.name, "MatchMakeError");
  assert.type(error?.code, "number");
});

test.run();
