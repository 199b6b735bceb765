import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { closeText, LinkRefused } from "../../server/network/close-reason.ts";
import { AcceptorHandshake, DialerHandshake, handshakeBytesMax } from "../../server/network/handshake.ts";
import type { PeerIdentity } from "../../server/network/network.ts";
import { PeerBook } from "../../server/network/peer-book.ts";
import { levels } from "../../server/raft/level.ts";
import { identityOf, secret } from "./link-bench.ts";

const a = identityOf("a", { clusterId: "cluster-1" });
const b = identityOf("b");

function ends(): { dialer: DialerHandshake; acceptor: AcceptorHandshake } {
  return {
    dialer: new DialerHandshake({ secret, self: a, nonce: randomBytes(32), meant: "b" }),
    acceptor: new AcceptorHandshake({ secret, self: b, nonce: randomBytes(32) }),
  };
}

function reasonOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.instance(error, LinkRefused, String(error));
    return (error as LinkRefused).reason;
  }
  return "none";
}

function changed(bytes: Uint8Array, at: number, by: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] as number) ^ by;
  return copy;
}

test("[N20] each side learns the other's identity, as it is", () => {
  const { dialer, acceptor } = ends();
  const hello = dialer.hello(acceptor.challenge);
  assert.equal(acceptor.hello(hello), { peer: a, meant: "b" });
  assert.equal(dialer.welcome(acceptor.welcome), b);
  acceptor.ready(dialer.ready);
});

test("[N20] whatever bit of a hello is changed, it is refused", () => {
  const { dialer, acceptor } = ends();
  const hello = dialer.hello(acceptor.challenge);
  for (let at = 0; at < hello.length; at++) {
    const reason = reasonOf(() => acceptor.hello(changed(hello, at, 1 << (at % 8))));
    const expected = at === 4 ? "VERSION_DIFFERS" : at < 6 ? "HANDSHAKE_GARBLED" : "SECRET_WRONG";
    assert.is(reason, expected, `byte ${at}`);
  }
});

test("[N20] whatever bit of a challenge is changed on the way, the acceptor refuses the answer", () => {
  const { acceptor } = ends();
  for (let at = 6; at < acceptor.challenge.length; at++) {
    const { dialer } = ends();
    const hello = dialer.hello(changed(acceptor.challenge, at, 1 << (at % 8)));
    assert.is(
      reasonOf(() => acceptor.hello(hello)),
      "SECRET_WRONG",
      `byte ${at}`,
    );
  }
});

test("[N20] whatever bit of a welcome is changed, it is refused", () => {
  const { dialer, acceptor } = ends();
  acceptor.hello(dialer.hello(acceptor.challenge));
  for (let at = 6; at < acceptor.welcome.length; at++) {
    assert.is(
      reasonOf(() => dialer.welcome(changed(acceptor.welcome, at, 1 << (at % 8)))),
      "SECRET_WRONG",
    );
  }
  assert.is(
    reasonOf(() => dialer.welcome(acceptor.welcome.subarray(0, 20))),
    "SECRET_WRONG",
  );
});

test("[N20] a dialler's proof is none for an acceptor", () => {
  const { dialer, acceptor } = ends();
  const hello = dialer.hello(acceptor.challenge);
  acceptor.hello(hello);
  const welcome = acceptor.welcome.slice();
  welcome.set(hello.subarray(6, 38), 6);
  assert.is(
    reasonOf(() => dialer.welcome(welcome)),
    "SECRET_WRONG",
  );
});

test("[N21] the welcome of one connection is none for another", () => {
  const first = ends();
  first.acceptor.hello(first.dialer.hello(first.acceptor.challenge));
  const second = ends();
  second.dialer.hello(second.acceptor.challenge);
  assert.is(
    reasonOf(() => second.dialer.welcome(first.acceptor.welcome)),
    "SECRET_WRONG",
  );
});

test("[N26] any bytes at any step are a refusal, never another error", () => {
  const noise = fc.uint8Array({ maxLength: 200 });
  const headed = fc.tuple(fc.integer({ min: 1, max: 4 }), noise).map(([step, rest]) => {
    return new Uint8Array([0x54, 0x53, 0x54, 0x44, 1, step, ...rest]);
  });
  fc.assert(
    fc.property(fc.oneof(noise, headed), (bytes) => {
      const { dialer, acceptor } = ends();
      assert.is.not(
        reasonOf(() => acceptor.hello(bytes)),
        "none",
      );
      assert.is.not(
        reasonOf(() => dialer.welcome(bytes)),
        "none",
      );
    }),
    { numRuns: 300 },
  );
});

test("[N26] the longest identities fit what an unauthenticated connection may send", () => {
  const long = "n".repeat(255);
  const self: PeerIdentity = {
    nodeId: long,
    storeId: long,
    bootId: long,
    clusterId: long,
    levels,
    agreedLevel: 1,
  };
  const acceptor = new AcceptorHandshake({ secret, self, nonce: randomBytes(32) });
  const dialer = new DialerHandshake({ secret, self, nonce: randomBytes(32), meant: long });
  const hello = dialer.hello(acceptor.challenge);
  assert.ok(hello.length <= handshakeBytesMax && acceptor.challenge.length <= handshakeBytesMax);
  assert.equal(acceptor.hello(hello).peer, self);
});

test("[N23] two clusters differ only if both are known", () => {
  const book = new PeerBook(new Map([["a", null]]), { strangersMax: 0 });
  const reason = (theirs: string | null, ours: string | null): string =>
    reasonOf(() => book.check({ ...a, clusterId: theirs }, { ...b, clusterId: ours }, []));
  assert.is(reason("x", "y"), "CLUSTER_DIFFERS");
  for (const [theirs, ours] of [
    ["x", "x"],
    ["x", null],
    [null, "x"],
    [null, null],
  ] as const) {
    assert.is(reason(theirs, ours), "none");
  }
});

test("[N28] a node of a founded cluster lets in a few of that cluster, or blank ones, that it does not know", () => {
  const book = new PeerBook(new Map([["a", null]]), { strangersMax: 2 });
  const reason = (peer: Partial<PeerIdentity>, ours: string | null, linked: readonly string[] = []): string =>
    reasonOf(() => book.check(identityOf("x", peer), { ...b, clusterId: ours }, linked));
  assert.is(reason({ clusterId: "c" }, "c"), "none");
  assert.is(reason({ clusterId: null }, "c"), "none");
  assert.is(reason({ clusterId: "d" }, "c"), "CLUSTER_DIFFERS");
  assert.is(reason({ clusterId: "c" }, null), "NODE_UNEXPECTED");
  assert.is(reason({ clusterId: "c" }, "c", ["a", "y"]), "none");
  assert.is(reason({ clusterId: "c" }, "c", ["a", "y", "z"]), "STRANGERS_TOO_MANY");
  assert.is(reason({ clusterId: "c" }, "c", ["a", "x", "z"]), "none", "its own link is none too many");
  book.set(new Map([["x", null]]));
  assert.is(reason({ clusterId: "c" }, "c", ["a", "y", "z"]), "none");
});

test("[N27] a reason too long for a close frame is cut between two characters", () => {
  for (let length = 80; length < 130; length++) {
    const text = closeText("FRAME_GARBLED", `${"x".repeat(length)}${"é€😀".repeat(20)}`);
    assert.ok(Buffer.byteLength(text) <= 123);
    assert.not.match(text, "\uFFFD");
  }
});

test.run();
