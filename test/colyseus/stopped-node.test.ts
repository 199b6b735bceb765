// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { Client } from "@colyseus/sdk";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { replicated, startTestudo } from "../../server/index.ts";
import { freePort } from "../cluster/spawned.ts";
import { Watched } from "./collected.ts";

const Board = schema({ turn: t.number().default(0) }, "StoppedBoard");
class BoardRoom extends Room<{ state: InstanceType<typeof Board> }> {
  override state = new Board();
}
class ChatRoom extends Room {}

const watched = new Watched();

/** As a test runner has them: a server in memory for a test, and another one for the next. */
async function serve(): Promise<void> {
  const node = startTestudo({ memory: true });
  const rooms = { board: defineRoom(replicated(BoardRoom)), chat: defineRoom(ChatRoom) };
  const server = defineServer({ ...node.serverOptions, rooms });
  const port = await freePort();
  await server.listen(port);
  const client = new Client(`http://127.0.0.1:${port}`);
  const board = await client.joinOrCreate("board");
  const chat = await client.joinOrCreate("chat");
  assert.is(chat.name, "chat");
  const { sessions } = node.roomNode;
  watched.add("node", node);
  for (const machine of sessions?.machines ?? []) watched.add("machine", machine);
  for (const replica of sessions?.rooms.values() ?? []) watched.add("replica", replica);
  await chat.leave();
  // Its room is there to the end.
  board.reconnection.enabled = false;
  await server.gracefullyShutdown(false);
  await node.stop();
}

test("[Y179] of nodes in memory that were stopped nothing is left, and the next one in the process serves all rooms", async () => {
  const nodes = 4;
  for (let n = 0; n < nodes; n++) await serve();
  await watched.isGone(nodes);
});

test.run();
