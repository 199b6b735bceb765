import { test } from "uvu";
import * as assert from "uvu/assert";
import { Attached } from "../../server/session/attached.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import type { LiveSocket } from "../../server/session/live-socket.ts";
import type { Message } from "../../server/session/message-codec.ts";
import { refusal } from "../../server/session/session-error.ts";
import { encodeCommand } from "../../shared/wrapper-protocol.ts";

interface Sent {
  readonly stream: string;
  readonly sequence: number;
  readonly frame: Uint8Array;
  answer(value: unknown): void;
  fail(): void;
}

/** A way into a log that answers when it is told to. */
function scene(clientSequence = 0) {
  const sent: Sent[] = [];
  const detached: number[] = [];
  const state = { overloaded: false, nowMs: 5_000 };
  const said: { message: Message; refuse: (reason: string) => void }[] = [];
  const closes: [number, string][] = [];
  const socket: LiveSocket = { send: () => {}, close: (...why) => void closes.push(why), isOpen: true };
  const route = {
    room: () =>
      ({
        seats: new Map([["s", { clientSequence }]]),
        // Frames of 99 are of two types of which only the newest counts.
        program: {
          eventualType: ([code]: Uint8Array) => (code === 98 ? "emote" : null),
          messagesPerSecondMax: 3,
          latestType: ([code, type]: Uint8Array) => (code === 99 ? `type ${(type ?? 0) % 2}` : null),
        },
      }) as never,
    message: (frame: { stream: string; sequence: number; frame: Uint8Array }) =>
      state.overloaded
        ? null
        : new Promise<unknown>((resolve, reject) => {
            sent.push({ ...frame, answer: resolve, fail: () => reject(new Error("NO_LEADER")) });
          }),
    eventuals: {
      say: (message: Message, refuse: (reason: string) => void) => void said.push({ message, refuse }),
    },
    nowMs: () => state.nowMs,
    detachSurely: (_roomId: string, _sessionId: string, epoch: number) => void detached.push(epoch),
  };
  const attached = new Attached(route, { roomId: "r", sessionId: "s", epoch: 4, socket });
  return { attached, sent, said, closes, detached, state };
}

const numbers = (sent: readonly Sent[]) => sent.map(({ stream, sequence }) => `${stream} ${sequence}`);

test("[D23] stock frames are numbered from 1, the wrapper's keep their own numbers and may come again", () => {
  const { attached, sent, closes } = scene(7);
  attached.receive(Uint8Array.of(13, 1));
  attached.receive(Uint8Array.of(13, 2));
  for (const sequence of [8, 7, 9]) attached.receive(encodeCommand(sequence, Uint8Array.of(13)));
  assert.equal(numbers(sent), ["epoch 1", "epoch 2", "client 8", "client 7", "client 9"]);
  assert.equal(closes, []);
});

const frames = (sent: readonly Sent[]) => sent.map(({ frame }) => [...frame]);
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("[Y86] of messages of which only the newest counts one is on its way, and the newest waits for its end", async () => {
  const { attached, sent, closes } = scene();
  for (let n = 0; n < 10 * sessionLimits.framesInFlightMax; n++)
    attached.receive(Uint8Array.of(99, 2, n % 251));
  assert.equal(frames(sent), [[99, 2, 0]]);
  attached.receive(Uint8Array.of(99, 2, 252));
  attached.receive(Uint8Array.of(99, 1, 253));
  assert.equal(
    frames(sent).slice(1),
    [
      [99, 2, 252],
      [99, 1, 253],
    ],
    "another type is another message",
  );
  for (const { answer } of sent) answer(null);
  await settled();
  assert.is(sent.length, 3);
  attached.receive(Uint8Array.of(99, 2, 254));
  attached.receive(Uint8Array.of(99, 2, 255));
  sent[3]?.answer(null);
  await settled();
  assert.equal(frames(sent).slice(3), [
    [99, 2, 254],
    [99, 2, 255],
  ]);
  assert.equal(numbers(sent), ["epoch 1", "epoch 2", "epoch 3", "epoch 4", "epoch 5"]);
  assert.equal(closes, []);
});

test("[Y86] nothing overtakes what waits, numbered commands neither; what waits ends with its socket", async () => {
  const { attached, sent } = scene();
  for (const last of [1, 2, 3]) attached.receive(Uint8Array.of(99, 2, last));
  attached.receive(Uint8Array.of(13));
  for (const last of [4, 5]) attached.receive(Uint8Array.of(99, 2, last));
  attached.receive(encodeCommand(1, Uint8Array.of(21)));
  assert.equal(frames(sent), [[99, 2, 1], [99, 2, 3], [13], [99, 2, 5], [21]]);
  attached.receive(Uint8Array.of(99, 2, 6));
  attached.closed(1006);
  for (const { answer } of sent) answer(null);
  await settled();
  assert.is(sent.length, 5);
});

test("[Y124] eventual frames go past the log with numbers of their own, and are counted by the second where they come in", () => {
  const { attached, sent, said, closes, state } = scene();
  const frame = Uint8Array.of(98, 1);
  attached.receive(frame);
  frame[1] = 9;
  attached.receive(Uint8Array.of(13));
  attached.receive(Uint8Array.of(98, 2));
  assert.equal(
    said.map(({ message: { sequence, epoch, frame: each } }) => [sequence, epoch, ...each]),
    [
      [1, 4, 98, 1],
      [2, 4, 98, 2],
    ],
    "the frame is the socket's buffer",
  );
  assert.equal(numbers(sent), ["epoch 1"]);
  attached.receive(Uint8Array.of(98, 3));
  state.nowMs += 1_000;
  for (let n = 0; n < 3; n++) attached.receive(Uint8Array.of(98, n));
  assert.equal([said.length, closes], [6, []]);
  attached.receive(Uint8Array.of(98, 4));
  assert.is(said.length, 6);
  assert.equal(closes, [[4002, "more than 3 messages a second: send more slowly"]]);
  const numbering = scene();
  for (let n = 1; n <= 4; n++) numbering.attached.receive(encodeCommand(n, Uint8Array.of(98, n)));
  assert.equal(numbers(numbering.sent), ["client 1", "client 2", "client 3"], "its numbers are in the log");
  assert.is(numbering.closes.length, 1);
  const other = scene();
  other.attached.receive(Uint8Array.of(98, 1));
  other.said[0]?.refuse("the message is refused");
  assert.equal(other.closes, [[4002, "the message is refused"]]);
});

test("[D23] a wrapper cannot leave a number out", () => {
  const { attached, sent, closes } = scene(7);
  attached.receive(encodeCommand(9, Uint8Array.of(13)));
  assert.equal(closes, [[4002, "command 9 is out of order: the next one is 8"]]);
  attached.receive(encodeCommand(8, Uint8Array.of(13)));
  assert.equal(sent, [], "what comes behind is left out, too");
});

test("[D23] a frame that is too long, empty or garbled is refused with its limit", () => {
  for (const [frame, words] of [
    [
      new Uint8Array(sessionLimits.frameBytesMax + 1).fill(13),
      `at most ${sessionLimits.frameBytesMax} bytes`,
    ],
    [new Uint8Array(0), "empty or garbled"],
    [Uint8Array.of(30, 1), "empty or garbled"],
    [encodeCommand(1, new Uint8Array(0)), "out of order"],
    [encodeCommand(0, Uint8Array.of(1)), "out of order"],
  ] as const) {
    const { attached, sent, closes } = scene();
    attached.receive(frame);
    assert.is(closes[0]?.[0], 4002);
    assert.match(closes[0]?.[1] ?? "", words);
    attached.receive(Uint8Array.of(13));
    assert.equal(sent, []);
  }
  const { attached, sent } = scene();
  attached.receive(new Uint8Array(sessionLimits.frameBytesMax).fill(13));
  assert.is(sent.length, 1);
});

test("[D23] frames in flight are limited, and an answer frees a place", async () => {
  const { attached, sent, closes } = scene();
  for (let at = 0; at < sessionLimits.framesInFlightMax; at++) attached.receive(Uint8Array.of(13));
  sent[0]?.answer(null);
  await Promise.resolve();
  attached.receive(Uint8Array.of(13));
  assert.equal(closes, []);
  attached.receive(Uint8Array.of(13));
  assert.match(closes[0]?.[1] ?? "", `more than ${sessionLimits.framesInFlightMax} messages`);
});

test("[D23] overloaded, refused or unanswered, the client is sent on to another node with 4010", async () => {
  const overloaded = scene();
  overloaded.state.overloaded = true;
  overloaded.attached.receive(Uint8Array.of(13));
  overloaded.state.overloaded = false;
  overloaded.attached.receive(Uint8Array.of(13));
  assert.equal(
    overloaded.closes.map(([code]) => code),
    [4010],
  );
  assert.equal(overloaded.sent, [], "a frame behind one that was left out must not overtake it");
  const refused = scene();
  refused.attached.receive(Uint8Array.of(13));
  refused.sent[0]?.answer(refusal("EPOCH_PAST", "elsewhere"));
  await Promise.resolve();
  assert.equal(refused.closes, [[4010, "EPOCH_PAST"]]);
  const unanswered = scene();
  unanswered.attached.receive(Uint8Array.of(13));
  unanswered.sent[0]?.fail();
  await Promise.resolve();
  await Promise.resolve();
  assert.is(unanswered.closes[0]?.[0], 4010);
});

test("[D23] a socket that closes detaches its seat in its epoch, once, and brings nothing more", () => {
  const { attached, sent, detached } = scene();
  attached.closed(1006);
  attached.closed(1006);
  attached.receive(Uint8Array.of(13));
  assert.equal([detached, sent], [[4], []]);
});

test.run();
