// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, Protocol, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sessionLimits } from "../../server/session/limits.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { Sweeper } from "../../server/session/sweeper.ts";
import { defineTestRoom, type LoggedCommand } from "./machine-harness.ts";
import { type Player, Scene } from "./scene.ts";

const CrierState = schema({ said: t.number().default(0) }, "CrierState");

class CrierRoom extends Room<{ state: InstanceType<typeof CrierState> }> {
  override state = new CrierState();
  override autoDispose = false;

  override onCreate(): void {
    this.patchRate = 50;
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  say(n: number): void {
    this.state.said = n;
    this.broadcast("said", n);
  }
}

await defineTestRoom("crier", CrierRoom);

/** Stock and wrapper clients on A, a stock one on B. */
async function crierScene(): Promise<Scene> {
  const scene = new Scene();
  await scene.create("crier");
  await scene.join("stock", "A");
  await scene.join("wrapper", "A", {}, true);
  await scene.join("other", "B");
  return scene;
}

async function said(scene: Scene, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await scene.call("say", n);
}

function heard(player: Player): unknown[] {
  return player.messages.map(([, payload]) => payload);
}

function equalReplicas(scene: Scene): void {
  const states = scene.replicas.map(({ machine }) =>
    [...(machine.rooms.get(scene.roomId)?.seats.values() ?? [])].map((seat) => seat.state),
  );
  for (const each of states) assert.equal(each, states[0]);
  for (const each of scene.hashes()) assert.is(each, scene.hashes()[0]);
}

/** A has applied nothing behind `atMost`, by the leader on C. */
async function missing(scene: Scene, atMost: number, how = {}): Promise<void> {
  await scene.apply(scene.log.nodeMissing("C", "A", atMost, how));
}

/** These are committed: whoever waits with applying them knows of all. */
function foreseen(scene: Scene, nodeId: string, ahead: readonly LoggedCommand[]): void {
  for (const { index, command } of ahead) scene.node(nodeId).machine.foresee({ index, term: 1, command });
}

test("[Y110] a stock client whose node died gets what was said behind what that node had applied at most, once, in order, and before anything newer", async () => {
  const scene = await crierScene();
  await said(scene, 1, 2);
  const atMost = scene.log.index;
  scene.kill("A");
  await said(scene, 3, 4);
  await missing(scene, atMost);
  await said(scene, 5, 6);
  assert.equal(heard(scene.player("stock")), [1, 2]);
  await scene.reconnect("stock", "C");
  await said(scene, 7, 7);
  assert.equal(heard(scene.player("stock")), [3, 4, 5, 6, 7]);
  await scene.reconnect("stock", "B");
  assert.equal(heard(scene.player("stock")), [], "C has sent them");
  equalReplicas(scene);
});

test("[Y110] late, behind the loss of its node, it gets what was said to it before the room saw it go", async () => {
  const scene = await crierScene();
  const atMost = scene.log.index;
  scene.kill("A");
  await said(scene, 1, 1);
  await missing(scene, atMost);
  await said(scene, 2, 2);
  await scene.apply(scene.log.nodeLost("C", "A"));
  await said(scene, 3, 3);
  await scene.tick(3_000);
  await scene.reconnect("stock", "B");
  assert.equal(heard(scene.player("stock")), [1, 2]);
  equalReplicas(scene);
});

test("[Y110] what is too many or too old is not kept for it either", async () => {
  const scene = await crierScene();
  const atMost = scene.log.index;
  scene.kill("A");
  await missing(scene, atMost);
  await said(scene, 1, sessionLimits.outboxMessagesMax + 3);
  await scene.reconnect("stock", "B");
  const first = heard(scene.player("stock"))[0];
  assert.equal([first, heard(scene.player("stock")).length], [4, sessionLimits.outboxMessagesMax]);
  await missing(scene, scene.log.index);
  scene.kill("B");
  await scene.apply(scene.log.nodeMissing("C", "B", scene.log.index));
  await said(scene, 1, 1);
  await scene.tick(sessionLimits.outboxMsMax);
  await said(scene, 2, 2);
  await scene.reconnect("stock", "C");
  assert.equal(heard(scene.player("stock")), [2]);
});

test("[Y111] a node that lives and is missing says nothing of that to its stock clients until it is found; their state goes on", async () => {
  const scene = await crierScene();
  const player = scene.player("stock");
  await said(scene, 1, 1);
  await missing(scene, scene.log.index);
  const frames = player.socket.frames.length;
  await said(scene, 2, 3);
  await scene.tick(60);
  const codes = player.socket.frames.slice(frames).map(([code]) => code);
  assert.equal(codes, [Protocol.ROOM_STATE_PATCH]);
  assert.equal(heard(scene.player("wrapper")), [1, 2, 3], "the wrapper says itself what it has");
  assert.equal(heard(scene.player("other")), [1, 2, 3]);
  await scene.apply(scene.log.nodeFound("A"));
  await said(scene, 4, 4);
  assert.equal(heard(player), [1, 2, 3, 4]);
  await scene.reconnect("stock", "C");
  assert.equal(heard(player), [], "they count as sent");
  equalReplicas(scene);
});

test("[Y111] what it had not applied when it was missed it does not send either, though it reads of that only behind it", async () => {
  const scene = await crierScene();
  await said(scene, 1, 1);
  const atMost = scene.log.index;
  const a = scene.node("A");
  scene.kill("A");
  const from = scene.entries.length;
  await said(scene, 2, 3);
  await missing(scene, atMost);
  // It is back, and learns of everything at once.
  const ahead = scene.entries.slice(from);
  scene.replicas.unshift(a);
  foreseen(scene, "A", ahead);
  for (const command of ahead) await inMacrotask(() => a.apply(command));
  await said(scene, 4, 4);
  assert.equal(heard(scene.player("stock")), [1]);
  assert.equal(heard(scene.player("wrapper")), [1, 2, 3, 4]);
  equalReplicas(scene);
  await scene.apply(scene.log.nodeFound("A"));
  assert.equal(heard(scene.player("stock")), [1, 2, 3, 4]);
  await said(scene, 5, 5);
  assert.equal(heard(scene.player("stock")), [1, 2, 3, 4, 5]);
});

test("[Y111] whoever goes on elsewhere while its node holds it back gets it there, once", async () => {
  const scene = await crierScene();
  await missing(scene, scene.log.index);
  await said(scene, 1, 2);
  const { socket } = scene.player("stock");
  await scene.reconnect("stock", "B");
  await scene.apply(scene.log.nodeFound("A"));
  assert.equal(heard(scene.player("stock")), [1, 2]);
  assert.is(socket.frames.filter(([code]) => code === Protocol.ROOM_DATA).length, 0);
});

test("[Y112] a node that fell before it was found has sent nothing by that", async () => {
  const scene = await crierScene();
  const atMost = scene.log.index;
  await missing(scene, atMost);
  await said(scene, 1, 2);
  const applied = scene.log.index;
  scene.kill("A");
  await scene.apply(scene.log.nodeFound("A"));
  await said(scene, 3, 3);
  await missing(scene, applied);
  await said(scene, 4, 4);
  await scene.reconnect("stock", "B");
  assert.equal(heard(scene.player("stock")), [1, 2, 3, 4]);
  equalReplicas(scene);
});

test("[Y112] one that was found, and fell behind that, has sent it", async () => {
  const scene = await crierScene();
  await missing(scene, scene.log.index);
  await said(scene, 1, 2);
  await scene.apply(scene.log.nodeFound("A"));
  const applied = scene.log.index;
  scene.kill("A");
  await said(scene, 3, 3);
  await missing(scene, applied);
  await scene.reconnect("stock", "B");
  assert.equal(heard(scene.player("stock")), [3]);
});

test("[Y112] what waits for an acknowledgement that the node had not applied was not sent by it", async () => {
  const scene = await crierScene();
  await scene.reconnect("stock", "B", { falls: true });
  await said(scene, 1, 2);
  const applied = scene.log.index;
  scene.kill("B");
  await scene.frame("stock", Uint8Array.of(Protocol.JOIN_ROOM));
  await said(scene, 3, 3);
  await scene.apply(scene.log.nodeMissing("C", "B", applied));
  await scene.reconnect("stock", "C");
  assert.equal(heard(scene.player("stock")), [1, 2, 3]);
  equalReplicas(scene);
});

test("[Y112] an acknowledgement that comes while the node is missing sends nothing; a client without one waits for it", async () => {
  const scene = await crierScene();
  await scene.reconnect("stock", "B", { falls: true });
  await said(scene, 1, 1);
  await scene.apply(scene.log.nodeMissing("C", "B", scene.log.index));
  await scene.apply(scene.log.nodeFound("B"));
  assert.equal(heard(scene.player("stock")), []);
  await scene.apply(scene.log.nodeMissing("C", "B", scene.log.index));
  await scene.frame("stock", Uint8Array.of(Protocol.JOIN_ROOM));
  await said(scene, 2, 2);
  assert.equal(heard(scene.player("stock")), []);
  await scene.apply(scene.log.nodeFound("B"));
  await said(scene, 3, 3);
  assert.equal(heard(scene.player("stock")), [1, 2, 3]);
  equalReplicas(scene);
});

test("[Y113] in another term's log it is void, and so it is for other nodes' clients, later starts' and who was found before", async () => {
  const scene = await crierScene();
  const atMost = scene.log.index;
  await missing(scene, atMost, { term: 2 });
  foreseen(scene, "A", scene.entries.slice(-1));
  await missing(scene, atMost, { bootCountMax: 0 });
  await scene.apply(scene.log.nodeMissing("C", "B", atMost, { bootCountMax: 0 }));
  await scene.apply(scene.log.nodeFound("A"));
  await said(scene, 1, 2);
  for (const each of ["stock", "wrapper", "other"]) assert.equal(heard(scene.player(each)), [1, 2]);
  await missing(scene, scene.log.index);
  await scene.apply(scene.log.nodeFound("A", 2));
  await said(scene, 3, 3);
  assert.equal(heard(scene.player("stock")), [1, 2], "another start of it was found");
});

test("[Y113] a leader asks for it only where a stock client is attached to that node, and once", async () => {
  const scene = await crierScene();
  const { machine } = scene.node("C");
  const ask = (nodeId: string) => machine.missingCommand(nodeId, { appliedAtMost: 7, term: 1 });
  assert.is(ask("C"), null);
  assert.equal(ask("A"), scene.log.nodeMissing("C", "A", 7).command);
  await missing(scene, scene.log.index);
  assert.is(ask("A"), null);
  await scene.apply(scene.log.nodeFound("A"));
  assert.is.not(ask("A"), null);
  await scene.reconnect("stock", "B");
  assert.is(ask("A"), null, "what is left there is a wrapper");
});

test("[Y114] that a node is missing, and what it sent by being found, goes through a checkpoint", async () => {
  const scene = await crierScene();
  const atMost = scene.log.index;
  await missing(scene, atMost);
  await said(scene, 1, 2);
  assert.is(await scene.restore("C"), true);
  equalReplicas(scene);
  await scene.apply(scene.log.nodeFound("A"));
  assert.is(await scene.restore("B"), true);
  await said(scene, 3, 3);
  await missing(scene, scene.log.index - 2);
  equalReplicas(scene);
  await scene.reconnect("stock", "C");
  assert.equal(heard(scene.player("stock")), [1, 2, 3]);
});

test("[Y115] a node that reads that it is missing has agreed that it is there, as often as it takes", async () => {
  const scene = await crierScene();
  const proposed: unknown[] = [];
  let answer = (_: Error | null): void => {};
  const nothing = () => Promise.resolve();
  const { machine, marks } = scene.node("A");
  const sweeper = new Sweeper({
    ...{ nodeId: "A", bootCount: 1, machines: [machine], marks, leaderlessMsMax: 1_000 },
    ...{
      isLost: () => false,
      isLeader: () => false,
      leaderlessMs: () => null,
      ended: () => [],
      lost: () => [],
    },
    ...{ forget: nothing, nodeLost: nothing, caughtUp: nothing, propose: nothing },
    log: { info: () => {}, warn: () => {} },
    nodeFound: (group, found) => {
      proposed.push([group, found]);
      return new Promise((resolve, reject) => {
        answer = (error) => (error === null ? resolve() : reject(error));
      });
    },
  });
  sweeper.sweep();
  await scene.apply(scene.log.nodeMissing("C", "B", scene.log.index));
  sweeper.sweep();
  assert.equal(proposed, []);
  await missing(scene, scene.log.index);
  sweeper.sweep();
  sweeper.sweep();
  assert.equal(proposed, [[0, { nodeId: "A", bootCount: 1 }]]);
  answer(new Error("no leader"));
  await inMacrotask(() => {});
  sweeper.sweep();
  assert.is(proposed.length, 2);
  answer(null);
  await scene.apply(scene.log.nodeFound("A"));
  await inMacrotask(() => {});
  sweeper.sweep();
  assert.is(proposed.length, 2);
});

test.run();
