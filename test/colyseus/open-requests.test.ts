// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { EventEmitter } from "node:events";
import type { Client } from "@colyseus/core";
import { Protocol } from "@colyseus/core";
import { encode } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { attachSocket } from "../../server/colyseus/attach-socket.ts";
import type { AttachedClient } from "../../server/session/attached-clients.ts";
import { AttachedClients } from "../../server/session/attached-clients.ts";
import { unasked } from "../../server/session/auth-outcome.ts";
import type { LiveSocket } from "../../server/session/live-socket.ts";
import type { Sessions } from "../../server/session/sessions.ts";
import { UNANSWERED_MAX } from "../../shared/wrapper-protocol.ts";
import { messageFrame, requestFrame } from "./machine-harness.ts";

function replyFrame(requestId: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[0] = Protocol.ROOM_RESPONSE;
  const at = { offset: 1 };
  encode.number(bytes, requestId, at);
  return bytes.subarray(0, at.offset + 1);
}

/** A client that is attached, with what it asks agreed at once. */
async function attached(early: readonly Uint8Array[] = []) {
  const ref = Object.assign(new EventEmitter(), { bufferedAmount: 0, _socket: null });
  const clients = new AttachedClients(() => 0);
  const here: LiveSocket[] = [];
  const sessions = {
    clients,
    attach: async (_roomId: string, socket: LiveSocket) => {
      here.push(socket);
      for (const frame of early) ref.emit("message", frame);
      return { isBusy: false, receive: () => {}, closed: () => {} };
    },
  } as unknown as Sessions;
  const client = {
    sessionId: "ann",
    ref,
    readyState: 1,
    raw: () => {},
    leave: () => {},
  } as unknown as Client;
  await attachSocket(sessions, "room", client, {}, async () => unasked);
  const [one] = [...clients.all].map(([each]) => each) as [AttachedClient];
  return {
    one,
    says: (frame: Uint8Array) => ref.emit("message", frame),
    hears: (frame: Uint8Array) => here[0]?.send(frame),
  };
}

test("[C60] who has asked something waits for it until the reply is sent, though the request was agreed long before", async () => {
  const { one, says, hears } = await attached();
  assert.is(one.isBusy, false);
  says(messageFrame("say", 1));
  assert.is(one.isBusy, false, "a message has no answer");
  says(requestFrame(1, "slow"));
  says(requestFrame(300, "slow"));
  assert.is(one.isBusy, true);
  hears(replyFrame(300));
  hears(messageFrame("said", 1));
  assert.is(one.isBusy, true);
  hears(replyFrame(1));
  assert.is(one.isBusy, false);
});

test("[C60] what was asked while the join was being agreed counts, too; and so many at most are waited for", async () => {
  const early = await attached([requestFrame(7, "slow")]);
  assert.is(early.one.isBusy, true);
  early.hears(replyFrame(7));
  assert.is(early.one.isBusy, false);
  const { one, says, hears } = await attached();
  for (let id = 1; id <= UNANSWERED_MAX + 5; id++) says(requestFrame(id, "slow"));
  for (let id = 1; id <= UNANSWERED_MAX; id++) hears(replyFrame(id));
  assert.is(one.isBusy, false);
});

test.run();
