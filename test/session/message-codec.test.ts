import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Message, messageCodec } from "../../server/session/message-codec.ts";
import { sessionMenu } from "../../server/session/session-menu.ts";

const message: Message = {
  roomId: "AbCdEfGhA",
  sessionId: "x_Y-z1234",
  epoch: 3,
  stream: "client",
  sequence: 70_000,
  frame: new Uint8Array([21, 1, 163, 97, 100, 100]),
};

/** As plain values: Buffers and Uint8Arrays compare alike. */
const plain = (value: unknown) => ({ ...(value as Message), frame: [...(value as Message).frame] });

test("a message comes out of its encoding as it went in, behind the headroom", () => {
  const least: Message = {
    ...message,
    roomId: "r",
    sessionId: "Ω",
    epoch: 0,
    stream: "epoch",
    sequence: 1,
    frame: new Uint8Array(0),
  };
  const most: Message = {
    ...message,
    epoch: 2 ** 32 - 1,
    sequence: Number.MAX_SAFE_INTEGER,
    roomId: "r".repeat(255),
  };
  for (const one of [message, least, most]) {
    for (const headroom of [0, 1, 7]) {
      const bytes = messageCodec.encode(one, headroom);
      assert.equal(plain(messageCodec.decode(bytes.subarray(headroom))), plain(one));
    }
  }
});

test("the menu carries a message in its own encoding", () => {
  const bytes = sessionMenu.encode("message", message);
  const { name, argument } = sessionMenu.decode(bytes);
  assert.is(name, "message");
  assert.equal(plain(argument), plain(message));
  assert.ok(bytes.length < message.frame.length + 40, `${bytes.length} bytes`);
});

test("a message that is cut short anywhere before its frame is garbled", () => {
  const bytes = sessionMenu.encode("message", message);
  for (let length = 1; length < bytes.length - message.frame.length; length++) {
    assert.throws(
      () => sessionMenu.decode(bytes.subarray(0, length)),
      (error: { code?: string }) => error.code === "MENU_GARBLED",
    );
  }
});

test("an unknown stream and a sequence that is no number from 1 are garbled", () => {
  const stream = messageCodec.encode(message, 0);
  stream[0] = 2;
  assert.throws(() => messageCodec.decode(stream), /garbled/);
  for (const sequence of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
    const bytes = Buffer.from(messageCodec.encode(message, 0));
    bytes.writeDoubleLE(sequence, 5);
    assert.throws(() => messageCodec.decode(bytes), /garbled/);
  }
});

test("what a node could only get wrong itself is asserted", () => {
  for (const wrong of [
    { sequence: 0 },
    { sequence: 1.5 },
    { epoch: -1 },
    { epoch: 2 ** 32 },
    { roomId: "" },
    { sessionId: "s".repeat(256) },
  ]) {
    assert.throws(
      () => messageCodec.encode({ ...message, ...wrong }, 0),
      (error: { code?: string }) => error.code === "ERR_ASSERTION",
    );
  }
});

test("a command past 64 KiB is refused", () => {
  assert.throws(
    () => sessionMenu.encode("message", { ...message, frame: new Uint8Array(64 * 1024) }),
    (error: { code?: string }) => error.code === "MENU_TOO_LONG",
  );
});

test.run();
