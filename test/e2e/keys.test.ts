// test-run: seconds=240 waits
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { presenceContract } from "../colyseus/presence-contract.ts";
import { findViolation } from "../linearizability/checker.ts";
import { History } from "../linearizability/history.ts";
import {
  type RegisterInput,
  type RegisterOutput,
  registerModel,
  type Value,
} from "../linearizability/register-model.ts";
import { violationText } from "../linearizability/violation-text.ts";
import { askNode } from "./asks.ts";
import { type Cluster, sleep, unhurried } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** Keys that all nodes share, used from routes on three real nodes, with kills in the middle. */
const test = suite("keys");

let cluster: Cluster;

const feature = shareCluster(test, { main: "test/e2e/keys-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});

const ask = <T>(id: string, what: string, ...args: unknown[]) =>
  askNode<T>({ url: cluster.url(id), answerMsMax: 90_000 }, what, args);

let turn = 0;
const nextId = () => cluster.ids[turn++ % cluster.ids.length] as string;

/** Each call on the next node. */
const anywhere = new Proxy({} as never, {
  get:
    (_target, method: string) =>
    (...args: unknown[]) =>
      ask(nextId(), "presence", method, ...args),
});

feature(
  "[T9] the keeper's group is there, behind those of the rooms, and sleeps while nobody asks for anything",
  async () => {
    const keeper = async () => (await cluster.status("n1"))?.groups.at(-1);
    assert.is((await keeper())?.id, 4);
    await ask("n1", "kv", "put", "first", 1);
    await cluster.until("the keeper sleeps", async () => (await keeper())?.isAsleep === true);
    assert.is((await ask<{ value: number }>("n2", "kv", "get", "first")).value, 1);
    await cluster.until("the keeper sleeps again", async () => (await keeper())?.isAsleep === true);
  },
);

presenceContract((name, run) => feature(`${name}, each call on another node`, run), {
  presence: () => anywhere,
});

feature("[T13] a call with a key of its own that every node is asked for is carried out once", async () => {
  const given = await Promise.all(cluster.ids.map((id) => ask(id, "once", "call-1", "incr", "called")));
  assert.equal(given, [1, 1, 1]);
  assert.is(await ask("n3", "presence", "get", "called"), "1");
});

feature("[T14] a method of a plain room is called from another node, and from its own", async () => {
  const roomId = await ask<string>("n1", "createPlain");
  const home = await ask<string>("n1", "process");
  for (const id of cluster.ids)
    assert.is(
      await ask(id, "remoteRoomCall", roomId, "whereAreYou", [`asked by ${id}`]),
      `asked by ${id} ${home}`,
    );
});

/** One operation of a register. */
async function perform(id: string, key: string, input: RegisterInput): Promise<RegisterOutput> {
  const get = { type: "get", key };
  const transact = async (transaction: object) => {
    const given = await ask<{ succeeded: boolean; results: { value?: Value }[] }>(
      id,
      "kv",
      "transact",
      transaction,
    );
    return { value: given.results[0]?.value ?? null, succeeded: given.succeeded };
  };
  switch (input.type) {
    case "get":
      return { value: (await ask<{ value?: Value }>(id, "kv", "get", key)).value ?? null };
    case "put":
      return { value: (await transact({ do: [get, { type: "put", key, value: input.value }] })).value };
    case "delete":
      return { value: (await transact({ do: [get, { type: "delete", key }] })).value };
    case "cas": {
      const { expected, value } = input;
      const condition = expected === null ? { key, version: 0 } : { key, value: expected };
      const put = { type: "put", key, value };
      const given = await transact({ if: [condition], do: [get, put], else: [get] });
      return { value: given.value, swapped: given.succeeded };
    }
  }
}

feature(
  "[T8, T11] nodes are killed: what clients of kv were told is linearizable, what is published is told everywhere, once and in one order",
  async () => {
    for (const id of cluster.ids) {
      await ask(id, "subscribe", "news");
      await ask(id, "watch", "reg/", null);
    }
    await cluster.until("n1 knows where n2 listens", async () => {
      await ask("n2", "subscribe", "only n2");
      return (await ask<string[]>("n1", "presence", "channels", "only*")).includes("only n2");
    });
    const history = new History<RegisterInput, RegisterOutput>();
    const acknowledged: string[] = [];
    let isOver = false;
    let operations = 0;
    const client = async (name: string) => {
      let known: Value = null;
      for (let number = 0; !isOver; number++) {
        const id = cluster.ids[Math.floor(Math.random() * cluster.ids.length)] as string;
        const key = `reg/${number % 2}`;
        const value = `${name}.${number}`;
        const inputs: RegisterInput[] = [
          { type: "get" },
          { type: "put", value },
          { type: "cas", expected: known, value },
          { type: "cas", expected: known, value },
          { type: "delete" },
        ];
        const input = inputs[number % 7 === 6 ? 4 : Math.floor(Math.random() * 4)] as RegisterInput;
        const operation = history.begin(name, key, input, performance.now());
        try {
          const output = await perform(id, key, input);
          history.ok(operation, output, performance.now());
          known = "value" in input && output.swapped !== false ? input.value : output.value;
          operations += 1;
        } catch {
          history.unknown(operation, performance.now());
          await sleep(50);
        }
        try {
          await ask(id, "presence", "publish", "news", value);
          acknowledged.push(value);
        } catch {
          await sleep(50);
        }
      }
    };
    const clients = Promise.all(["c1", "c2", "c3", "c4"].map(client));
    for (const victim of ["n1", "n2"]) {
      await sleep(1_500);
      await cluster.kill(victim);
      await sleep(2_500);
      cluster.launch(victim);
      await cluster.ready();
    }
    await sleep(1_000);
    isOver = true;
    await clients;
    const violation = findViolation(history.operations, registerModel);
    assert.is(violation, null, violation === null ? "" : violationText(violation, registerModel));
    assert.ok(operations > 50, `${operations} operations were answered`);
    // n3 was there all the time: it was told everything that was acknowledged, once.
    const all = await cluster.until("n3 was told everything", async () => {
      const news = await ask<string[]>("n3", "told", "news");
      return acknowledged.every((each) => news.includes(each)) ? news : null;
    });
    assert.is(new Set(all).size, all.length);
    const changes = await ask<[number, string, string][]>("n3", "told", "reg/");
    assert.ok(changes.length > 10);
    for (const [at, [version]] of changes.entries())
      assert.ok(at === 0 || version > (changes[at - 1]?.[0] ?? 0));
  },
);

feature(
  "[T12] a listener goes on, on another node, exactly behind the message that it had last when its own was killed",
  async () => {
    await ask("n2", "listen", "moves", null);
    for (let number = 0; number < 10; number++) await ask("n1", "presence", "publish", "moves", number);
    const had = await cluster.until("n2 was told", async () => {
      const messages = await ask<[number, number][]>("n2", "told", "moves");
      return messages.length === 10 ? messages : null;
    });
    const position = had[3]?.[1];
    await cluster.kill("n2");
    for (let number = 10; number < 15; number++) await ask("n1", "presence", "publish", "moves", number);
    await ask("n3", "listen", "moves", position);
    const rest = await cluster.until("n3 was told", async () => {
      const messages = await ask<[number, number][]>("n3", "told", "moves");
      return messages.length >= 11 ? messages : null;
    });
    assert.equal(
      rest.map(([message]) => message),
      [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    );
    assert.is(await ask("n1", "presence", "incr", "after the kill"), 1);
    cluster.launch("n2");
    await cluster.ready();
    assert.is(await ask("n2", "presence", "get", "after the kill"), "1");
  },
);

feature(
  "[T17, T18] a lock goes on to who waits for it when its holder's node is killed, or stands still for longer than its lease",
  async () => {
    const first = await ask<number>("n1", "acquire", "door", { leaseMs: 4_000 });
    assert.is(await ask("n2", "acquire", "door", { waitMs: 200 }), null);
    for (const id of ["n2", "n3"]) await ask(id, "claim", "door", { leaseMs: 4_000 });
    const behind = ask<number>("n3", "claimed", "door");
    await cluster.kill("n1");
    const second = await ask<number>("n2", "claimed", "door");
    assert.ok(second > first);
    assert.is(await ask("n3", "isHeld", "door", first), false);
    cluster.launch("n1");
    await cluster.ready();
    assert.is(await ask("n1", "isHeld", "door", second), true);
    assert.is(await ask("n2", "isLost", second), false);
    // Paused, not dead: it comes back with a token that is over.
    cluster.process("n2").signal("SIGSTOP");
    const third = await behind;
    assert.ok(third > second);
    cluster.process("n2").signal("SIGCONT");
    await cluster.until("n2 knows that it has lost it", () =>
      ask<boolean>("n2", "isLost", second).catch(() => false),
    );
    assert.is(await ask("n2", "isHeld", "door", second), false);
    assert.is(await ask("n2", "isHeld", "door", third), true);
    assert.is(await ask("n3", "release", third), true);
  },
);

type Change = [version: number, type: string, key: string];

/** What became of the keys, in their order, of each once: else it was told twice. */
const ends = (changes: readonly Change[], type: string) =>
  changes.flatMap(([, what, key]) => (what === type ? [key] : [])).sort();

feature(
  "[T41] keys expire after their time and not before, on all nodes, though the keeper's leader is killed, and a watch tells it once",
  async () => {
    const expiresInMs = 5_000;
    const keys = Array.from({ length: 20 }, (_, at) => `passing/${at + 10}`);
    const leader = (await cluster.status("n1"))?.groups.at(-1)?.leader as string;
    const others = cluster.ids.filter((id) => id !== leader);
    for (const id of others) await ask(id, "watch", "passing/", null);
    await ask(leader, "kv", "put", "passing/never", 1);
    const askedMs = performance.now();
    await Promise.all(keys.map((key) => ask(leader, "kv", "put", key, key, { expiresInMs })));
    await cluster.kill(leader);
    const found = async (id: string) => {
      const { entries } = await ask<{ entries: { key: string }[] }>(id, "kv", "range", {
        prefix: "passing/",
      });
      return entries.map(({ key }) => key);
    };
    for (const id of others)
      await cluster.until(`all are gone on ${id}`, async () => {
        const left = await found(id);
        // Log time runs no faster than any other, and stands still while nobody leads; it is in whole milliseconds.
        const tookMs = performance.now() - askedMs;
        assert.ok(left.length === keys.length + 1 || tookMs > expiresInMs - 1, `${left} after ${tookMs} ms`);
        return left.join() === "passing/never";
      });
    cluster.launch(leader);
    await cluster.ready();
    assert.equal(await found(leader), ["passing/never"]);
    for (const id of others) {
      const changes = await ask<Change[]>(id, "told", "passing/");
      assert.equal(ends(changes, "expired"), keys, `as told on ${id}`);
      assert.equal(ends(changes, "put"), [...keys, "passing/never"]);
    }
  },
);

feature(
  "[T42] past the limit in bytes the keys go that expire next, the same ones on all nodes, and a watch tells it once",
  async () => {
    for (const id of cluster.ids) await ask(id, "watch", "big/", null);
    const value = "x".repeat(40_000);
    const all = Array.from({ length: 64 }, (_, at) => `big/${at + 10}`);
    // The last ones expire first: whoever comes is in the way of who came just before.
    for (const [at, key] of all.entries())
      await ask(nextId(), "kv", "put", key, value, { expiresInMs: (100 - at) * 60_000 });
    const left = async (id: string) => {
      const keys: string[] = [];
      for (let from: string | null = "big/"; from !== null; ) {
        const given: { entries: { key: string }[]; cursor: string | null } = await ask(id, "kv", "range", {
          ...{ prefix: "big/", from, limit: 10 },
        });
        keys.push(...given.entries.map(({ key }) => key));
        from = given.cursor;
      }
      return keys;
    };
    const kept = await left("n1");
    assert.ok(kept.length > 30 && kept.length < all.length, `${kept.length} of ${all.length} are there`);
    assert.equal(
      kept,
      [...all.slice(0, kept.length - 1), all.at(-1)],
      "those that live longest, and the last",
    );
    const gone = all.filter((key) => !kept.includes(key));
    for (const id of cluster.ids) {
      assert.equal(await left(id), kept, `on ${id}`);
      const told = await cluster.until(`${id} was told`, async () => {
        const keys = ends(await ask<Change[]>(id, "told", "big/"), "evicted");
        return keys.length >= gone.length ? keys : null;
      });
      assert.equal(told, gone, `as told on ${id}`);
    }
    for (const key of kept) await ask(nextId(), "kv", "delete", key);
  },
);

test.run();
