import { test } from "uvu";
import * as assert from "uvu/assert";
import { identityOf, until, withBench } from "./link-bench.ts";

const nowhere = "ws://127.0.0.1:1";
const of = (nodeId: string) => identityOf(nodeId, { clusterId: "cluster-1" });
const urls = (peers: Record<string, string | null>) => new Map(Object.entries(peers));

test(
  "[N29] a peer that is added is dialled, and one that is taken out is not dialled again",
  withBench(async (bench) => {
    const b = await bench.node("b", { identity: of("b") });
    const a = await bench.node("a", { identity: of("a") });
    assert.equal(a.links.peers(), []);
    a.links.setPeers(urls({ a: nowhere, b: b.url() }));
    await until("linked", () => a.ups("b") === 1 && b.ups("a") === 1);
    assert.equal(a.links.peers(), [{ nodeId: "b", state: "up" }]);
    assert.equal(b.links.peers(), [], "b does not know it");
    a.links.setPeers(urls({}));
    assert.equal(a.downs("b"), [], "a link stays until it ends");
    await b.links.close();
    await until("down", () => a.downs("b").length === 1);
    assert.equal(a.links.peers(), []);
  }),
);

test(
  "[N29] a new address is dialled the next time",
  withBench(async (bench) => {
    const a = await bench.node("a", { identity: of("a"), peers: { b: nowhere } });
    await until("nobody there", () => a.lines.some(({ fields }) => fields.reason === "UNREACHABLE"));
    const b = await bench.node("b", { identity: of("b") });
    a.links.setPeers(urls({ b: b.url() }));
    await until("linked", () => a.ups("b") === 1);
    assert.throws(() => a.links.setPeers(urls({ b: "http://b" })), /OPTION_INVALID|peers\.b/);
  }),
);

test(
  "[N29] who is not known to the one that should dial dials itself, late; and when it is known there is one link all the same",
  withBench(async (bench) => {
    const a = await bench.node("a", { identity: of("a") });
    const c = await bench.node("c", { identity: of("c"), peers: { a: a.url() }, lateDialMs: 30 });
    await until("linked", () => a.ups("c") === 1 && c.ups("a") === 1);
    a.links.setPeers(urls({ c: c.url() }));
    a.links.send("c", { type: "founded", clusterId: "x" });
    await until("heard", () => c.received("a").length === 1);
    assert.equal([a.ups("c"), c.ups("a"), a.downs("c").length], [1, 1, 0]);
    const port = Number(new URL(c.url()).port);
    await c.links.close();
    await until("down", () => a.downs("c").length === 1);
    const again = await bench.node("c", {
      identity: of("c"),
      port,
      peers: { a: a.url() },
      lateDialMs: 600_000,
    });
    await until("now a dials", () => a.ups("c") === 2 && again.ups("a") === 1);
  }),
);

test(
  "[N29] who is known to the one that should dial is told to wait for it",
  withBench(async (bench) => {
    const a = await bench.node("a", { identity: of("a"), peers: { c: nowhere } });
    const c = await bench.node("c", { identity: of("c"), peers: { a: a.url() }, lateDialMs: 20 });
    await until("refused", () => c.lines.some(({ fields }) => fields.reason === "DIRECTION_WRONG"));
    assert.equal([a.events, c.events], [[], []]);
    a.links.setPeers(urls({ c: c.url() }));
    await until("linked", () => a.ups("c") === 1 && c.ups("a") === 1);
  }),
);

test(
  "[N28] a peer whose address nobody knows is let in when it dials",
  withBench(async (bench) => {
    const a = await bench.node("a", { identity: of("a") });
    a.links.setPeers(urls({ c: null }));
    assert.equal(a.links.peers(), [{ nodeId: "c", state: "down" }]);
    await bench.node("c", { identity: of("c"), peers: { a: a.url() }, lateDialMs: 20 });
    await until("linked", () => a.ups("c") === 1);
    assert.equal(a.links.peers(), [{ nodeId: "c", state: "up" }]);
  }),
);

test(
  "[N28] more strangers than allowed are refused, and told so; those that are linked stay",
  withBench(async (bench) => {
    const a = await bench.node("a", { identity: of("a"), strangersMax: 1 });
    await bench.node("c", { identity: of("c"), peers: { a: a.url() }, lateDialMs: 20 });
    await until("linked", () => a.ups("c") === 1);
    const d = await bench.node("d", { identity: of("d"), peers: { a: a.url() }, lateDialMs: 20 });
    await until("refused", () => d.lines.some(({ fields }) => fields.reason === "STRANGERS_TOO_MANY"));
    assert.equal(a.downs("c"), []);
  }),
);

test.run();
