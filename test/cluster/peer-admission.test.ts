import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Log } from "../../server/cluster/log.ts";
import type { NodeError } from "../../server/cluster/node-error.ts";
import { admissionDefaults, PeerAdmission } from "../../server/cluster/peer-admission.ts";
import type { PeerMessage, StoreSighting } from "../../server/network/peer-message.ts";
import { levels } from "../../server/raft/level.ts";
import type { StoreSeen } from "../../server/storage/storage.ts";
import { ManualClock } from "./manual-clock.ts";

const sighting = (nodeId: string, given: Partial<StoreSighting> = {}): StoreSighting => ({
  nodeId,
  storeId: `store of ${nodeId}`,
  bootId: `boot of ${nodeId}`,
  bootCount: 2,
  saves: 50,
  ...given,
});

const peerOf = ({ nodeId, storeId, bootId }: StoreSighting) => ({
  nodeId,
  storeId,
  bootId: bootId ?? "",
  clusterId: "c",
  levels,
  agreedLevel: 1,
});

const heartbeat: PeerMessage = { type: "leads", groups: [] };

function scene({ seen = [] }: { seen?: readonly StoreSeen[] } = {}) {
  const clock = new ManualClock();
  const happened: string[] = [];
  const sent: { to: string; message: PeerMessage }[] = [];
  const remembering: { seen: readonly StoreSeen[]; durable: () => void }[] = [];
  const errors: NodeError[] = [];
  const own = sighting("n1");
  const admission = new PeerAdmission({
    own: () => own,
    seen,
    clock,
    log: { error: (fields: { code: string }) => happened.push(fields.code) } as unknown as Log,
    send: (to, message) => void sent.push({ to, message }),
    remember: (stores) =>
      new Promise((durable) => {
        remembering.push({ seen: stores, durable });
      }),
    admitted: ({ nodeId }) => void happened.push(`admitted ${nodeId}`),
    left: (nodeId) => void happened.push(`left ${nodeId}`),
    message: (from, message) => void happened.push(`${message.type} of ${from}`),
    fail: (error) => void errors.push(error),
  });
  const durable = async () => {
    for (const { durable } of remembering.splice(0)) durable();
    await Promise.resolve();
  };
  const linked = (store: StoreSighting) => {
    const peer = peerOf(store);
    admission.linkUp(peer);
    admission.ofCluster(peer);
    return peer;
  };
  const says = (store: StoreSighting, others: readonly StoreSighting[] = []) =>
    admission.receive(store.nodeId, { type: "stores", own: store, seen: others });
  return { admission, clock, happened, sent, remembering, errors, own, durable, linked, says };
}

test("[I3] a start that was never seen is durable before its node is heard; what it said meanwhile waits", async () => {
  const { admission, happened, sent, remembering, durable, linked, says, own } = scene();
  const store = sighting("n2");
  linked(store);
  assert.equal(sent, [{ to: "n2", message: { type: "stores", own, seen: [] } }]);
  admission.receive("n2", heartbeat);
  says(store);
  admission.receive("n2", heartbeat);
  assert.equal(happened, []);
  assert.is(remembering[0]?.seen[0]?.storeId, store.storeId);
  await durable();
  assert.equal(happened, ["admitted n2", "leads of n2", "leads of n2"]);
  admission.receive("n2", heartbeat);
  assert.equal(happened.length, 4);
  admission.linkDown("n2");
  assert.is(happened.at(-1), "left n2");
  admission.receive("n2", heartbeat);
  assert.is(happened.length, 5);
});

test("[I3] a start that is known already is heard at once, and only if it is of this cluster", () => {
  const seen = sighting("n2");
  const { admission, happened, remembering, says } = scene({ seen: [seen] });
  const peer = peerOf(sighting("n2"));
  admission.linkUp(peer);
  says(sighting("n2", { saves: 60 }));
  assert.equal(happened, []);
  admission.ofCluster(peer);
  assert.equal(happened, ["admitted n2"]);
  assert.is(remembering.length, 0);
});

test("[I1] the node of an old image is not heard, and is told what was seen", () => {
  const seen = sighting("n2");
  const { admission, happened, sent, linked, says } = scene({ seen: [seen] });
  const old = sighting("n2", { bootCount: 1, saves: 20 });
  linked(old);
  says(old);
  admission.receive("n2", heartbeat);
  assert.equal(happened, ["STORE_OLD"]);
  const last = sent.at(-1)?.message;
  assert.is(last?.type === "stores" && last.seen[0]?.saves, 50);
  assert.equal(admission.admitted, []);
});

test("[I1, I2] who is told that its own store has been further, or runs twice, ends", () => {
  const { errors, linked, says, own } = scene();
  linked(sighting("n2"));
  says(sighting("n2"), [own]);
  assert.is(errors.length, 0);
  says(sighting("n2"), [{ ...own, saves: own.saves + 1 }]);
  assert.is(errors.at(-1)?.code, "STORE_OLD");
  says(sighting("n2"), [{ ...own, bootId: "another" }]);
  assert.is(errors.at(-1)?.code, "STORE_TWICE");
});

test("[I2] a peer that another node is linked with as another process of the same start is heard no more", async () => {
  const { happened, durable, linked, says } = scene();
  for (const nodeId of ["n2", "n3"]) {
    linked(sighting(nodeId));
    says(sighting(nodeId));
  }
  await durable();
  says(sighting("n3"), [sighting("n2", { bootId: "the copy" })]);
  assert.equal(happened.slice(2), ["STORE_TWICE", "left n2"]);
});

test("[I3] what is told is told again, what was seen is saved now and then, and what waits is bounded", async () => {
  const { admission, clock, sent, remembering, happened, durable, linked, says } = scene();
  linked(sighting("n2"));
  for (let n = 0; n < admissionDefaults.messagesWaitingMax + 10; n++) admission.receive("n2", heartbeat);
  says(sighting("n2"));
  await durable();
  assert.is(happened.length, 1 + admissionDefaults.messagesWaitingMax);
  admission.start();
  const before = sent.length;
  clock.advance(admissionDefaults.rememberMs + admissionDefaults.repeatMs);
  assert.ok(sent.length >= before + admissionDefaults.rememberMs / admissionDefaults.repeatMs);
  assert.is(remembering.length, 1);
  admission.stop();
  const after = sent.length;
  clock.advance(10 * admissionDefaults.repeatMs);
  assert.is(sent.length, after);
});

test.run();
