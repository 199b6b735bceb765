import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ByteReader } from "../../server/network/byte-reader.ts";
import { decodeMessage, encodeMessage } from "../../server/network/codec.ts";
import { codecLimits } from "../../server/network/codec-limits.ts";
import { decodeFrame, encodeFrame, FrameWriter, frameVersion } from "../../server/network/frame.ts";
import { FrameError, type FrameErrorCode } from "../../server/network/frame-error.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import { anyPeerMessage, peerMessages } from "./messages.ts";

const heartbeat: PeerMessage = {
  type: "heartbeat",
  sequence: 1,
  digest: 2,
  confirms: 3,
  takesLeads: true,
  echo: 4,
  echoDelayMs: 0.5,
};
const runs = { numRuns: 200 };

/** The only ways out of decoding: a FrameError, or messages that are what they say they are. */
function staysWithinRules(bytes: Uint8Array): void {
  let messages: PeerMessage[];
  try {
    messages = decodeFrame(bytes);
  } catch (error) {
    assert.instance(error, FrameError, String(error));
    const { offset, message, found, allowed } = error as FrameError;
    assert.ok(offset >= 0 && offset <= bytes.length, message);
    assert.ok(found.length > 0 && allowed.length > 0, message);
    return;
  }
  assert.equal(decodeFrame(encodeFrame(messages)), messages);
}

function refused(code: FrameErrorCode, run: () => unknown): FrameError {
  try {
    run();
  } catch (error) {
    assert.instance(error, FrameError, String(error));
    assert.is((error as FrameError).code, code, String(error));
    return error as FrameError;
  }
  return assert.unreachable(`${code} was expected`) as never;
}

for (const [name, message] of Object.entries(peerMessages)) {
  test(`[N1] ${name}: decoding gives back what was encoded, byte for byte and field for field`, () => {
    fc.assert(
      fc.property(message, (sent) => {
        const bytes = encodeMessage(sent);
        const got = decodeMessage(bytes);
        assert.equal(got, sent);
        assert.equal(encodeMessage(got), bytes);
      }),
      runs,
    );
  });
}

test("[N1] a frame holds many messages of all kinds, in order", () => {
  fc.assert(
    fc.property(fc.array(anyPeerMessage, { minLength: 1, maxLength: 20 }), (sent) => {
      assert.equal(decodeFrame(encodeFrame(sent)), sent);
    }),
    runs,
  );
});

test("[N1] a frame is decoded wherever it lies in a buffer, and its byte arrays are views on it", () => {
  const frame = encodeFrame([{ type: "gossip", version: 1, body: new Uint8Array([1, 2, 3]) }]);
  const buffer = new Uint8Array(frame.length + 20).fill(255);
  buffer.set(frame, 7);
  const [message] = decodeFrame(buffer.subarray(7, 7 + frame.length));
  assert.ok(message?.type === "gossip");
  assert.equal(message.body, new Uint8Array([1, 2, 3]));
  assert.is(message.body.buffer, buffer.buffer);
});

test("[N2] a frame that is cut anywhere is refused", () => {
  fc.assert(
    fc.property(fc.array(anyPeerMessage, { minLength: 1, maxLength: 3 }), fc.nat(), (messages, at) => {
      const frame = encodeFrame(messages);
      const cut = frame.subarray(0, at % frame.length);
      const error = refused("FRAME_GARBLED", () => decodeFrame(cut));
      assert.ok(error.offset <= cut.length);
    }),
    runs,
  );
});

test("[N2] whatever bytes of a frame are changed, added or taken away, it is refused or decodes to real messages", () => {
  const change = fc.record({ at: fc.nat(), remove: fc.nat(4), insert: fc.uint8Array({ maxLength: 4 }) });
  fc.assert(
    fc.property(
      fc.array(anyPeerMessage, { minLength: 1, maxLength: 4 }),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      (messages, changes) => {
        let bytes = Array.from(encodeFrame(messages));
        for (const { at, remove, insert } of changes) {
          const place = at % (bytes.length + 1);
          bytes = [...bytes.slice(0, place), ...insert, ...bytes.slice(place + remove)];
        }
        staysWithinRules(new Uint8Array(bytes));
      },
    ),
    { numRuns: 1500 },
  );
});

test("[N2] random bytes behind a good head are refused or decode to real messages", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 1, max: 3 }), (noise, count) => {
      staysWithinRules(new Uint8Array([frameVersion, count, 0, 0, 0, ...noise]));
    }),
    { numRuns: 1500 },
  );
});

test("[N2] every single byte of a frame set to each of many values is refused or decodes to real messages", () => {
  const frame = encodeFrame([
    heartbeat,
    {
      type: "propose",
      group: 3,
      proposals: [{ id: { nodeId: "a", bootCount: 1, sequence: 9 }, data: new Uint8Array(3) }],
    },
    {
      type: "found",
      founding: {
        clusterId: "c",
        members: [{ nodeId: "a", storeId: "s" }],
        addresses: [],
        groups: 4,
        level: 1,
      },
    },
  ]);
  for (let at = 0; at < frame.length; at++) {
    for (const value of [0, 1, 2, 0x7f, 0x80, 0xff]) {
      const changed = frame.slice();
      changed[at] = value;
      staysWithinRules(changed);
    }
  }
});

test("[N3] a frame longer than 8 MiB is refused without a look at it", () => {
  const error = refused("FRAME_TOO_LONG", () => decodeFrame(new Uint8Array(codecLimits.frameBytesMax + 1)));
  assert.match(error.message, "8388609 bytes");
});

test("[N3] a count of messages past the limit is refused", () => {
  const frame = encodeFrame([heartbeat]);
  new DataView(frame.buffer).setUint32(1, codecLimits.frameMessagesMax + 1, true);
  refused("FRAME_TOO_LONG", () => decodeFrame(frame));
});

test("[N3] a frame without messages is refused", () => {
  refused("FRAME_GARBLED", () => decodeFrame(new Uint8Array([frameVersion, 0, 0, 0, 0])));
});

test("[N3] a list longer than its limit is refused by encoder and decoder", () => {
  const groups = Array.from({ length: codecLimits.groupsMax + 1 }, (_, group) => ({ group, term: 1 }));
  refused("FRAME_TOO_LONG", () => encodeMessage({ type: "leads", groups }));
  const most = encodeMessage({ type: "leads", groups: groups.slice(1) });
  most[1] = codecLimits.groupsMax + 1;
  refused("FRAME_TOO_LONG", () => decodeMessage(most));
});

test("[N3] a name longer than its limit is refused by encoder and decoder", () => {
  refused("FRAME_TOO_LONG", () => encodeMessage({ type: "founded", clusterId: "é".repeat(128) }));
  const bytes = new Uint8Array(300);
  // Message type 7, a length of 256 in two bytes.
  bytes.set([7, 0x80, 0x02]);
  refused("FRAME_TOO_LONG", () => decodeMessage(bytes));
});

test("[N3] a length or count that the bytes left cannot hold is refused before anything is made for it", () => {
  // propose, group 0, 65,536 proposals, and then nothing.
  const error = refused("FRAME_GARBLED", () => decodeMessage(new Uint8Array([4, 0, 0x80, 0x80, 0x04])));
  assert.match(error.message, "proposals cut short");
  // gossip, version 0, a body of 2^52 bytes.
  const huge = new Uint8Array([8, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08]);
  refused("FRAME_GARBLED", () => decodeMessage(huge));
});

test("[N3] a reader gives out nothing that lies behind its bytes", () => {
  const reader = new ByteReader(new Uint8Array(new ArrayBuffer(64), 8, 4));
  refused("FRAME_GARBLED", () => reader.raw("nonce", 5));
  assert.equal(reader.raw("nonce", 4), new Uint8Array(4));
  refused("FRAME_GARBLED", () => reader.byte("version"));
  refused("FRAME_GARBLED", () => reader.uint32("count"));
  refused("FRAME_GARBLED", () => reader.float("echoDelayMs"));
});

test("[N4] a forwarded proposal whose start or number is 0 is refused: the leader would end of it", () => {
  for (const zero of [{ bootCount: 0 }, { sequence: 0 }]) {
    const id = { nodeId: "a", bootCount: 1, sequence: 9, ...zero };
    const bytes = encodeMessage({ type: "propose", group: 0, proposals: [{ id, data: new Uint8Array(3) }] });
    const error = refused("FRAME_GARBLED", () => decodeMessage(bytes));
    assert.match(error.message, /(bootCount|sequence) 0; allowed: 1 to 2\^53 - 1/);
  }
});

test("[N4] a number in a longer form than it needs, or above 2^53 - 1, is refused", () => {
  // leads of one group: 0 in two bytes; then 2^53.
  refused("FRAME_GARBLED", () => decodeMessage(new Uint8Array([3, 1, 0x80, 0x00, 1])));
  const above = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
  refused("FRAME_GARBLED", () => decodeMessage(new Uint8Array([3, 1, 0, ...above])));
  const endless = new Uint8Array(40).fill(0x80);
  endless.set([3, 1]);
  refused("FRAME_GARBLED", () => decodeMessage(endless));
});

test("[N4] a frame of another version is refused, and says which ones", () => {
  const frame = encodeFrame([heartbeat]);
  frame[0] = frameVersion + 1;
  const error = refused("FRAME_VERSION", () => decodeFrame(frame));
  assert.match(error.message, `frame version ${frameVersion + 1}; allowed: ${frameVersion}`);
});

test("[N4] an unknown message type is refused, of a peer's and of raft's", () => {
  assert.is(refused("MESSAGE_UNKNOWN", () => decodeMessage(new Uint8Array([99, 0]))).offset, 0);
  assert.is(refused("MESSAGE_UNKNOWN", () => decodeMessage(new Uint8Array([1, 0, 77]))).offset, 2);
});

test("[N4] bytes after the last message are refused", () => {
  const bytes = encodeMessage(heartbeat);
  const error = refused("FRAME_GARBLED", () => decodeMessage(new Uint8Array([...bytes, 0])));
  assert.is(error.offset, bytes.length);
});

test("[N5] a number that is no safe integer from 0 is the sender's mistake", () => {
  for (const sequence of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => encodeMessage({ ...heartbeat, sequence } as PeerMessage), /safe integer/);
  }
  assert.throws(() => encodeMessage({ ...heartbeat, echoDelayMs: -1 } as PeerMessage), /finite/);
});

test("[N5] half a surrogate pair in a name is the sender's mistake", () => {
  assert.throws(() => encodeMessage({ type: "founded", clusterId: "\uD800" }), /surrogate/);
});

test("[N6] messages past what one frame holds go into the next one, in order", () => {
  const writer = new FrameWriter();
  const body = new Uint8Array(3 * 1024 * 1024);
  for (let version = 1; version <= 5; version++) writer.add({ type: "gossip", version, body });
  const frames = writer.take();
  assert.is(frames.length, 3);
  const versions = frames
    .flatMap((frame) => decodeFrame(frame))
    .map((message) => message.type === "gossip" && message.version);
  assert.equal(versions, [1, 2, 3, 4, 5]);
  assert.is(writer.bytes, 0);
  assert.equal(writer.take(), []);
});

test("[N6] more messages than one frame may count go into the next one", () => {
  const writer = new FrameWriter();
  for (let count = 0; count <= codecLimits.frameMessagesMax; count++) writer.add(heartbeat);
  assert.equal(
    writer.take().map((frame) => decodeFrame(frame).length),
    [codecLimits.frameMessagesMax, 1],
  );
});

test("[N6] a message that no frame can hold is refused, and what was gathered before stays", () => {
  const writer = new FrameWriter();
  writer.add(heartbeat);
  const body = new Uint8Array(codecLimits.frameBytesMax);
  refused("FRAME_TOO_LONG", () => writer.add({ type: "gossip", version: 1, body }));
  writer.add({ type: "founded", clusterId: "c" });
  const messages = writer.take().flatMap((frame) => decodeFrame(frame));
  assert.equal(messages, [heartbeat, { type: "founded", clusterId: "c" }]);
});

test("[N6] the longest frame that the writer makes is one that the reader takes", () => {
  const empty = encodeFrame([{ type: "gossip", version: 1, body: new Uint8Array(0) }]).length;
  // The body's length takes 4 bytes instead of 1.
  const body = new Uint8Array(codecLimits.frameBytesMax - empty - 3);
  const frame = encodeFrame([{ type: "gossip", version: 1, body }]);
  assert.is(frame.length, codecLimits.frameBytesMax);
  assert.is(decodeFrame(frame).length, 1);
  const longer = new Uint8Array(body.length + 1);
  refused("FRAME_TOO_LONG", () => encodeFrame([{ type: "gossip", version: 1, body: longer }]));
});

test.run();
