import { test } from "uvu";
import * as assert from "uvu/assert";
import { type LostPeer, PeerWatch } from "../../server/cluster/peer-watch.ts";
import { ManualClock } from "./manual-clock.ts";

const peer = (nodeId: string, bootId: string) => ({ nodeId, storeId: "s", bootId, clusterId: null });

function watch() {
  const clock = new ManualClock();
  const told: LostPeer[] = [];
  const peers = new PeerWatch({ clock, nodeLostMs: 1000, peerIds: ["n2", "n3"] });
  peers.onLost((lost) => told.push(lost));
  return { clock, told, peers };
}

test("[C6] a peer without a link for nodeLostMs is lost, once, under the bootId that it had", () => {
  const { clock, told, peers } = watch();
  peers.linkUp(peer("n2", "b1"));
  peers.linkUp(peer("n3", "c1"));
  clock.advance(5000);
  peers.linkDown("n2");
  clock.advance(999);
  assert.equal(told, []);
  clock.advance(1);
  assert.equal(told, [{ nodeId: "n2", bootId: "b1" }]);
  clock.advance(10_000);
  peers.linkDown("n2");
  clock.advance(10_000);
  assert.is(told.length, 1);
  assert.equal(peers.lost(), [{ nodeId: "n2", bootId: "b1" }]);
});

test("[C6] a link that comes back in time loses nobody", () => {
  const { clock, told, peers } = watch();
  peers.linkUp(peer("n2", "b1"));
  peers.linkUp(peer("n3", "c1"));
  for (let round = 0; round < 5; round++) {
    peers.linkDown("n2");
    clock.advance(900);
    peers.linkUp(peer("n2", "b1"));
  }
  clock.advance(5000);
  assert.equal(told, []);
  assert.equal(peers.lost(), []);
});

test("[C6] a peer that is back with another bootId has lost the old one at once", () => {
  const { clock, told, peers } = watch();
  peers.linkUp(peer("n3", "c1"));
  peers.linkUp(peer("n2", "b1"));
  peers.linkDown("n2");
  clock.advance(10);
  peers.linkUp(peer("n2", "b2"));
  assert.equal(told, [{ nodeId: "n2", bootId: "b1" }]);
  clock.advance(5000);
  assert.is(told.length, 1, "the new one is well");
});

test("[C6] a peer that was lost is not told again when it comes back anew", () => {
  const { clock, told, peers } = watch();
  peers.linkUp(peer("n3", "c1"));
  peers.linkUp(peer("n2", "b1"));
  peers.linkDown("n2");
  clock.advance(2000);
  peers.linkUp(peer("n2", "b2"));
  assert.is(told.length, 1);
  assert.equal(peers.lost(), []);
});

test("[C6] a peer that was never seen is lost with no bootId", () => {
  const { clock, told, peers } = watch();
  peers.linkUp(peer("n2", "b1"));
  clock.advance(1000);
  assert.equal(told, [{ nodeId: "n3", bootId: null }]);
});

test("[C6] a stopped watch has no timers and tells nothing", () => {
  const { clock, told, peers } = watch();
  peers.stop();
  assert.is(clock.timers, 0);
  clock.advance(5000);
  assert.equal(told, []);
});

test.run();
