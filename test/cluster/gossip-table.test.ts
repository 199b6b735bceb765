import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { GossipTable, tableLimits } from "../../server/cluster/gossip-table.ts";
import { makeLog } from "../../server/cluster/log.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import { ManualClock } from "./manual-clock.ts";

const test = suite("gossip table");
const log = makeLog({ node: "test", level: "silent" });
const peer = (nodeId: string, bootId = "b1") => ({ nodeId, storeId: "s", bootId, clusterId: null });

/** Two nodes whose messages travel when they are told to, or get lost. */
class Pair {
  readonly clock = new ManualClock();
  readonly sent: { readonly from: string; readonly message: PeerMessage }[] = [];
  readonly tables: Record<string, GossipTable> = {};

  constructor() {
    this.start("a");
    this.start("b");
    this.link("b1");
  }

  get a(): GossipTable {
    return this.tables["a"] as GossipTable;
  }

  get b(): GossipTable {
    return this.tables["b"] as GossipTable;
  }

  start(id: string): void {
    const send = (_to: string, message: PeerMessage) => void this.sent.push({ from: id, message });
    this.tables[id] = new GossipTable({ send, clock: this.clock, log });
  }

  link(bootOfA: string): void {
    this.a.linkUp(peer("b"));
    this.b.linkUp(peer("a", bootOfA));
  }

  /** Delivers what is under way, and what that leads to. */
  deliver(isLost: (message: PeerMessage) => boolean = () => false): number {
    this.clock.advance(0);
    let count = 0;
    for (let next = this.sent.shift(); next !== undefined; next = this.sent.shift()) {
      count++;
      const { from, message } = next;
      if (isLost(message)) continue;
      const to = from === "a" ? this.b : this.a;
      if (message.type === "rows") to.message(from, message);
      else if (message.type === "rowsWanted") to.wanted(from, message);
    }
    return count;
  }

  seen(): Record<string, unknown> {
    return Object.fromEntries(this.b.others.get("a") ?? []);
  }
}

test("[C86] a change is told once, all those of a turn together; a node without rows says nothing", () => {
  const pair = new Pair();
  pair.a.repeat();
  assert.is(pair.deliver(), 0);
  const heard: unknown[] = [];
  pair.b.onHeard((nodeId, keys) => heard.push([nodeId, keys]));
  pair.a.set("r1", { clients: 1 });
  pair.a.set("r2", { clients: 2 });
  pair.a.set("r1", { clients: 3 });
  assert.is(pair.deliver(), 1);
  assert.equal(pair.seen(), { r1: { clients: 3 }, r2: { clients: 2 } });
  pair.a.set("r2", undefined);
  pair.a.set("r1", { clients: 3 });
  assert.is(pair.deliver(), 1);
  assert.equal(pair.seen(), { r1: { clients: 3 } });
  assert.equal(heard, [
    ["a", ["r2", "r1"]],
    ["a", ["r2"]],
  ]);
  pair.a.repeat();
  assert.is(pair.deliver(), 1, "who has all of it asks for nothing");
});

test("[C87] whatever was lost under way is made up for, by whoever lacks it", () => {
  const step = fc.record({
    key: fc.constantFrom("r1", "r2", "r3", "r4"),
    value: fc.option(fc.nat(9), { nil: undefined }),
    lost: fc.boolean(),
    delivers: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pair = new Pair();
      const model = new Map<string, number>();
      for (const { key, value, lost, delivers } of steps) {
        pair.a.set(key, value);
        if (value === undefined) model.delete(key);
        else model.set(key, value);
        if (delivers) pair.deliver(() => lost);
      }
      pair.deliver(() => true);
      pair.a.repeat();
      pair.deliver();
      assert.equal(pair.seen(), Object.fromEntries(model));
    }),
    { numRuns: 300 },
  );
});

test("[C87] a link that is new gets all rows, piece by piece; one of an earlier start counts for nothing", () => {
  const pair = new Pair();
  pair.a.linkDown("b");
  const big = "x".repeat(tableLimits.rowBytesMax - 100);
  for (let at = 0; at < 20; at++) pair.a.set(`r${at}`, big);
  pair.clock.advance(0);
  pair.link("b1");
  let longest = 0;
  const look = (message: PeerMessage) => {
    if (message.type === "rows") longest = Math.max(longest, message.body.length);
    return false;
  };
  pair.deliver(look);
  assert.is(Object.keys(pair.seen()).length, 20);
  assert.ok(longest <= tableLimits.messageBytesMax);
  pair.start("a");
  pair.link("b2");
  pair.a.set("anew", 1);
  pair.deliver();
  assert.equal(pair.seen(), { anew: 1 });
});

test("[C87] whoever lags behind more removals than are remembered begins anew", () => {
  const pair = new Pair();
  pair.a.set("stays", 1);
  pair.a.set("goes", 1);
  pair.deliver();
  pair.a.set("goes", undefined);
  for (let at = 0; at <= tableLimits.removalsMax; at++) {
    pair.a.set(`r${at}`, at);
    pair.a.set(`r${at}`, undefined);
  }
  pair.deliver(() => true);
  pair.a.repeat();
  pair.deliver();
  assert.equal(pair.seen(), { stays: 1 });
});

test("[C87] who wants to know now asks, and waits for the answer to that, or not for long", async () => {
  const pair = new Pair();
  pair.a.set("r1", 1);
  pair.deliver(() => true);
  let isFresh = false;
  const fresh = () =>
    pair.b.refresh().then(() => {
      isFresh = true;
    });
  const asked = fresh();
  const [question] = pair.sent.splice(0);
  // Said before the question came: no answer.
  pair.b.message("a", {
    type: "rows",
    ...{ question: 0, version: 0, from: 0, to: 0, body: new TextEncoder().encode("[]") },
  });
  await Promise.resolve();
  assert.not(isFresh);
  pair.sent.splice(0);
  pair.sent.push(question as NonNullable<typeof question>);
  pair.deliver();
  await asked;
  assert.ok(isFresh);
  assert.equal(pair.seen(), { r1: 1 });
  const unanswered = pair.b.refresh();
  pair.clock.advance(tableLimits.answerMsMax);
  await unanswered;
  const cut = pair.b.refresh();
  pair.b.linkDown("a");
  await cut;
  assert.is(pair.clock.timers, 0);
});

test("[C88] too many rows, and rows too big, are refused with words, and change nothing", () => {
  const pair = new Pair();
  assert.throws(
    () => pair.a.set("big", "x".repeat(tableLimits.rowBytesMax)),
    /"big" takes 32773 bytes, 32768 are allowed/,
  );
  for (let at = 0; at < tableLimits.rowsMax; at++) pair.a.set(`r${at}`, at);
  assert.throws(() => pair.a.set("more", 1), /10000 rows at most: "more" is one more/);
  pair.a.set("r0", undefined);
  pair.a.set("more", 1);
  pair.deliver();
  const seen = pair.seen();
  assert.is(Object.keys(seen).length, tableLimits.rowsMax);
  assert.is(seen["more"], 1);
});

test("[C88] rows that cannot be read change nothing", () => {
  const pair = new Pair();
  pair.a.set("r1", 1);
  pair.deliver();
  const rows = (body: string, numbers = { version: 2, from: 1, to: 2 }) =>
    pair.b.message("a", { type: "rows", question: 0, ...numbers, body: new TextEncoder().encode(body) });
  for (const body of ["", "{}", "[1]", '[["r1"]]', '[[1,"x"]]']) rows(body);
  rows('[["r1",2]]', { version: 2, from: 2, to: 1 });
  rows('[["r1",2]]', { version: 1, from: 1, to: 2 });
  pair.b.message("stranger", {
    type: "rows",
    question: 0,
    version: 1,
    from: 0,
    to: 1,
    body: new Uint8Array(),
  });
  assert.equal(pair.seen(), { r1: 1 });
  assert.is(pair.b.others.size, 1);
});

test.run();
