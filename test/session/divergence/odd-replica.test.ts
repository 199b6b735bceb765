// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { CopyWish } from "../../../server/session/divergence/room-copy.ts";
import { sessionLimits } from "../../../server/session/limits.ts";
import { inMacrotask } from "../../../server/session/macrotask.ts";
import type { Checkpoint } from "../../../server/storage/storage.ts";
import { Replica } from "../../colyseus/machine-harness.ts";
import { type DivergingRoom, Trial } from "./trial.ts";

const refusedWith = (value: unknown) => (value as { refused?: string } | null)?.refused;

const begin = () => new Trial().begin();

test("[V1] the hash tells graphs, chance, seats and time apart", async () => {
  const trial = await begin();
  const hashes = () => new Set(trial.replicas.map(({ nodeId }) => JSON.stringify(trial.pointOf(nodeId))));
  assert.is(hashes().size, 1);
  const { world } = trial.replica("B");
  await inMacrotask(() => world.run(() => Math.random(), "behind the log's back"));
  await trial.tick(1_000);
  assert.is(hashes().size, 2);
});

test("[V1] hashes are taken at the same indexes, whatever a replica makes of the commands", async () => {
  const trial = await begin();
  const seats = trial.replica("B").seats;
  const [seat] = seats.values();
  assert.ok(seat);
  // To B this seat is unknown: it refuses what the others carry out.
  seats.delete("a");
  for (let second = 0; second < 3; second++) {
    trial.log.logTimeMs += 1_000;
    await trial.send("a", "fire");
    const indexes = trial.replicas.map(({ nodeId }) => trial.pointOf(nodeId).index);
    assert.equal(indexes, Array(3).fill(trial.log.index));
  }
});

test("[V1] a replica that took no hash where the others did differs", async () => {
  const trial = await begin();
  const before = trial.log.index;
  // C's timer is later than the others': the first tick of the next second finds nothing due there.
  for (const timer of trial.replica("C").world.timers.live) timer.dueMs += 3_000;
  await trial.tick(1_000);
  const { index, hash } = trial.pointOf("A");
  assert.ok(index > before);
  await trial.apply(trial.verdict(hash));
  assert.equal(
    ["A", "B", "C"].map((nodeId) => trial.standing(nodeId)),
    ["serving", "serving", "diverged"],
  );
});

test("[V2] a replica with another hash than the majority's speaks for the room no more, and the others go on", async () => {
  const trial = await begin();
  await trial.condemn();
  assert.equal(
    ["A", "B", "C"].map((nodeId) => trial.standing(nodeId)),
    ["serving", "serving", "diverged"],
  );
  assert.is(trial.player("c").socket.closed?.code, 4010);
  assert.is(trial.player("a").socket.closed, null);
  const told = trial.player("c").socket.frames.length;
  const answers = await trial.apply(trial.log.call("C", trial.roomId, "drawn"));
  const values = answers.map((answer) => (answer.type === "done" ? answer.value : answer.type));
  assert.is(refusedWith(values[2]), "ROOM_NOT_SERVED_HERE");
  assert.is(values[0], values[1]);
  assert.type(values[0], "number");
  await trial.tick(100, 5);
  assert.is(trial.player("c").socket.frames.length, told, "nothing is said any more");
  const saved = await inMacrotask(() => trial.node("C").machine.save(trial.roomId));
  assert.is(saved, null, "no checkpoint of it is made");
  const [notice] = trial.node("C").notices.filter(({ type }) => type === "diverged");
  assert.ok(notice?.type === "diverged");
  const { ownHash, hash, index } = notice.odd.divergence;
  assert.is.not(ownHash, hash);
  assert.is(hash, trial.replica("A").witness.agreed?.hash);
  assert.is(index, trial.replica("A").witness.agreed?.index);
  assert.equal(notice.odd.holders, ["A", "B"]);
});

test("[V2] a client that is on its way to a replica that differs is sent on", async () => {
  const trial = await begin();
  await trial.condemn();
  await trial.reserve("late");
  await trial.attach("late", "C");
  assert.is([...trial.node("C").sockets.values()].at(-1)?.closed?.code, 4010);
});

test("[V3] it heals from a holder, says what differed, and is equal from then on", async () => {
  const trial = await begin();
  const wish = await trial.condemn();
  await trial.send("a", "fire");
  await trial.tick(100, 3);
  const copied = await trial.copy("B", wish);
  assert.ok(copied.type === "copied");
  // What comes after the copy is not lost either.
  await trial.send("a", "fire");
  await trial.send("b", "fire");
  await trial.drop("b");
  await trial.tick(100, 3);
  await inMacrotask(() => trial.node("C").machine.heal(trial.roomId, copied.checkpoint));
  assert.is(trial.standing("C"), "serving");
  await trial.equal();
  const notice = trial.node("C").notices.find(({ type }) => type === "healed");
  assert.ok(notice?.type === "healed");
  assert.match(notice.odd.divergence.firstDifference ?? "", /^room\.bias: 1 against 0$/);
  assert.type(notice.odd.divergence.healedAtMs, "number");
  await trial.reconnect("c", "C");
  await trial.send("c", "fire");
  await trial.tick(100, 12);
  await trial.equal();
  const saved = await inMacrotask(() => trial.node("C").machine.save(trial.roomId));
  assert.ok(saved !== null && saved !== "deleted");
  assert.is(new Set(trial.replicas.map(({ nodeId }) => trial.pointOf(nodeId).hash)).size, 1);
});

test("[V3] a tick that was held, and does not concern the room, takes no hash either", async () => {
  const trial = await begin();
  const wish = await trial.condemn();
  await trial.tick(33, 100);
  await trial.heal("C", "A", wish);
  const points = (nodeId: string) => trial.replica(nodeId).witness.state.points;
  assert.equal(points("C"), points("A"));
  await trial.tick(33, 100);
  assert.equal(points("C"), points("A"));
});

test("[V3] what differs beside the room's own fields is named, too", async () => {
  const trial = await begin();
  const { world } = trial.replica("C");
  await inMacrotask(() => world.run(() => Math.random(), "behind the log's back"));
  await trial.tick(1_000);
  const { index, hash } = trial.pointOf("A");
  await trial.apply(trial.verdict(hash));
  await trial.heal("C", "A", { roomId: trial.roomId, index, hash, notBefore: trial.log.index, code: "" });
  const notice = trial.node("C").notices.find(({ type }) => type === "healed");
  assert.ok(notice?.type === "healed");
  assert.match(notice.odd.divergence.firstDifference ?? "", /^room\.world\.random\[0\]: /);
  await trial.equal();
});

test("[V3] numbers that a node gave meanwhile are neither lost nor held up", async () => {
  const trial = await begin();
  const wish = await trial.condemn();
  const { log, roomId } = trial;
  const [first, second] = [log.reserve("C", roomId, "x"), log.reserve("C", roomId, "y")];
  const swapped = [
    { ...second, index: first.index },
    { ...first, index: second.index },
  ];
  const results = [];
  for (const command of swapped) results.push((await trial.apply(command)).map(({ type }) => type));
  assert.equal(results, [
    ["gap", "gap", "gap"],
    ["done", "done", "done"],
  ]);
  await trial.apply({ ...second, index: ++log.index });
  await trial.heal("C", "A", wish);
  await trial.equal();
  await trial.apply(log.reserve("C", roomId, "z"));
  await trial.equal();
  assert.equal([...trial.replica("C").origins.state].at(-1), ["C", 1, 4]);
});

test("[V3] a holder gives no copy that is too old, not at rest, or not what was agreed", async () => {
  const trial = await begin();
  const wish = await trial.condemn();
  const reason = async (from: string, given: Partial<CopyWish>) => {
    const copied = await trial.copy(from, { ...wish, ...given });
    return copied.type === "refused" ? copied.reason : "copied";
  };
  assert.is(await reason("A", {}), "copied");
  assert.is(await reason("C", {}), "this replica differs, too");
  assert.is(await reason("A", { hash: "another" }), "the verdict has not come here yet");
  assert.is(await reason("A", { index: wish.index + 1 }), "the verdict has not come here yet");
  assert.match(await reason("A", { notBefore: wish.notBefore + 1 }), /is applied here, not yet/);
  assert.is(await reason("A", { roomId: "nowhere" }), "the room is not here");
  await trial.request("a", "wait", 10_000);
  assert.match(await reason("A", {}), /^not at rest: .+/);
});

test("[V3] what is held is bounded: past it the odd replica goes on by itself, and asks for a later copy", async () => {
  const trial = await begin();
  const wish = await trial.condemn();
  const odd = trial.node("C").machine.odd.get(trial.roomId);
  assert.ok(odd);
  const early = await trial.copy("A", wish);
  assert.ok(early.type === "copied");
  let most = 0;
  for (let command = 0; command < sessionLimits.heldCommandsMax + 10; command++) {
    await trial.tick(1);
    most = Math.max(most, odd.held);
  }
  assert.is(most, sessionLimits.heldCommandsMax);
  assert.ok(odd.index > wish.notBefore, "it has gone on");
  const { message } = await inMacrotask(() => {
    try {
      trial.node("C").machine.heal(trial.roomId, early.checkpoint);
      return { message: "healed" };
    } catch (error) {
      return error as Error;
    }
  });
  assert.match(message, /cannot stand at/);
  await trial.heal("C", "A", { ...wish, notBefore: odd.index, code: "" });
  await trial.equal();
});

test("[V4] without a majority the room stands still everywhere, and goes on where it stood", async () => {
  const trial = await begin();
  const other = trial.log.allocate("A", "others001", "diverging");
  await trial.apply(other);
  await trial.bias("B", "C");
  const { index } = trial.pointOf("A");
  await trial.apply(trial.verdict(null));
  assert.equal(
    ["A", "B", "C"].map((nodeId) => trial.standing(nodeId)),
    ["frozen", "frozen", "frozen"],
  );
  for (const name of ["a", "b", "c"]) assert.is(trial.player(name).socket.closed?.code, 4010);
  const before = { now: trial.replica("A").world.nowMs(), steps: trial.room<DivergingRoom>("A").steps };
  const otherSteps = () => trial.node("A").room<DivergingRoom>("others001").steps;
  const othersBefore = otherSteps();
  for (const command of [
    trial.log.call("A", trial.roomId, "drawn"),
    trial.log.reserve("A", trial.roomId, "late"),
    trial.log.detach("A", trial.roomId, "a", trial.player("a").epoch),
  ]) {
    for (const result of await trial.apply(command))
      assert.is(result.type === "done" && refusedWith(result.value), "ROOM_FROZEN");
  }
  assert.is(refusedWith(await trial.send("b", "fire")), "ROOM_FROZEN");
  await trial.apply(trial.log.nodeLost("A", "B"));
  await trial.tick(1_000, 20);
  assert.ok(otherSteps() > othersBefore, "another room goes on");
  assert.equal(before, {
    now: trial.replica("A").world.nowMs(),
    steps: trial.room<DivergingRoom>("A").steps,
  });
  assert.is(trial.replica("A").witness.last?.index, index, "and no hash is taken");
  // A restart changes nothing about it.
  assert.is(await trial.restore("B"), true);
  assert.is(trial.standing("B"), "frozen");

  const { hash } = trial.pointOf("A");
  await trial.apply(trial.verdict(hash, index));
  assert.equal(
    ["A", "B", "C"].map((nodeId) => trial.standing(nodeId)),
    ["serving", "diverged", "diverged"],
  );
  const wish = { roomId: trial.roomId, index, hash, notBefore: trial.log.index, code: "" };
  await trial.heal("B", "A", wish);
  await trial.heal("C", "A", wish);
  await trial.tick(100, 2);
  await trial.equal();
  const after = { now: trial.replica("A").world.nowMs(), steps: trial.room<DivergingRoom>("A").steps };
  assert.equal(after, { now: before.now + 200, steps: before.steps + 2 });
  await trial.drop("a");
  await trial.reconnect("a", "A");
  assert.equal(await trial.request("a", "fire"), { status: 0, payload: 2 });
});

test("[V4] a verdict that comes late, or twice, changes nothing", async () => {
  const trial = await begin();
  const { index, hash } = trial.pointOf("A");
  await trial.apply(trial.verdict(hash));
  for (const again of [trial.verdict(null, index), trial.verdict("another", index), trial.verdict("x", 1)]) {
    await trial.apply(again);
    assert.equal(
      ["A", "B", "C"].map((nodeId) => trial.standing(nodeId)),
      ["serving", "serving", "serving"],
    );
  }
  await trial.tick(1_000, sessionLimits.hashPointsMax + 1);
  await trial.apply(trial.verdict("forgotten", index + 1));
  assert.is(trial.standing("A"), "serving");
});

test("[V5] a checkpoint that was saved before the verdict against it is judged again, after a restart and on another node", async () => {
  const trial = await begin();
  await trial.bias("C");
  const { index, hash } = trial.pointOf("A");
  const savedAt = trial.log.index;
  const saved = await inMacrotask(() => trial.node("C").save());
  await trial.send("b", "fire");
  await trial.apply(trial.verdict(hash, index));
  await trial.tick(100, 2);
  for (const nodeId of ["C", "B"]) {
    const again = new Replica(nodeId, 2);
    await inMacrotask(() => again.restore(saved as Map<string, Checkpoint>));
    assert.is(again.machine.standing(trial.roomId), undefined);
    for (const entry of trial.entries.filter((each) => each.index > savedAt))
      await inMacrotask(() => again.apply(entry));
    assert.is(again.machine.standing(trial.roomId)?.type, "diverged", nodeId);
    assert.is(again.machine.rooms.get(trial.roomId)?.witness.source, "C");
    await inMacrotask(() => again.restore(new Map()));
  }
});

test("[V5] a copy is its source's word until a verdict has found both alike", async () => {
  const trial = await begin();
  const wish = await trial.condemn();
  await trial.heal("C", "A", wish);
  assert.is(trial.replica("C").witness.source, "A");
  await trial.apply(trial.verdict(trial.pointOf("A").hash));
  assert.is(trial.replica("C").witness.source, "A", "that hash is a copy, too");
  await trial.tick(1_000);
  await trial.apply(trial.verdict(trial.pointOf("A").hash));
  assert.is(trial.replica("C").witness.source, "C");
});

test.run();
