import { test } from "uvu";
import * as assert from "uvu/assert";
import type { MembersNotice } from "../../server/group/group-status.ts";
import { type MembersChange, wishOf } from "../../server/group/members-wish.ts";
import { type Configuration, emptyConfiguration, type Member } from "../../server/raft/configuration.ts";
import { Cluster, type ClusterOptions, memberOf } from "./cluster.ts";
import type { CounterMachine } from "./counter-machine.ts";

const nothing: MembersChange = { add: [], learn: [], remove: [], cancel: false, addresses: [] };

const adding = (...ids: string[]): MembersChange => ({ ...nothing, add: ids.map(memberOf) });

const ids = (members: readonly Member[]) => members.map(({ nodeId }) => nodeId).join();

const of = (configuration: Partial<Record<keyof Configuration, string>>): Configuration => {
  const sets = Object.entries(configuration).map(([name, list]) => [name, list.split(",").map(memberOf)]);
  return { ...emptyConfiguration, ...Object.fromEntries(sets) };
};

async function cluster(options: ClusterOptions<CounterMachine> = {}): Promise<Cluster<CounterMachine>> {
  const made = await new Cluster<CounterMachine>({ nodes: 5, founders: 3, ...options }).start();
  const leader = await made.leader();
  for (let count = 0; count < 5; count += 1) await made.value(made.add(leader.id, { add: 1 }));
  return made;
}

const votersAt = (made: Cluster, id: string) => ids(made.status(id).members.configuration.voters);

async function isDone(made: Cluster, voters: string, at: readonly string[]): Promise<void> {
  const done = await made.clock.until(() =>
    at.every((id) => {
      const { configuration, isCommitted } = made.status(id).members;
      return isCommitted && ids(configuration.voters) === voters && configuration.votersOutgoing.length === 0;
    }),
  );
  assert.ok(done, `voters are ${at.map((id) => votersAt(made, id))}`);
}

test("[G30] any node may be asked: the leader carries it out, and the new members apply all that there is", async () => {
  const made = await cluster();
  const leader = await made.leader();
  const other = await made.follower();
  const dry = await made.value(other.engine.changeMembers(0, adding("n4", "n5"), { dryRun: true }));
  assert.equal(dry, { type: "possible" });
  assert.is(votersAt(made, leader.id), "n1,n2,n3");
  const outcome = await made.value(other.engine.changeMembers(0, adding("n4", "n5")));
  assert.equal(outcome, { type: "appended" });
  await isDone(made, "n1,n2,n3,n4,n5", made.ids);
  const again = await made.value(made.node("n4").engine.changeMembers(0, adding("n4", "n5")));
  assert.equal(again, { type: "unchanged" });
  await made.value(made.add("n5", { add: 7 }));
  await made.converge();
  assert.is(made.node("n4").machines[0]?.parts.a.total, 12);
  await made.stop();
});

test("[G30] what the leader refuses is told with the reason, whichever member was asked", async () => {
  const made = await cluster();
  const leader = await made.leader();
  for (const at of ["n1", "n2", "n3"]) {
    const outcome = await made.value(
      made.node(at).engine.changeMembers(0, { ...nothing, remove: ["n1", "n2", "n3"] }),
    );
    assert.equal(outcome, { type: "refused", code: "NO_VOTERS", message: "nobody would be left to vote" });
  }
  assert.is(votersAt(made, leader.id), "n1,n2,n3");
  await made.stop();
});

test("[G31] a question whose leader dies is asked of the next one", async () => {
  const made = await cluster();
  const leader = await made.leader();
  made.passes = (_, __, message) => message.type !== "changeMembersAnswer";
  const other = await made.follower();
  const asked = other.engine.changeMembers(0, adding("n4"), { timeoutMs: 5_000 });
  await made.clock.run(20);
  made.passes = () => true;
  made.kill(leader.id);
  const outcome = await made.value(asked);
  assert.ok(outcome.type === "appended" || outcome.type === "unchanged", JSON.stringify(outcome));
  await made.clock.until(() => votersAt(made, other.id).includes("n4"));
  await made.stop();
});

test("[G31] without a leader there is an answer at the deadline; too many questions, and a stop, have one at once", async () => {
  const made = await cluster();
  for (const id of ["n1", "n2"]) made.kill(id);
  await made.clock.run(1_000);
  const { engine } = made.node("n3");
  const asked = engine.changeMembers(0, adding("n4"), { timeoutMs: 100 });
  const outcome = await made.value(asked);
  assert.is(outcome.type === "refused" && outcome.code, "NO_LEADER");
  const many = Array.from({ length: 17 }, () => engine.changeMembers(0, adding("n4")));
  const last = await made.value(many[16] as (typeof many)[number]);
  assert.is(last.type === "refused" && last.code, "TOO_MANY_CHANGES");
  await made.stop();
  for (const one of [many[0], engine.changeMembers(0, adding("n5"))]) {
    const answer = await made.value(one as (typeof many)[number]);
    assert.is(answer.type === "refused" && answer.code, "STOPPED");
  }
});

test("[G32] a new member is brought up by a snapshot, and starts again with what it came to know", async () => {
  const made = await cluster({
    engine: {
      checkpointIntervalMs: 50,
      compactEntriesMin: 1,
      logTailEntries: 0,
      raft: { catchUpBytesMax: 0 },
    },
  });
  await made.clock.run(500);
  const leader = await made.leader();
  assert.ok(made.status(leader.id).baseIndex > 0);
  await made.value(leader.engine.changeMembers(0, adding("n4")));
  await isDone(made, "n1,n2,n3,n4", ["n1", "n4"]);
  made.kill("n5");
  await made.value(made.add("n4", { add: 3 }));
  await made.clock.run(500);
  await made.converge();
  assert.is(made.node("n4").machines[0]?.parts.a.total, 8);
  made.kill("n4");
  const again = await made.boot("n4");
  await made.clock.until(() => again.engine.isServing(0));
  assert.is(votersAt(made, "n4"), "n1,n2,n3,n4");
  await made.converge();
  assert.is(made.node("n4").machines[0]?.parts.a.total, 8);
  await made.stop();
});

test("[G32] a base carries the configuration as of its index, however late it is written", async () => {
  const made = await cluster({
    engine: {
      checkpointIntervalMs: 40,
      compactEntriesMin: 1,
      logTailEntries: 2,
      raft: { catchUpBytesMax: 0 },
    },
  });
  const leader = await made.leader();
  await made.value(leader.engine.changeMembers(0, adding("n4", "n5")));
  const known = new Map<number, string>();
  for (let step = 0; step < 60; step += 1) {
    await made.value(made.add("n1", { add: 1 }));
    await made.clock.run(10);
  }
  for (const happening of made.happened) {
    if (happening.type !== "saveLanded") continue;
    const { batch } = happening;
    const { base, entries = [] } = batch.groups.get(0) ?? {};
    for (const entry of entries)
      if (entry.type === "configuration") known.set(entry.index, new TextDecoder().decode(entry.data));
    if (base === undefined || known.size === 0) continue;
    const index = [...known.keys()].filter((one) => one <= base.index).at(-1);
    const { voters, votersOutgoing } = base.configuration;
    const expected = index === undefined ? null : JSON.parse(known.get(index) as string);
    if (expected === null) {
      assert.is(ids(voters), "n1,n2,n3");
      continue;
    }
    assert.equal(
      voters.map(({ nodeId, storeId }) => [nodeId, storeId]),
      expected.voters,
    );
    assert.equal(
      votersOutgoing.map(({ nodeId, storeId }) => [nodeId, storeId]),
      expected.votersOutgoing,
    );
  }
  assert.is(known.size, 3);
  await made.stop();
});

test("[G33] callers are told of every configuration, and when nobody can take it back", async () => {
  const made = await cluster();
  const other = await made.follower();
  const leader = await made.leader();
  const told: MembersNotice[] = [];
  const end = other.engine.notices.onMembers((notice) => void told.push(notice));
  await made.value(leader.engine.changeMembers(0, adding("n4")));
  await isDone(made, "n1,n2,n3,n4", made.ids.slice(0, 4));
  const steps = told.map(({ configuration, isCommitted }) =>
    [ids(configuration.voters), ids(configuration.votersOutgoing), isCommitted].join(" "),
  );
  assert.is(steps.at(-1), "n1,n2,n3,n4  true");
  assert.ok(steps.includes("n1,n2,n3,n4 n1,n2,n3 false") || steps.includes("n1,n2,n3,n4 n1,n2,n3 true"));
  end();
  await made.value(leader.engine.changeMembers(0, { ...nothing, remove: ["n4"] }));
  await isDone(made, "n1,n2,n3", ["n1", "n2", "n3"]);
  assert.is(told.length, steps.length);
  await made.stop();
});

test("[G33] the leader says how far each member is", async () => {
  const made = await cluster();
  const leader = await made.leader();
  const other = await made.follower();
  await made.value(leader.engine.changeMembers(0, { ...nothing, learn: [memberOf("n4")] }));
  await made.clock.run(500);
  assert.is(other.engine.membersProgress(0), null);
  const progress = leader.engine.membersProgress(0);
  assert.is(progress?.followers.length, 3);
  const learner = progress?.followers.find(({ nodeId }) => nodeId === "n4");
  assert.is(learner?.matchIndex, progress?.lastIndex);
  await made.stop();
});

test("[G34] a change is relative to whoever is a member, or on the way there, and the same twice is the same once", () => {
  const wished = (configuration: Configuration, change: Partial<MembersChange>) => {
    const wish = wishOf(configuration, { ...nothing, ...change });
    return `${ids(wish.voters)};${ids(wish.learners)}`;
  };
  const plain = of({ voters: "n1,n2,n3", learners: "n6" });
  assert.is(wished(plain, { add: [memberOf("n4")] }), "n1,n2,n3,n4;n6");
  assert.is(wished(plain, { add: [memberOf("n2"), memberOf("n6")] }), "n1,n3,n2,n6;");
  assert.is(wished(plain, { remove: ["n1", "n6"], add: [memberOf("n4")] }), "n2,n3,n4;");
  assert.is(wished(plain, { learn: [memberOf("n2")] }), "n1,n3;n6,n2");
  const waiting = of({ voters: "n1,n2,n3", learners: "n6,n4", nextVoters: "n1,n2,n3,n4" });
  assert.is(wished(waiting, { add: [memberOf("n5")] }), "n1,n2,n3,n4,n5;n6", "nobody's wish is forgotten");
  assert.is(wished(waiting, { add: [memberOf("n4")] }), "n1,n2,n3,n4;n6");
  assert.is(wished(waiting, { cancel: true }), "n1,n2,n3;n6");
  assert.is(wished(waiting, { cancel: true, add: [memberOf("n5")] }), "n1,n2,n3,n5;n6");
  const demoting = of({ voters: "n1,n2,n3", learners: "n3,n4", nextVoters: "n1,n2,n4" });
  assert.is(wished(demoting, {}), "n1,n2,n4;n3");
  assert.is(wished(demoting, { cancel: true }), "n1,n2,n3;");
  const joint = of({ voters: "n1,n4", votersOutgoing: "n1,n2", learners: "n2" });
  assert.is(wished(joint, { cancel: true }), "n1,n4;n2");
  const otherDisk = { nodeId: "n2", storeId: "another" };
  assert.equal(wishOf(plain, { ...nothing, add: [otherDisk] }).voters, [
    memberOf("n1"),
    memberOf("n3"),
    otherDisk,
  ]);
});

test.run();
