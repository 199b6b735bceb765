import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeEnvelope, encodeEnvelope } from "../../server/group/proposal-envelope.ts";

const nodeId = fc.string({ unit: "binary", minLength: 1, maxLength: 60 }).filter((id) => {
  const bytes = Buffer.byteLength(id);
  return bytes <= 255 && id.isWellFormed();
});
const envelope = fc.record({
  id: fc.record(
    {
      nodeId,
      bootCount: fc.maxSafeNat().map((number) => Math.max(1, number)),
      sequence: fc.maxSafeNat().map((number) => Math.max(1, number)),
    },
    { noNullPrototype: true },
  ),
  command: fc.uint8Array({ maxLength: 100 }),
});

test("[G5] an envelope is opened as it was closed", () => {
  fc.assert(
    fc.property(envelope, ({ id, command }) => {
      const opened = decodeEnvelope(encodeEnvelope(id, command));
      assert.equal(opened?.id, id);
      assert.equal([...(opened?.command ?? [])], [...command]);
    }),
  );
});

test("[G5] what is cut off or made up is no envelope, or a real one", () => {
  const opens = (bytes: Uint8Array) => {
    const opened = decodeEnvelope(bytes);
    if (opened === null) return;
    const { nodeId, sequence } = opened.id;
    assert.ok(nodeId.length > 0 && Number.isSafeInteger(sequence) && sequence >= 1);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), opens));
  fc.assert(
    fc.property(envelope, fc.nat(400), ({ id, command }, at) => {
      const whole = encodeEnvelope(id, command);
      const head = whole.length - command.length;
      const bytes = whole.subarray(0, at % whole.length);
      if (bytes.length < head) assert.is(decodeEnvelope(bytes), null);
      else opens(bytes);
    }),
  );
});

test.run();
