import { test } from "uvu";
import * as assert from "uvu/assert";
import { AppendGate } from "../../server/group/append-gate.ts";
import { Heartbeats } from "../../server/group/heartbeats.ts";
import { type Lead, LeadSum, leadDigest } from "../../server/group/lead-digest.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import { Cluster } from "./cluster.ts";

test("[G19] the digest names exactly the pairs, whatever their order, and none is 0", () => {
  const leads: Lead[] = [
    { group: 0, term: 3 },
    { group: 2, term: 2 ** 40 },
  ];
  assert.is(leadDigest([]), 0);
  assert.is(leadDigest(leads), leadDigest([...leads].reverse()));
  const seen = new Set<number>();
  for (let group = 0; group < 40; group++)
    for (let term = 1; term < 40; term++) seen.add(leadDigest([{ group, term }]));
  assert.is(seen.size, 40 * 39);
  assert.ok([...seen].every((digest) => Number.isSafeInteger(digest) && digest > 0));
  assert.is.not(leadDigest([{ group: 0, term: 2 ** 33 }]), leadDigest([{ group: 0, term: 2 ** 34 }]));
});

/** One end of a link, with what it was told. */
function pulse({ leads, believes }: { leads: Lead[]; believes: Lead[] }) {
  const sent: PeerMessage[] = [];
  const told: string[] = [];
  const text = (list: readonly Lead[]) => list.map(({ group, term }) => `${group}@${term}`).join();
  const heartbeats = new Heartbeats({
    digest: () => leadDigest(leads),
    believedDigest: () => leadDigest(believes),
    leads: () => leads,
    believes: () => believes,
    takesLeads: () => true,
    send: (_to, message) => void sent.push(message),
    leaderAlive: () => void told.push(`leaderAlive ${text(believes)}`),
    leadsAlive: (_from, list) => void told.push(`leaderAlive ${text(list)}`),
    followerAlive: () => void told.push(`followerAlive ${text(leads)}`),
    disbelieved: () => void told.push("disbelieved"),
    disagreed: () => void told.push("disagreed"),
  });
  const beat = (nowMs: number) => {
    sent.length = 0;
    heartbeats.beat("p", nowMs);
    return sent[0] as Extract<PeerMessage, { type: "heartbeat" }>;
  };
  return { heartbeats, sent, told, beat };
}

test("[G19] a heartbeat leaves at once when the link is up", () => {
  const { heartbeats, sent } = pulse({ leads: [], believes: [] });
  heartbeats.linkUp("p", 0);
  assert.is(sent.length, 1);
});

test("[G19] an agreed digest keeps the groups quiet, and its confirmation counts as the followers'", () => {
  const leader = pulse({ leads: [{ group: 1, term: 4 }], believes: [] });
  const follower = pulse({ leads: [], believes: [{ group: 1, term: 4 }] });
  leader.heartbeats.linkUp("p", 0);
  follower.heartbeats.linkUp("p", 0);
  follower.heartbeats.heard("p", leader.beat(50), 52);
  assert.equal(follower.told, ["leaderAlive 1@4"]);
  leader.heartbeats.heard("p", follower.beat(60), 62);
  assert.equal(leader.told, ["followerAlive 1@4"]);
});

test("[G19] a digest that does not agree keeps nobody quiet; the leader says what it leads in full", () => {
  const leader = pulse({
    leads: [
      { group: 1, term: 4 },
      { group: 2, term: 7 },
    ],
    believes: [],
  });
  const follower = pulse({
    leads: [],
    believes: [
      { group: 1, term: 4 },
      { group: 3, term: 1 },
    ],
  });
  leader.heartbeats.linkUp("p", 0);
  follower.heartbeats.linkUp("p", 0);
  follower.heartbeats.heard("p", leader.beat(50), 52);
  assert.equal(follower.told, ["disbelieved"]);
  leader.sent.length = 0;
  leader.heartbeats.heard("p", follower.beat(60), 62);
  assert.equal(leader.told, ["disagreed"]);
  const leads = leader.sent[0];
  assert.ok(leads?.type === "leads");
  follower.heartbeats.heardLeads("p", leads.groups);
  assert.equal(follower.told.slice(1), ["leaderAlive 1@4"], "only what both agree on; 3 is not kept quiet");
});

test("[G19] an answer to an older digest is no disagreement", () => {
  const leads: Lead[] = [];
  const leader = pulse({ leads, believes: [] });
  const follower = pulse({ leads: [], believes: [] });
  leader.heartbeats.linkUp("p", 0);
  follower.heartbeats.linkUp("p", 0);
  follower.heartbeats.heard("p", leader.beat(50), 52);
  leads.push({ group: 0, term: 1 });
  leader.beat(100);
  leader.heartbeats.heard("p", follower.beat(100), 102);
  assert.equal(leader.told, []);
});

test("[G19] pairs that are added and taken away one by one stand for what is left", () => {
  const leads = Array.from({ length: 40 }, (_, group) => ({ group, term: 1 + ((group * 7) % 5) }));
  const sum = LeadSum.of(leads);
  for (const lead of leads.slice(3)) sum.remove(lead);
  assert.is(sum.digest, leadDigest(leads.slice(0, 3)));
  const copy = sum.copy().add({ group: 60, term: 2 });
  assert.is(sum.digest, leadDigest(leads.slice(0, 3)), "a copy is another one");
  assert.is(copy.digest, leadDigest([{ group: 60, term: 2 }, ...leads.slice(0, 3)]));
  for (const lead of leads.slice(0, 3)) sum.remove(lead);
  assert.is(sum.digest, 0);
});

test("[G48] what a node said last counts: since when it agrees, and that it does not", () => {
  const leads: Lead[] = [{ group: 1, term: 4 }];
  const believes: Lead[] = [{ group: 1, term: 4 }];
  const leader = pulse({ leads, believes: [] });
  const follower = pulse({ leads: [], believes });
  assert.is(follower.heartbeats.agreedMs("p"), null);
  leader.heartbeats.linkUp("p", 0);
  follower.heartbeats.linkUp("p", 0);
  follower.heartbeats.heard("p", leader.beat(50), 52);
  leader.heartbeats.heard("p", follower.beat(60), 62);
  assert.is(follower.heartbeats.agreedMs("p"), 52);
  assert.is(leader.heartbeats.confirmedMs("p"), 62);
  leads.push({ group: 2, term: 1 });
  follower.heartbeats.heard("p", leader.beat(100), 102);
  leader.heartbeats.heard("p", follower.beat(110), 112);
  assert.is(follower.heartbeats.agreedMs("p"), null);
  assert.is(leader.heartbeats.confirmedMs("p"), null);
  believes.push({ group: 2, term: 1 });
  follower.heartbeats.heard("p", leader.beat(150), 152);
  leader.heartbeats.heard("p", follower.beat(160), 162);
  assert.is(follower.heartbeats.agreedMs("p"), 152);
  assert.is(leader.heartbeats.confirmedMs("p"), 162);
  for (const { heartbeats } of [leader, follower]) {
    heartbeats.linkDown("p");
    assert.is(heartbeats.agreedMs("p") ?? heartbeats.confirmedMs("p"), null);
  }
});

test("[G19] the round trip is measured without the time that the echo waited", () => {
  const one = pulse({ leads: [], believes: [] });
  const other = pulse({ leads: [], believes: [] });
  one.heartbeats.linkUp("p", 0);
  other.heartbeats.linkUp("p", 0);
  other.heartbeats.heard("p", one.beat(100), 103);
  one.heartbeats.heard("p", other.beat(140), 144);
  assert.is(one.heartbeats.roundTripMs("p"), 7);
});

test("[G19] an idle cluster keeps its leader by heartbeats alone", async () => {
  const cluster = await new Cluster({ groups: 4 }).start();
  const leaders: string[] = [];
  for (let group = 0; group < 4; group++) leaders.push((await cluster.leader(group)).id);
  for (let group = 0; group < 4; group++) await cluster.converge(group);
  await cluster.clock.run(200);
  const terms = leaders.map((id, group) => cluster.status(id, group).term);
  cluster.passes = (_from, _to, message) => message.type !== "raft";
  await cluster.clock.run(3000);
  for (let group = 0; group < 4; group++) {
    assert.is(cluster.status(leaders[group] as string, group).role, "leader");
    assert.is(cluster.status(leaders[group] as string, group).term, terms[group]);
  }
  await cluster.stop();
});

test("[G20] a node that lives but leads a group no longer does not keep that group quiet", async () => {
  const cluster = await new Cluster({ groups: 2 }).start();
  const leader = await cluster.leader(0);
  await cluster.leader(1);
  await cluster.converge();
  // The old leader goes on living, and leads the other group or none, while the new one of group 0 dies.
  const other = cluster.alive.find((node) => node !== leader)!;
  void leader.engine.transferLeader(0, other.id);
  assert.ok(await cluster.clock.until(() => cluster.status(other.id).role === "leader", 1000));
  cluster.kill(other.id);
  const third = cluster.alive.find((node) => node !== leader)!;
  assert.ok(
    await cluster.clock.until(
      () => [leader, third].some(({ id }) => cluster.status(id).role === "leader"),
      2000,
    ),
    "the rest elects, although the old leader's heartbeats go on",
  );
  await cluster.stop();
});

test("[G20] when no append of a leader gets through, its heartbeats do not hold up the others", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  await cluster.converge();
  const { term } = cluster.status(leader.id);
  cluster.isolate(leader.id);
  const next = await cluster.clock.until(
    () => cluster.alive.some(({ id }) => id !== leader.id && cluster.status(id).role === "leader"),
    2000,
  );
  assert.ok(next);
  cluster.rejoin(leader.id);
  assert.ok(await cluster.clock.until(() => cluster.status(leader.id).role === "follower", 1000));
  assert.ok(cluster.status(leader.id).term > term);
  await cluster.stop();
});

test("[G12] applying keeps to its budget per turn, and heartbeats go out meanwhile", async () => {
  const cluster = await new Cluster({ engine: { applyBudgetMs: 8 } }).start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  await cluster.converge();
  const { term } = cluster.status(leader.id);
  let applied = 0;
  follower.machines[0]!.onApply = () => {
    cluster.clock.nowMs += 5;
    applied += 1;
  };
  const answers = Array.from({ length: 200 }, () => cluster.add(leader.id));
  await cluster.value(Promise.all(answers), 5000);
  cluster.happened.length = 0;
  assert.ok(applied < 200, "the follower is behind");
  await cluster.clock.until(() => applied === 200, 3000);
  const beats = cluster.happened.filter(
    (one) => one.type === "sent" && one.from === follower.id && one.message.type === "heartbeat",
  );
  assert.ok(beats.length >= 10, `${beats.length} heartbeats while it caught up`);
  assert.is(cluster.status(leader.id).term, term, "nobody lost patience");
  await cluster.stop();
});

test("[G12] appends wait while too much is committed and not applied, and go on afterwards", () => {
  const limits = { applyBacklogMax: 2, applyBacklogBytesMax: 100, parkedAppendsMax: 2 };
  const gate = new AppendGate({ ...limits, parkedAppendsBytesMax: 100 });
  const append = {
    type: "appendEntries",
    term: 1,
    storeId: "",
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 0,
    entries: [],
  } as const;
  const vote = { type: "requestVoteResponse", term: 1, storeId: "", granted: true } as const;
  const below = { length: 2, bytes: 10 };
  const past = { length: 3, bytes: 10 };
  assert.is(gate.holds("a", append, below), false);
  assert.is(gate.holds("a", append, past), true);
  assert.is(gate.holds("a", vote, past), false, "votes never wait");
  assert.is(gate.holds("a", append, below), true, "none overtakes");
  assert.is(gate.holds("a", append, past), true);
  assert.is(gate.parked, 2, "bounded");
  assert.equal(gate.release(past), []);
  assert.is(gate.release(below).length, 2);
  assert.is(gate.holds("a", append, below), false);
});

test("[G12] a follower's backlog stays bounded, and a leader that is behind hands over", async () => {
  const cluster = await new Cluster({ engine: { applyBacklogMax: 20 } }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  let refused = 0;
  leader.machines[0]!.onApply = () => {
    cluster.clock.nowMs += 20;
    if (leader.engine.isServing(0) || cluster.status(leader.id).role !== "leader") return;
    cluster.add(leader.id).catch(({ code }: { code: string }) => (refused += code === "OVERLOADED" ? 1 : 0));
  };
  const answers: Promise<unknown>[] = [];
  for (let round = 0; round < 40; round++) {
    for (let one = 0; one < 20; one++) answers.push(cluster.add(leader.id));
    await cluster.clock.run(1);
  }
  assert.ok(
    await cluster.clock.until(() => cluster.status(leader.id).role !== "leader", 3000),
    "the lead is handed over",
  );
  assert.ok(refused > 0, "callers are refused at once meanwhile");
  leader.machines[0]!.onApply = () => undefined;
  await cluster.value(Promise.all(answers), 20_000);
  await cluster.converge();
  assert.is(leader.engine.isServing(0), true);
  await cluster.stop();
});

test("[G14] ticks come with log time, at their cadence, on every replica alike", async () => {
  const cluster = await new Cluster().start();
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = 50;
  const leader = await cluster.leader();
  await cluster.clock.run(1000);
  const ticks = leader.machines[0]!.parts.a.ticks;
  assert.ok(ticks.length >= 17 && ticks.length <= 21, `${ticks.length} ticks in a second`);
  for (let at = 1; at < ticks.length; at++) assert.ok(ticks[at]! - ticks[at - 1]! >= 50);
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = null;
  await cluster.converge();
  await cluster.stop();
});

test("[G14] at most one tick is on its way, and none without a majority", async () => {
  const cluster = await new Cluster().start();
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = 20;
  const leader = await cluster.leader();
  await cluster.clock.run(200);
  cluster.isolate(leader.id);
  const { lastIndex } = cluster.status(leader.id);
  await cluster.clock.run(150);
  assert.ok(cluster.status(leader.id).lastIndex <= lastIndex + 1, "one tick waits");
  await cluster.stop();
});

test("[G14] log time goes on where it was after a failover, and never back", async () => {
  const cluster = await new Cluster().start();
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = 20;
  const leader = await cluster.leader();
  await cluster.clock.run(500);
  cluster.kill(leader.id);
  const next = await cluster.leader();
  await cluster.clock.run(500);
  const ticks = next.machines[0]!.parts.a.ticks;
  for (let at = 1; at < ticks.length; at++) assert.ok(ticks[at]! >= ticks[at - 1]!);
  assert.ok(
    Math.max(...ticks.slice(1).map((tick, at) => tick - ticks[at]!)) < 200,
    "no leap over the time without a leader",
  );
  await cluster.stop();
});

test("[G21] leaders spread over the nodes once things are stable, and spreading can be switched off", async () => {
  const cluster = await new Cluster({
    groups: 6,
    engine: { spreadLeaders: true, spreadStableMs: 300 },
  }).start();
  await cluster.clock.run(3000);
  for (let group = 0; group < 6; group++) assert.is((await cluster.leader(group)).id, cluster.ids[group % 3]);
  await cluster.stop();
});

test("[G21] a lead goes back to its node when that is there again and caught up, not before it is stable", async () => {
  const cluster = await new Cluster({
    groups: 3,
    engine: { spreadLeaders: true, spreadStableMs: 500 },
  }).start();
  await cluster.clock.run(4000);
  cluster.kill("n1");
  const second = await cluster.leader(0);
  assert.is.not(second.id, "n1");
  await cluster.boot("n1");
  await cluster.clock.run(300);
  assert.is((await cluster.leader(0)).id, second.id, "not yet");
  await cluster.clock.run(4000);
  assert.is((await cluster.leader(0)).id, "n1");
  await cluster.stop();
});

test("[G42] leads go to the highest priority that is there, and are spread over the rest while it is not", async () => {
  const cluster = await new Cluster({
    groups: 4,
    engine: { spreadLeaders: true, spreadStableMs: 500 },
    priorities: { n1: 50, n2: 80, n3: 50 },
  }).start();
  const leaders = async () => {
    const found: string[] = [];
    for (let group = 0; group < 4; group++) found.push((await cluster.leader(group)).id);
    return found;
  };
  await cluster.clock.run(4000);
  assert.equal(await leaders(), ["n2", "n2", "n2", "n2"]);
  cluster.kill("n2");
  await cluster.clock.run(4000);
  assert.equal(await leaders(), ["n1", "n3", "n1", "n3"], "the equals share");
  await cluster.boot("n2");
  await cluster.clock.run(400);
  assert.equal(await leaders(), ["n1", "n3", "n1", "n3"], "not yet");
  await cluster.clock.run(1000);
  assert.equal(await leaders(), ["n2", "n2", "n2", "n2"]);
  await cluster.stop();
});

test("[G42] a lead is not given back to whoever has not caught up, nor to whoever cannot be reached", async () => {
  const cluster = await new Cluster({
    engine: { spreadLeaders: true, spreadStableMs: 300 },
    priorities: { n1: 50, n2: 80, n3: 50 },
  }).start();
  await cluster.clock.run(2000);
  cluster.isolate("n2");
  await cluster.clock.run(2000);
  const leader = await cluster.leader();
  assert.is(leader.id, "n1", "the equal whose turn it is");
  // Its link is back, but no entry gets there.
  cluster.passes = (_from, to, { type }) => to !== "n2" || type !== "raft";
  cluster.rejoin("n2");
  await cluster.value(cluster.add(leader.id));
  await cluster.clock.run(1500);
  assert.is.not((await cluster.leader()).id, "n2");
  cluster.passes = () => true;
  assert.ok(await cluster.clock.until(() => cluster.status("n2").role === "leader", 3000));
  await cluster.converge();
  await cluster.stop();
});

test("[G42] a lead that comes back soon is moved later each time; after a long time at home as soon as at first", async () => {
  const cluster = await new Cluster({
    engine: { spreadLeaders: true, spreadStableMs: 300, spreadBackoffMsMax: 1200 },
    priorities: { n1: 50, n2: 80, n3: 50 },
  }).start();
  await cluster.clock.run(2000);
  const isHome = () => cluster.status("n2").role === "leader";
  /** Takes the lead away from home: for how long it stays away. */
  const away = async () => {
    await cluster.value(cluster.node("n2").engine.transferLeader(0, "n1"));
    const atMs = cluster.clock.nowMs;
    assert.ok(await cluster.clock.until(isHome, 5000));
    return cluster.clock.nowMs - atMs;
  };
  const waits = [await away(), await away(), await away(), await away()];
  await cluster.clock.run(2000);
  waits.push(await away());
  const expected = [300, 600, 1200, 1200, 300];
  for (const [at, waitMs] of waits.entries()) {
    const least = expected[at] as number;
    assert.ok(waitMs >= least && waitMs <= least + 100, `${waits} ms, expected about ${expected}`);
  }
  await cluster.stop();
});

test("[G43] a node of priority 0 leads only as long as no other can, and does not wait", async () => {
  const cluster = await new Cluster({
    engine: { spreadLeaders: true, spreadStableMs: 60_000 },
    priorities: { n1: 0, n2: 50, n3: 0 },
  }).start();
  assert.ok(await cluster.clock.until(() => cluster.status("n2").role === "leader", 2000));
  cluster.kill("n2");
  const other = await cluster.leader();
  await cluster.clock.run(3000);
  assert.is((await cluster.leader()).id, other.id, "equals stay where they are, before they are stable");
  await cluster.boot("n2");
  assert.ok(await cluster.clock.until(() => cluster.status("n2").role === "leader", 1500));
  await cluster.stop();
});

test("[G42] whose priority is not known yet counts as an equal", async () => {
  const cluster = await new Cluster({
    groups: 3,
    engine: { spreadLeaders: true, spreadStableMs: 300 },
    priorities: { n1: 50 },
  }).start();
  await cluster.clock.run(3000);
  for (let group = 0; group < 3; group++) assert.is((await cluster.leader(group)).id, cluster.ids[group]);
  await cluster.stop();
});

test("[G24] changes of the lead are told, and how long there has been none", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  assert.is(follower.engine.leaderlessSinceMs(0), null);
  const changes: (string | null)[] = [];
  const end = follower.engine.notices.onLead(({ leaderId }) => void changes.push(leaderId));
  const atMs = cluster.clock.nowMs;
  for (const id of cluster.ids) if (id !== follower.id) cluster.kill(id);
  await cluster.clock.run(1000);
  assert.is(changes[0], null);
  assert.ok((follower.engine.leaderlessSinceMs(0) ?? 0) - atMs <= 200);
  end();
  await cluster.boot(leader.id);
  await cluster.leader();
  assert.is(follower.engine.leaderlessSinceMs(0), null);
  assert.ok(changes.every((leaderId) => leaderId === null));
  await cluster.stop();
});

test.run();
