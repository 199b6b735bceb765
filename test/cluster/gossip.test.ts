import { test } from "uvu";
import * as assert from "uvu/assert";
import { Gossip, type GossipBody, gossipDefaults } from "../../server/cluster/gossip.ts";
import { makeLog } from "../../server/cluster/log.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import { ManualClock } from "./manual-clock.ts";

const log = makeLog({ node: "test", level: "silent" });
const peer = (nodeId: string, bootId = "b1") => ({ nodeId, storeId: "s", bootId, clusterId: null });

function body(node: string): GossipBody {
  return {
    node,
    bootId: "b1",
    region: "eu",
    leadRank: 50,
    clientUrl: `http://${node}`,
    pid: 1,
    startedAtMs: 0,
  };
}

type GossipMessage = Extract<PeerMessage, { type: "gossip" }>;

function gossipOf(node: string, clock = new ManualClock()) {
  const sent: { to: string; message: GossipMessage }[] = [];
  const send = (to: string, message: PeerMessage) => sent.push({ to, message: message as GossipMessage });
  return { gossip: new Gossip({ own: body(node), send, clock, log }), sent, clock };
}

test("[C7] a node tells each new link about itself, and all links about a change, once a turn", () => {
  const a = gossipOf("n1");
  a.gossip.linkUp(peer("n2"));
  a.gossip.linkUp(peer("n3"));
  assert.equal(
    a.sent.map(({ to }) => to),
    ["n2", "n3"],
  );
  a.gossip.set("rooms", [1]);
  a.gossip.set("rooms", [1, 2]);
  assert.is(a.sent.length, 2);
  a.clock.advance(0);
  assert.equal(
    a.sent.slice(2).map(({ to }) => to),
    ["n2", "n3"],
  );
  const b = gossipOf("n2");
  b.gossip.linkUp(peer("n1"));
  b.gossip.message("n1", a.sent.at(-1)?.message as GossipMessage);
  assert.equal(b.gossip.of("n1")?.["rooms"], [1, 2]);
  a.gossip.set("rooms", [1, 2]);
  a.clock.advance(0);
  assert.is(a.sent.length, 4, "what did not change is not spread");
});

test("[C7] a newer version replaces an older one, never the other way round, until the node starts anew", () => {
  const a = gossipOf("n1");
  a.gossip.linkUp(peer("n2"));
  a.gossip.set("load", 2);
  a.clock.advance(0);
  const [older, newer] = a.sent.map(({ message }) => message) as [GossipMessage, GossipMessage];
  const b = gossipOf("n2").gossip;
  let heard = 0;
  b.onHeard(() => heard++);
  b.linkUp(peer("n1"));
  b.message("n1", newer);
  b.message("n1", older);
  b.message("n1", newer);
  assert.is(b.of("n1")?.["load"], 2);
  assert.is(heard, 1);
  b.linkDown("n1");
  b.message("n1", newer);
  b.linkUp(peer("n1", "b2"));
  b.message("n1", older);
  assert.is(b.of("n1")?.["load"], undefined);
});

test("[C7] what a line lost is told again", () => {
  const a = gossipOf("n1");
  a.gossip.start();
  a.gossip.linkUp(peer("n2"));
  a.clock.advance(gossipDefaults.repeatMs * 3);
  assert.is(a.sent.length, 4);
  a.gossip.stop();
  assert.is(a.clock.timers, 0);
});

test("[C7] endpoints begin with the own one, then those with a link, then the rest", () => {
  const { gossip } = gossipOf("n2");
  for (const id of ["n3", "n1"]) {
    const other = gossipOf(id);
    other.gossip.linkUp(peer("n2"));
    gossip.linkUp(peer(id));
    gossip.message(id, other.sent[0]?.message as GossipMessage);
  }
  gossip.linkDown("n1");
  assert.equal(gossip.endpoints(), [
    { node: "n2", region: "eu", url: "http://n2" },
    { node: "n3", region: "eu", url: "http://n3" },
    { node: "n1", region: "eu", url: "http://n1" },
  ]);
});

test("[C7] what cannot be read, or speaks for another node, changes nothing", () => {
  const { gossip } = gossipOf("n2");
  gossip.linkUp(peer("n1"));
  const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const bodies = [
    new Uint8Array([0xff]),
    bytes(null),
    bytes({}),
    bytes(body("n3")),
    bytes({ ...body("n1"), pid: "x" }),
    new Uint8Array(gossipDefaults.bodyBytesMax + 1),
  ];
  for (const each of bodies) gossip.message("n1", { type: "gossip", version: 9, body: each });
  assert.is(gossip.of("n1"), null);
  assert.equal(
    gossip.endpoints().map(({ node }) => node),
    ["n2"],
  );
});

test("[C7] a node's own fields cannot be replaced, and what is too much to tell is a programmer's error", () => {
  const { gossip, clock } = gossipOf("n1");
  assert.throws(() => gossip.set("pid", 7), /the node's own/);
  gossip.set("rooms", "x".repeat(gossipDefaults.bodyBytesMax));
  assert.throws(() => clock.advance(0), /bodyBytesMax/);
});

test.run();
