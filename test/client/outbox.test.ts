import { test } from "uvu";
import * as assert from "uvu/assert";
import { Outbox, OutboxFullError } from "../../client/outbox.ts";
import { decodeSequenced, UNANSWERED_MAX } from "../../shared/wrapper-protocol.ts";

const frame = (byte: number): Uint8Array => new Uint8Array([13, byte]);
const numbers = (outbox: Outbox): (number | undefined)[] =>
  outbox.resend().map((bytes) => decodeSequenced(bytes)?.sequence);

test("[W6] no number is given before the seat's last one is known", () => {
  const outbox = new Outbox({ commandsMax: 10, bytesMax: 100 });
  const command = outbox.add(frame(1), null);
  assert.throws(() => outbox.encode(command), /no sequence number/);
  outbox.acknowledge(41);
  assert.is(decodeSequenced(outbox.encode(command))?.sequence, 42);
  assert.equal([...(decodeSequenced(outbox.encode(command))?.frame ?? [])], [13, 1]);
});

test("[W5] an acknowledgement covers every number up to it; a repeated or older one nothing more", () => {
  const outbox = new Outbox({ commandsMax: 10, bytesMax: 100 });
  outbox.acknowledge(0);
  for (let byte = 1; byte <= 4; byte++) outbox.encode(outbox.add(frame(byte), null));
  outbox.acknowledge(3);
  outbox.acknowledge(1);
  assert.equal(numbers(outbox), [4]);
  assert.is(outbox.bytes, 2);
  outbox.add(frame(5), null);
  assert.equal(numbers(outbox), [4, 5]);
});

test("[W5] the frame is copied", () => {
  const outbox = new Outbox({ commandsMax: 10, bytesMax: 100 });
  outbox.acknowledge(0);
  const bytes = frame(1);
  outbox.add(bytes, null);
  bytes[1] = 9;
  assert.equal([...(decodeSequenced(outbox.resend()[0] as Uint8Array)?.frame ?? [])], [13, 1]);
});

test("[W5] a request stays until it is both applied and answered", () => {
  for (const answerFirst of [true, false]) {
    const outbox = new Outbox({ commandsMax: 10, bytesMax: 100 });
    outbox.acknowledge(0);
    outbox.encode(outbox.add(frame(1), 7));
    outbox.encode(outbox.add(frame(2), null));
    if (answerFirst) outbox.answered(7);
    else outbox.acknowledge(1);
    // Not acknowledged: without it the numbers would have a gap.
    assert.equal(numbers(outbox), [1, 2]);
    if (answerFirst) outbox.acknowledge(1);
    else outbox.answered(7);
    assert.equal(numbers(outbox), [2]);
  }
});

test("[W7] commands and bytes are bounded, and an acknowledgement makes room", () => {
  const few = new Outbox({ commandsMax: 2, bytesMax: 100 });
  few.acknowledge(0);
  few.encode(few.add(frame(1), null));
  few.encode(few.add(frame(2), null));
  assert.throws(
    () => few.add(frame(3), null),
    (error: unknown) =>
      error instanceof OutboxFullError && /OUTBOX_FULL: 2 commands or 100 bytes/.test(error.message),
  );
  few.acknowledge(1);
  few.add(frame(3), null);

  const small = new Outbox({ commandsMax: 100, bytesMax: 5 });
  small.add(frame(1), null);
  small.add(frame(2), null);
  assert.throws(() => small.add(frame(3), null), /OUTBOX_FULL/);
  small.clear();
  assert.is(small.bytes, 0);
  assert.is(small.size, 0);
});

test("[W7] no more requests may be unanswered than nodes remember replies to", () => {
  const outbox = new Outbox({ commandsMax: 10_000, bytesMax: 10_000 });
  outbox.acknowledge(0);
  for (let id = 1; id <= UNANSWERED_MAX; id++) outbox.encode(outbox.add(frame(1), id));
  assert.throws(() => outbox.add(frame(1), 1_000), /OUTBOX_FULL: 256 requests wait/);
  outbox.add(frame(1), null);
  outbox.acknowledge(UNANSWERED_MAX);
  assert.throws(() => outbox.add(frame(1), 1_000), /OUTBOX_FULL: 256 requests wait/);
  outbox.answered(1);
  outbox.add(frame(1), 1_000);
});

test.run();
