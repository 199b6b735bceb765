import { test } from "uvu";
import * as assert from "uvu/assert";
import { closeText } from "../../server/network/close-reason.ts";
import { levelRefusal } from "../../server/network/level-refusal.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import { identityOf, until, withBench } from "./link-bench.ts";

const gossip: PeerMessage = { type: "gossip", version: 1, body: new Uint8Array(0) };
const nowhere = "ws://127.0.0.1:1";
const knows = (nodeId: string, max: number, agreedLevel: number | null = null, min = 1) =>
  identityOf(nodeId, { levels: { min, max }, agreedLevel });
const reasons = (lines: readonly { fields: Record<string, unknown> }[]) =>
  lines.flatMap(({ fields }) => (fields["reason"] === "LEVEL_DIFFERS" ? [String(fields["detail"])] : []));

test("[V25] whether two nodes can be linked", () => {
  const refused = (one: ReturnType<typeof knows>, other: ReturnType<typeof knows>) =>
    levelRefusal(one, other) ?? levelRefusal(other, one);
  assert.is(refused(knows("a", 1), knows("b", 2)), null);
  assert.is(refused(knows("a", 1, 1), knows("b", 2, 1)), null);
  assert.is(refused(knows("a", 2, 2), knows("b", 2, 1)), null, "it has not heard of it yet");
  assert.is(refused(knows("a", 3, 2, 2), knows("b", 2, 2)), null);
  const older = "the cluster has agreed on level 2, a knows 1 to 1: start a newer version there";
  assert.is(refused(knows("a", 1), knows("b", 2, 2)), older);
  assert.is(refused(knows("b", 2, 2), knows("a", 1, 1)), older);
  const newer = "the cluster has agreed on level 1, a knows 2 to 3: start an older version there";
  assert.is(refused(knows("a", 3, null, 2), knows("b", 2, 1)), newer);
  const apart = "a knows 1 to 1, b needs 2 or more: start a newer version there";
  assert.is(refused(knows("a", 1), knows("b", 3, null, 2)), apart);
  const long = "n".repeat(40);
  const told = levelRefusal(knows(long, 1), knows("b", 12, 12)) as string;
  assert.match(closeText("LEVEL_DIFFERS", told), /agreed on level 12, n{40} knows 1 to 1/, "it gets there");
});

test(
  "[V25] who does not know what is agreed on is refused, whoever dials, and both sides say it in words",
  withBench(async (bench) => {
    for (const [dialer, acceptor] of [
      [knows("a", 1), knows("b", 2, 2)],
      [knows("a", 2, 2), knows("b", 1)],
    ] as const) {
      const b = await bench.node("b", { identity: acceptor, peers: { a: nowhere } });
      const a = await bench.node("a", { identity: dialer, peers: { b: b.url() }, reconnectDelayMsMax: 20 });
      await until("both say so", () => reasons(a.lines).length > 0 && reasons(b.lines).length > 0);
      const old = dialer.levels.max === 1 ? "a" : "b";
      const words = new RegExp(`agreed on level 2, ${old} knows 1 to 1: start a newer version there`);
      for (const node of [a, b]) assert.match(reasons(node.lines)[0] as string, words);
      assert.is(a.lines.find(({ fields }) => fields.reason === "LEVEL_DIFFERS")?.level, "error");
      assert.equal([...a.events, ...b.events], []);
    }
  }),
);

test(
  "[V25] once more is agreed on, links to those that do not know it end, and are not made anew",
  withBench(async (bench) => {
    const b = await bench.node("b", { identity: knows("b", 2, 1), peers: { a: nowhere, c: nowhere } });
    const peers = { b: b.url() };
    const a = await bench.node("a", { identity: knows("a", 1, 1), peers, reconnectDelayMsMax: 20 });
    const a2 = await bench.node("a2", { identity: knows("a2", 2, 1), peers });
    b.links.setPeers(
      new Map([
        ["a", null],
        ["a2", null],
      ]),
    );
    await until("linked", () => b.ups("a") === 1 && b.ups("a2") === 1);
    b.links.setAgreedLevel(2);
    await until("a is let go", () => a.downs("b").length === 1 && b.downs("a").length === 1);
    assert.equal(a.downs("b"), ["LEVEL_DIFFERS"]);
    await until("a has tried again", () => reasons(a.lines).length > 1);
    assert.equal([b.ups("a"), b.downs("a2")], [1, []]);
    assert.is(a2.downs("b").length, 0);
  }),
);

test(
  "[V25] a message that came with a level goes only to nodes that know it",
  withBench(async (bench) => {
    const messageLevels = { gossip: 2 };
    const b = await bench.node("b", {
      identity: knows("b", 2),
      peers: { a: nowhere, a2: nowhere },
      messageLevels,
    });
    const peers = { b: b.url() };
    const old = await bench.node("a", { identity: knows("a", 1), peers });
    const young = await bench.node("a2", { identity: knows("a2", 2), peers });
    await until("linked", () => b.ups("a") === 1 && b.ups("a2") === 1);
    for (const to of ["a", "a2"]) {
      b.links.send(to, gossip);
      b.links.send(to, { type: "founded", clusterId: "c" });
    }
    await until("both have heard", () => old.received("b").length > 0 && young.received("b").length > 1);
    assert.equal(
      old.received("b").map(({ type }) => type),
      ["founded"],
    );
    assert.equal(
      young.received("b").map(({ type }) => type),
      ["gossip", "founded"],
    );
  }),
);

test.run();
