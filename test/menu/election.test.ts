import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbeddedKeeper } from "../../server/cluster/embedded-keeper.ts";
import { Election, type Leader, type Leadership } from "../../server/menu/election.ts";

const embedded = new EmbeddedKeeper();
const { kv, locks } = embedded.keeper;
/** An embedded keeper does not keep its process alive. */
const stay = setInterval(() => {}, 1_000);

async function leading(asked: Promise<Leadership | null>): Promise<Leadership> {
  const leadership = await asked;
  assert.ok(leadership !== null);
  return leadership as Leadership;
}

async function codeOf(asked: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof asked === "function" ? asked() : asked);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "nothing was thrown";
}

test("[T38] one leads at a time, in the order of their coming, with a larger term each time; everybody can ask who", async () => {
  const one = new Election("king", { kv, locks });
  const other = new Election("king", { kv, locks });
  assert.is(await one.leader(), null);
  const first = await leading(one.campaign("ann"));
  assert.equal(await other.leader(), { term: first.term, value: "ann" });
  assert.is(await other.campaign("bob", { waitMs: 0 }), null);
  const later = leading(other.campaign("bob"));
  await first.proclaim("ann, again");
  assert.equal(await other.leader({ consistency: "local" }), { term: first.term, value: "ann, again" });
  assert.is(await first.resign(), true);
  const second = await later;
  assert.ok(second.term > first.term);
  assert.equal(await one.leader(), { term: second.term, value: "bob" });
  assert.is(await first.resign(), false);
  assert.match(await codeOf(first.proclaim("still me")), /^FENCED/);
  assert.equal(await one.leader(), { term: second.term, value: "bob" });
  assert.is(await second.resign(), true);
  assert.is(await one.leader(), null);
});

test("[T38] who observes is told of the leader that there is, and of each one that comes, in order", async () => {
  const election = new Election("queen", { kv, locks });
  const told: (Leader | null)[] = [];
  const first = await leading(election.campaign(1));
  const end = await election.observe({ changed: (leader) => told.push(leader), lost: () => told.push(null) });
  await first.resign();
  const second = await leading(election.campaign(2));
  await second.proclaim(3);
  await second.resign();
  const third = await leading(election.campaign(4));
  const of = ({ term }: Leadership, value: number) => ({ term, value });
  await kv.get("whatever");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(told, [of(first, 1), null, of(second, 2), of(second, 3), null, of(third, 4)]);
  end();
  await third.resign();
});

test("[T38] a leader that was lost is none any more, before the next one has said who it is", async () => {
  const election = new Election("duke", { kv, locks });
  const told: (Leader | null)[] = [];
  // Its node has died: nobody renews, and nobody resigns.
  const lock = await locks.acquire("election/duke", { leaseMs: 200 });
  assert.ok(lock !== null);
  await kv.put("election/duke", { term: lock?.token, value: "dead" });
  lock?.abandon();
  const next = await locks.acquire("election/duke");
  assert.is(await election.leader(), null);
  await election.observe({ changed: (leader) => told.push(leader), lost: () => {} });
  assert.equal(told, [null]);
  await next?.release();
  const second = await leading(election.campaign("alive"));
  assert.equal(await election.leader(), { term: second.term, value: "alive" });
  await second.resign();
});

test("[T38] what is wrong is said with words, and then nobody leads", async () => {
  assert.match(await codeOf(() => new Election("", { kv, locks })), /^ARGUMENT: the election's name takes 0/);
  const long = new Election("e".repeat(1_020), { kv, locks });
  assert.match(await codeOf(long.campaign(1)), /^ARGUMENT: the lock's name takes 1029 bytes/);
  const election = new Election("baron", { kv, locks });
  assert.match(await codeOf(election.campaign(() => 1)), /^ARGUMENT: value\.value is a function/);
  assert.match(await codeOf(election.campaign("v".repeat(50_000))), /^VALUE_TOO_BIG/);
  await (await leading(election.campaign("small"))).resign();
});

test.after(async () => {
  clearInterval(stay);
  await embedded.stop();
});

test.run();
