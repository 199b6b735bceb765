import { Protocol } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EarlyFrames } from "../../server/colyseus/early-frames.ts";
import { sessionLimits } from "../../server/session/limits.ts";

const { framesBeforeAttachMax, inputsBeforeAttachMax, inputBytesBeforeAttachMax } = sessionLimits;
const message = Uint8Array.of(Protocol.ROOM_DATA, 1);
const input = Uint8Array.of(Protocol.ROOM_INPUT_RELIABLE | 0x80, 1);

test("[Y80] inputs that come before the join is answered are kept in their place, beside the few messages", () => {
  const early = new EarlyFrames();
  for (let at = 0; at < inputsBeforeAttachMax; at++) {
    if (at < framesBeforeAttachMax) assert.is(early.add(message), null);
    assert.is(early.add(input), null);
  }
  assert.is(early.all.length, framesBeforeAttachMax + inputsBeforeAttachMax);
  assert.equal(early.all.slice(0, 3), [message, input, message]);
  assert.is(early.add(message), `more than ${framesBeforeAttachMax} messages before the join was answered`);
  assert.is(early.add(input), `more than ${inputsBeforeAttachMax} inputs before the join was answered`);
});

test("[Y80] big ones are not kept beyond their bytes", () => {
  const early = new EarlyFrames();
  const big = new Uint8Array(inputBytesBeforeAttachMax / 2);
  big[0] = Protocol.ROOM_INPUT_UNRELIABLE;
  assert.equal([early.add(big), early.add(big)], [null, null]);
  assert.match(early.add(input) ?? "", `more than ${inputBytesBeforeAttachMax} bytes of inputs`);
  assert.is(early.all.length, 2);
});

test.run();
