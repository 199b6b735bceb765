// test-run: seconds=200 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { $refId, type Encoder, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isRefusal } from "../../server/session/session-error.ts";
import { LedScene } from "./led-scene.ts";
import { defineTestRoom, messageFrame } from "./machine-harness.ts";
import { StateFollower } from "./state-follower.ts";

/** A room's leader changes at every point, and what it wanted to have agreed is lost or comes late. */

const Step = schema({ n: t.number(), roll: t.float64() }, "Step");
const RelayState = schema(
  { count: t.number().default(0), steps: t.array(Step), by: t.map(Step), seen: t.set("string") },
  "RelayState",
);
type RelayState = InstanceType<typeof RelayState>;

class RelayRoom extends Room<{ state: RelayState }> {
  static newest: RelayRoom | null = null;
  override state = new RelayState();
  override autoDispose = false;
  override maxMessagesPerSecond = Number.POSITIVE_INFINITY;
  #cached = 0;

  override messages = {
    run: (client: Client, n: number) => {
      const step = Object.assign(new Step(), { n, roll: Math.random() });
      this.state.count++;
      this.state.steps.push(step as never);
      if (this.state.steps.length > 12) this.state.steps.shift();
      this.state.by.set(`${n % 5}`, Object.assign(new Step(), { n, roll: n }) as never);
      if (n % 7 === 0) this.state.by.delete(`${(n + 1) % 5}`);
      this.state.seen.add(client.sessionId);
      this.#cached = n;
      this.broadcast("ran", n);
      return n;
    },
  };

  override onCreate(): void {
    RelayRoom.newest = this;
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  override onCacheRoom(): unknown {
    return this.#cached;
  }

  override onRestoreRoom(cached: number): void {
    this.#cached = cached;
  }
}

await defineTestRoom("relay", RelayRoom, { run: "leader" });

function chanceOf(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 13), 3_266_489_917);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % below;
  };
}

const players = ["p1", "p2", "p3"];

class Relay {
  readonly scene = new LedScene();
  readonly chance: (below: number) => number;
  /** Numbers that the log has taken, in its order. */
  readonly taken: number[] = [];
  readonly heard = new Map<string, unknown[]>(players.map((each) => [each, []]));
  readonly followers = new Map(players.map((each) => [each, new StateFollower(RelayState)]));
  #n = 0;

  constructor(seed: number) {
    this.chance = chanceOf(seed);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.chance(from.length)] as T;
  }

  async begin(): Promise<void> {
    await this.scene.create("relay");
    for (const [at, each] of players.entries())
      await this.scene.join(each, ["A", "B", "C"][at] as string, {}, each !== "p3");
  }

  async say(): Promise<void> {
    const n = ++this.#n;
    const refused = await this.scene.frame(this.pick(players), messageFrame("run", n));
    assert.not(isRefusal(refused));
    this.taken.push(n);
  }

  hear(sessionId: string): void {
    const player = this.scene.player(sessionId);
    this.followers.get(sessionId)?.follow(player.socket);
    const told = this.heard.get(sessionId) as unknown[];
    told.push(...player.messages.map(([, n]) => n));
    player.socket.frames.length = 0;
  }

  async move(sessionId: string): Promise<void> {
    const received = this.scene.player(sessionId).received;
    const before = this.scene.player(sessionId);
    const token = before.token;
    this.followers.get(sessionId)?.follow(before.socket);
    const said = before.messages.map(([, n]) => n);
    this.heard.get(sessionId)?.push(...said);
    await this.scene.attach(sessionId, this.pick(["A", "B", "C"]), {
      presentedToken: token,
      received: before.isWrapper ? received : null,
    });
  }

  /** The leader goes on for a while, then nothing of it comes through; the next one is any. */
  async change(): Promise<void> {
    const { scene } = this;
    let left = this.chance(4);
    scene.fate = () => (left-- > 0 ? "commit" : "keep");
    for (let times = this.chance(5); times > 0; times--) await this.say();
    const late = [...scene.proposals];
    // In order, as the leader's own pipe would.
    const before = this.chance(late.length + 1);
    scene.fate = () => "keep";
    for (const each of late.slice(0, before)) await scene.commit(each);
    await scene.lead(this.pick([null, "A", "B", "C"]));
    if (this.chance(2) === 0) await this.say();
    scene.fate = (each) => (late.includes(each) ? "keep" : "commit");
    if (this.chance(3) === 0)
      await scene.restore(this.pick(["A", "B", "C"].filter((id) => id !== scene.leader)));
    await scene.lead(this.pick(["A", "B", "C"]));
    for (const each of late.slice(before)) if (this.chance(2) === 0) await scene.commit(each);
    scene.fate = () => "commit";
    for (const each of [...scene.proposals])
      if (late.includes(each)) scene.proposals.splice(scene.proposals.indexOf(each), 1);
    await scene.tend();
    for (const each of players) if (!scene.player(each).socket.isOpen) await this.move(each);
  }
}

function refIdsOf(room: RelayRoom): number[] {
  const { encoder } = (room as unknown as { _serializer: { encoder: Encoder } })._serializer;
  return Object.values(encoder.root.changeTrees)
    .map(({ ref }) => (ref as unknown as { [$refId]: number })[$refId])
    .sort((a, b) => a - b);
}

async function played(seed: number): Promise<void> {
  const relay = new Relay(seed);
  const { scene } = relay;
  try {
    await relay.begin();
    for (let turn = 0; turn < 12; turn++) {
      const what = relay.chance(4);
      if (what === 0) await relay.change();
      else if (what === 1) await relay.move(relay.pick(players));
      else await relay.say();
      assert.is(new Set(scene.hashes()).size, 1, `seed ${seed}: replicas differ at turn ${turn}`);
    }
    await relay.say();
    const room = RelayRoom.newest as RelayRoom;
    assert.is(room.state.count, relay.taken.length, `seed ${seed}: each was worked off once`);
    const last = relay.taken.slice(-12);
    assert.equal(
      [...room.state.steps].map((step) => (step as never as { n: number }).n),
      last,
      `seed ${seed}: in order`,
    );
    const first = refIdsOf(room);
    for (const each of players) {
      relay.hear(each);
      const { state, decoder, warnings } = relay.followers.get(each) as StateFollower<RelayState>;
      assert.equal(state.toJSON(), room.state.toJSON(), `seed ${seed}: ${each} sees the state`);
      assert.equal(
        [...decoder.root.refs.keys()].sort((a, b) => a - b),
        first,
        `seed ${seed}: refIds of ${each}`,
      );
      assert.equal(warnings, [], `seed ${seed}`);
      const heard = relay.heard.get(each);
      if (each !== "p3") assert.equal(heard, relay.taken, `seed ${seed}: ${each} hears each once`);
      else assert.equal(heard, [...new Set(heard)], `seed ${seed}: never twice`);
    }
  } finally {
    await scene.lead(null);
  }
}

test("[Y91] whenever the leader changes, each command is worked off once and in order, and clients follow the state", async () => {
  const only = process.env["SEED"];
  if (only !== undefined) return await played(Number(only));
  for (let seed = 1; seed <= 150; seed++) await played(seed);
});

test.run();
