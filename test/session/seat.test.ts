import { test } from "uvu";
import * as assert from "uvu/assert";
import { sessionLimits } from "../../server/session/limits.ts";
import { Seat } from "../../server/session/seat.ts";

const at = (nodeId: string, attachId = 1) => ({ nodeId, bootCount: 1, attachId });

test("[D7] each attachment raises the epoch; frames without numbers of their own count from 1 again", () => {
  const seat = new Seat("s");
  seat.attach(at("A"), { token: "t1", presentedToken: null });
  assert.is(seat.epoch, 1);
  assert.equal(
    [seat.take("epoch", 1), seat.take("epoch", 1), seat.take("epoch", 3)],
    ["new", "duplicate", "gap"],
  );
  seat.attach(at("B"), { token: "t2", presentedToken: "t1" });
  assert.is(seat.epoch, 2);
  assert.is(seat.take("epoch", 1), "new");
});

test("[D7] the wrapper's stream goes on over epochs", () => {
  const seat = new Seat("s");
  seat.attach(at("A"), { token: "t1", presentedToken: null });
  assert.is(seat.take("client", 1), "new");
  assert.is(seat.take("client", 2), "new");
  seat.attach(at("B"), { token: "t2", presentedToken: "t1" });
  assert.equal(
    [seat.take("client", 2), seat.take("client", 4), seat.take("client", 3)],
    ["duplicate", "gap", "new"],
  );
});

test("[D8] the token that was shown stays good until the new one is acknowledged, then it is refused", () => {
  const seat = new Seat("s");
  assert.is(seat.accepts(""), false);
  seat.attach(at("A"), { token: "t1", presentedToken: null });
  assert.equal([seat.accepts("t1"), seat.accepts("forged"), seat.accepts("")], [true, false, false]);
  seat.attach(at("B"), { token: "t2", presentedToken: "t1" });
  assert.equal([seat.accepts("t1"), seat.accepts("t2")], [true, true]);
  seat.tokenAcknowledged(1);
  assert.equal([seat.accepts("t1"), seat.accepts("t2")], [false, true]);
});

test("[D8] a client that never got its new token, twice over, still comes in with the one that it has", () => {
  const seat = new Seat("s");
  seat.attach(at("A"), { token: "t1", presentedToken: null });
  seat.attach(at("B"), { token: "t2", presentedToken: "t1" });
  seat.attach(at("C"), { token: "t3", presentedToken: "t1" });
  assert.equal([seat.accepts("t1"), seat.accepts("t2"), seat.accepts("t3")], [true, true, true]);
});

test("[D8] an attempt that was given up and is applied late does not shut out the token that reached the client", () => {
  const seat = new Seat("s");
  seat.attach(at("A"), { token: "t1", presentedToken: null });
  seat.tokenAcknowledged(1);
  // The client has t2; an older attempt of its own, which showed t1, comes after it and takes the seat.
  seat.attach(at("B"), { token: "t2", presentedToken: "t1" });
  seat.attach(at("C"), { token: "t3", presentedToken: "t1" });
  seat.attach(at("B"), { token: "t4", presentedToken: "t2" });
  // What it has shown is newer than t1: that one is used up.
  assert.equal(
    ["t1", "t2", "t3", "t4"].map((token) => seat.accepts(token)),
    [false, true, true, true],
  );
  seat.tokenAcknowledged(1);
  assert.equal(
    ["t2", "t3", "t4"].map((token) => seat.accepts(token)),
    [false, false, true],
  );
});

test("[D8] of the tokens that a client may have, the one that it showed and the newest are kept", () => {
  const seat = new Seat("s");
  seat.attach(at("A"), { token: "t0", presentedToken: null });
  const last = sessionLimits.tokensKeptMax + 5;
  for (let n = 1; n <= last; n++) seat.attach(at("A"), { token: `t${n}`, presentedToken: "t0" });
  assert.equal(
    [seat.accepts("t0"), seat.accepts("t1"), seat.accepts(`t${last - 1}`), seat.accepts(`t${last}`)],
    [true, false, true, true],
  );
  assert.is(seat.state.earlierTokens.length, sessionLimits.tokensKeptMax);
});

test("[D9] replies are remembered by request, the newest ones only", () => {
  const seat = new Seat("s");
  for (let id = 1; id <= sessionLimits.repliesKeptMax + 5; id++) seat.rememberReply(id, Uint8Array.of(id));
  assert.is(seat.replies.size, sessionLimits.repliesKeptMax);
  assert.equal([seat.replies.has(5), seat.replies.has(6)], [false, true]);
  seat.rememberReply(6, Uint8Array.of(1));
  seat.rememberReply(500, Uint8Array.of(2));
  assert.equal([seat.replies.has(6), seat.replies.has(7)], [true, false], "answered again, it is new again");
});

test("[D9] a seat's state brings back an equal seat", () => {
  const seat = new Seat("s");
  seat.attach(at("A", 9), { token: "t1", presentedToken: null });
  seat.attach(at("B", 3), { token: "t2", presentedToken: "t1" });
  seat.wrapper = true;
  seat.take("client", 1);
  seat.take("epoch", 1);
  seat.rememberReply(4, Uint8Array.of(1, 2));
  const restored = Seat.from(structuredClone(seat.state));
  assert.equal(restored.state, seat.state);
  assert.is(restored.accepts("t1"), true);
});

test.run();
