// test-run: seconds=240 waits
import { randomUUID } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findViolation } from "../linearizability/checker.ts";
import { History } from "../linearizability/history.ts";
import { type LockInput, type LockOutput, lockModel } from "../linearizability/lock-model.ts";
import { violationText } from "../linearizability/violation-text.ts";
import { askNode } from "./asks.ts";
import { type Cluster, sleep, unhurried } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** Locks, elections and reads that several replicas agree on, on three real nodes that are killed and paused. */
const test = suite("locks");

let cluster: Cluster;

const feature = shareCluster(test, { main: "test/e2e/keys-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});

interface Refusal extends Error {
  readonly code?: string;
}

const ask = <T>(id: string, what: string, ...args: unknown[]) =>
  askNode<T>({ url: cluster.url(id), answerMsMax: 15_000 }, what, args);

const anyId = () => cluster.ids[Math.floor(Math.random() * cluster.ids.length)] as string;

interface Place {
  readonly claim: string;
  /** Places in the order of what was seen: of the first question, and of its answer. */
  readonly asked: number;
  readonly queued: number;
  token: number;
}

/** Clients of one lock, each on whichever node: they write with their tokens, in time and too late. */
class LockClients {
  readonly history = new History<LockInput, LockOutput>();
  readonly places: Place[] = [];
  isOver = false;
  refusals = 0;
  #events = 0;

  async run(name: string): Promise<void> {
    for (let number = 0; !this.isOver; number++) {
      try {
        await this.#turn(name, number);
      } catch {
        await sleep(100);
      }
    }
  }

  async #turn(client: string, number: number): Promise<void> {
    const claim = { name: "door", claimant: randomUUID() };
    const input = { type: "acquire" as const, token: 0 };
    const operation = this.history.begin(client, "door", input, performance.now());
    let token = 0;
    try {
      token = await this.#acquire(claim);
    } finally {
      // Of one that is not known to hold it nobody knows the token, and nothing is done with it.
      if (token === 0) this.history.failed(operation, performance.now());
    }
    if (token === 0) return;
    Object.assign(input, { token });
    this.history.ok(operation, { done: true, value: null }, performance.now());
    const value = await this.#get(client);
    // Every third one is too late: nobody renews for it.
    if (number % 3 === 2) await sleep(2_500);
    await this.#act(client, token, value + 1, { type: "write" });
    await this.#act(client, token, value + 2, { type: "write" });
    await this.#act(client, token, 0, { type: "release", claim });
  }

  async #acquire(claim: object): Promise<number> {
    const asked = this.#events++;
    const first = await ask<number>(anyId(), "claims", "acquire", claim, { leaseMs: 1_200, waitMs: 20_000 });
    const place: Place = { claim: JSON.stringify(claim), asked, queued: this.#events++, token: first };
    this.places.push(place);
    for (let tries = 0; place.token === 0 && tries < 20; tries++) {
      try {
        const how = { ms: 2_000 };
        const turn = await ask<{ type: string; token?: number }>(anyId(), "claims", "turn", claim, how);
        if (turn.type === "gone") return 0;
        place.token = turn.token ?? 0;
      } catch {
        await sleep(100);
      }
    }
    return place.token;
  }

  async #get(client: string): Promise<number> {
    const operation = this.history.begin(client, "door", { type: "get" }, performance.now());
    const { value } = await ask<{ value?: number }>(anyId(), "kv", "get", "guarded");
    this.history.ok(operation, { done: true, value: value ?? 0 }, performance.now());
    return value ?? 0;
  }

  async #act(
    client: string,
    token: number,
    value: number,
    { type, claim }: { type: "write" | "release"; claim?: object },
  ): Promise<void> {
    const input = { type, token, value, refused: false };
    const operation = this.history.begin(client, "door", input, performance.now());
    const fence = { name: "door", token };
    try {
      const given =
        type === "write"
          ? await ask<unknown>(anyId(), "kv", "put", "guarded", value, { fence })
          : await ask<boolean>(anyId(), "claims", "release", claim);
      input.refused = given === false;
    } catch (error) {
      if ((error as Refusal).code !== "FENCED") throw error;
      input.refused = true;
    }
    if (input.refused) this.refusals += 1;
    this.history.ok(operation, { done: !input.refused, value: null }, performance.now());
  }
}

feature(
  "[T39, T36] nodes are killed and paused: lock histories are linearizable, an old token writes nothing, and who came first was served first",
  async () => {
    const clients = new LockClients();
    const all = Promise.all(["c1", "c2", "c3", "c4"].map((name) => clients.run(name)));
    await sleep(3_000);
    await cluster.kill("n1");
    await sleep(3_000);
    cluster.launch("n1");
    await cluster.ready();
    cluster.process("n2").signal("SIGSTOP");
    await sleep(4_000);
    cluster.process("n2").signal("SIGCONT");
    await sleep(2_000);
    await cluster.kill("n3");
    await sleep(2_000);
    cluster.launch("n3");
    await cluster.ready();
    await sleep(3_000);
    clients.isOver = true;
    await all;
    const { operations } = clients.history;
    const violation = findViolation(operations, lockModel);
    assert.is(violation, null, violation === null ? "" : violationText(violation, lockModel));
    const held = clients.places.filter(({ token }) => token > 0);
    for (const one of held)
      for (const other of held)
        if (one.queued < other.asked)
          assert.ok(one.token < other.token, `${one.claim} came before ${other.claim}`);
    process.stdout.write(
      `${operations.length} operations, ${held.length} holders, ${clients.refusals} refusals of old tokens\n`,
    );
    assert.ok(held.length > 10, `${held.length} have held it`);
    assert.ok(clients.refusals > 0, "some came too late");
  },
);

feature(
  "[T38] a leader whose node is killed, or stands still, is followed by the next, and decrees nothing any more",
  async () => {
    const wish = { leaseMs: 2_000 };
    const first = await ask<number>("n1", "campaign", "king", wish);
    await ask("n3", "observe", "king");
    const [second, third] = [1, 2].map(() => Promise.withResolvers<number>());
    ask<number>("n2", "campaign", "king", wish).then(second?.resolve, second?.reject);
    await sleep(1_500);
    await cluster.kill("n1");
    const secondTerm = (await second?.promise) as number;
    assert.ok(secondTerm > first);
    assert.equal(await ask("n3", "leader", "king"), { term: secondTerm, value: "n2" });
    await ask("n2", "decree", secondTerm, "law", "of n2");
    ask<number>("n3", "campaign", "king", wish).then(third?.resolve, third?.reject);
    await sleep(1_500);
    cluster.launch("n1");
    await cluster.ready();
    cluster.process("n2").signal("SIGSTOP");
    const thirdTerm = (await third?.promise) as number;
    assert.ok(thirdTerm > secondTerm);
    cluster.process("n2").signal("SIGCONT");
    await cluster.until("n2 answers", () => ask<boolean>("n2", "isDeposed", secondTerm).catch(() => false));
    const refused = await ask("n2", "decree", secondTerm, "law", "of a former king").catch(
      (error: Refusal) => error.code,
    );
    assert.is(refused, "FENCED");
    assert.is((await ask<{ value: string }>("n1", "kv", "get", "law")).value, "of n2");
    assert.equal(await ask("n1", "leader", "king"), { term: thirdTerm, value: "n3" });
    assert.is(await ask("n3", "resign", thirdTerm), true);
    assert.is(await ask("n2", "leader", "king"), null);
    const told = await cluster.until("n3 was told of all", async () => {
      const leaders = await ask<({ term: number } | null)[]>("n3", "told", "election king");
      return leaders.at(-1) === null ? leaders : null;
    });
    assert.equal(
      told.map((leader) => leader?.term ?? null),
      [first, secondTerm, thirdTerm, null],
    );
  },
);

feature(
  "[T40] a read that replicas agree on: all three; two when one is gone, and an error that names it for three",
  async () => {
    await ask("n1", "kv", "put", "agreed", 1);
    const read = await ask<{ value: number; index: number }>("n2", "kv", "get", "agreed", { replicas: 3 });
    assert.is(read.value, 1);
    for (const id of cluster.ids) {
      const local = await ask<{ value: number; index: number }>(id, "kv", "get", "agreed", {
        consistency: "local",
      });
      assert.ok(local.index >= read.index);
      assert.is(local.value, 1);
    }
    await cluster.kill("n3");
    await ask("n1", "kv", "put", "agreed", 2);
    assert.is((await ask<{ value: number }>("n1", "kv", "get", "agreed", { replicas: 2 })).value, 2);
    const wordsOf = (how: object) =>
      ask("n1", "kv", "get", "agreed", how).then(
        () => "nothing was thrown",
        ({ code, message }: Refusal) => `${code}: ${message}`,
      );
    assert.match(
      await wordsOf({ replicas: 3, timeoutMs: 1_500 }),
      /^REPLICAS_MISSING: 2 of the 3 replicas that were asked for have applied entry \d+ within 1500 ms: nothing was heard of n3/,
    );
    assert.match(
      await wordsOf({ replicas: 4 }),
      /^ARGUMENT: replicas is 4: a whole number from 1 to 3 is allowed/,
    );
    assert.match(await wordsOf({ replicas: 0 }), /^ARGUMENT: replicas is 0/);
    cluster.launch("n3");
    await cluster.ready();
    assert.is((await ask<{ value: number }>("n3", "kv", "get", "agreed", { replicas: 3 })).value, 2);
  },
);

test.run();
