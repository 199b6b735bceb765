// test-run: computes
import { $refId, Decoder, Encoder, type SchemaType, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeGraph,
  encodeGraph,
  type GraphRoot,
  hashGraph,
  restoreSchema,
} from "../../../server/session/graph/graph.ts";
import { diffGraphs } from "../../../server/session/graph/graph-diff.ts";
import type { GraphOptions } from "../../../server/session/graph/graph-options.ts";
import { captureSchema } from "../../../server/session/graph/schema-restore.ts";

const Item = schema({ name: t.string(), weight: t.number() }, "Item");
const Player = schema(
  {
    x: t.number(),
    name: t.string().optional(),
    tags: t.array("string"),
    weapon: t.ref(Item).optional(),
    bag: t.map(Item),
  },
  "Player",
);
const Wizard = Player.extend({ mana: t.int32() }, "Wizard");
const State = schema(
  {
    round: t.number(),
    players: t.map(Player),
    order: t.array(Player),
    loot: t.set(Item),
    log: t.collection("string"),
    ranks: t.set("number"),
    grid: t.array("number"),
    leader: t.ref(Player).optional(),
    motto: t.string().optional(),
  },
  "State",
);
type Item = SchemaType<typeof Item>;
type Player = SchemaType<typeof Player>;
type State = SchemaType<typeof State>;

const options: GraphOptions = {
  classes: [],
  stateClasses: [State],
  references: new Map(),
  resolve: () => undefined,
};

/** A room's fields and state, with all that a replica does to it. */
interface World {
  state: State;
  benched: Player[];
  found: Item[];
  encoder: Encoder;
}

function newWorld(): World {
  const state = new State();
  state.round = 0;
  return { state, benched: [], found: [], encoder: new Encoder(state) };
}

function rootOf({ state, benched, found, encoder }: World): GraphRoot {
  return { state, benched, found, capture: captureSchema(encoder) };
}

function restored(world: World): World {
  const root = decodeGraph(encodeGraph(rootOf(world), options), options);
  const { state, benched, found, capture } = root as unknown as {
    state: State;
    benched: Player[];
    found: Item[];
    capture: { nextRefId: number };
  };
  const pieces = restoreSchema(root, state, capture);
  const encoder = new Encoder(state);
  pieces.afterAttach(encoder);
  return { state, benched, found, encoder };
}

/** What a stock client has. */
class Follower {
  readonly state = new State();
  readonly decoder = new Decoder(this.state);
  changes: { op: number; refId: number; name: string }[] = [];

  constructor(world: World) {
    this.decoder.decode(fullState(world));
    this.decoder.triggerChanges = (all) => {
      // The library wraps a collection anew in every full state; it is the same one if its refId is.
      const changed = all.filter(({ value, previousValue }) => {
        const id = (value as { [$refId]?: number } | undefined)?.[$refId];
        return id === undefined || id !== (previousValue as { [$refId]?: number } | undefined)?.[$refId];
      });
      this.changes = changed.map(({ op, refId, field, dynamicIndex, value, previousValue }) => {
        return {
          op,
          refId,
          name: `${String(field ?? dynamicIndex)}: ${String(previousValue)} to ${String(value)}`,
        };
      });
    };
  }

  /** What arrived, and nothing else, in a form that tells -0 and order. */
  seen(): string {
    return JSON.stringify(this.state.toJSON());
  }
}

function fullState({ encoder }: World): Uint8Array {
  return encoder.encodeAll({ offset: 0 }).slice();
}

function patch(world: World, followers: readonly Follower[]): string {
  if (!world.encoder.hasChanges) return "";
  const bytes = world.encoder.encode().slice();
  world.encoder.discardChanges();
  for (const follower of followers) follower.decoder.decode(bytes);
  return Buffer.from(bytes).toString("hex");
}

/** Deterministic chance: equal seeds give equal worlds. */
function chance(seed: number): (below: number) => number {
  let at = seed;
  return (below) => {
    at = (Math.imul(at, 1664525) + 1013904223) >>> 0;
    return Math.floor((at / 2 ** 32) * below);
  };
}

function newPlayer(below: (n: number) => number): Player {
  const player = below(3) === 0 ? Object.assign(new Wizard(), { mana: below(100) }) : new Player();
  player.x = below(10) - 5;
  player.tags.push(`t${below(5)}`);
  if (below(2) === 0) player.weapon = newItem(below);
  return player as Player;
}

function newItem(below: (n: number) => number): Item {
  return Object.assign(new Item(), { name: `item${below(9)}`, weight: below(7) / 2 });
}

function someone({ state }: World, below: (n: number) => number): Player | undefined {
  return [...state.players.values()][below(Math.max(1, state.players.size))] as Player | undefined;
}

type Step = (world: World, below: (n: number) => number) => void;

/**
 * Steps of which several between two patches make the library's own clients go astray, with no restore in sight
 * (5.0.34: about one run in six): those are only taken with a patch after each.
 */
const fragileSteps: readonly Step[] = [
  ({ state, benched }, below) => {
    const player = benched.shift();
    if (player !== undefined) state.players.set(`p${below(8)}`, player as never);
  },
  ({ state }, below) => {
    if (state.order.length > 1) state.order.splice(below(state.order.length), 1, newPlayer(below) as never);
  },
  (world, below) => {
    const player = someone(world, below);
    if (player !== undefined && world.state.leader === undefined) world.state.leader = player as never;
  },
];

const steps: readonly Step[] = [
  ({ state }, below) => state.players.set(`p${below(8)}`, newPlayer(below)),
  ({ state, benched }, below) => {
    const key = `p${below(8)}`;
    const player = state.players.get(key) as Player | undefined;
    state.players.delete(key);
    // Still held by a field: as a closure or a list of the fallen holds it.
    if (player !== undefined && benched.length < 4 && !state.order.includes(player as never))
      benched.push(player);
  },
  ({ benched }, below) => {
    for (const player of benched) player.x = below(50);
  },
  (world, below) => {
    const player = someone(world, below);
    if (player !== undefined) player.x = below(100);
  },
  (world, below) => someone(world, below)?.tags.push(`t${below(99)}`),
  (world, below) => someone(world, below)?.tags.shift(),
  (world, below) => someone(world, below)?.bag.set(`b${below(4)}`, newItem(below) as never),
  (world, below) => someone(world, below)?.bag.delete(`b${below(4)}`),
  (world, below) => {
    const player = someone(world, below);
    if (player !== undefined) player.weapon = newItem(below) as never;
  },
  ({ state }, below) => {
    state.order.push(newPlayer(below) as never);
  },
  ({ state }, below) => {
    if (state.order.length > 0) state.order.splice(below(state.order.length), 1);
  },
  ({ state }) => state.order.shift(),
  ({ state }) => state.order.pop(),
  ({ state }, below) => {
    state.order.unshift(newPlayer(below) as never);
  },
  ({ state }) => {
    if (state.order.length > 8) state.order.clear();
  },
  ({ state, found }, below) => {
    const item = newItem(below);
    state.loot.add(item as never);
    if (found.length < 5) found.push(item);
  },
  ({ state, found }) => {
    const item = found.shift();
    if (item !== undefined) state.loot.delete(item as never);
  },
  ({ state, found }, below) => {
    if (found.length < 5) found.push(newItem(below));
    const item = found[below(found.length)];
    if (item !== undefined) state.loot.add(item as never);
  },
  ({ state }, below) => state.log.add(`line ${below(1000)}`),
  ({ state }) => {
    const first = [...state.log.values()][0];
    if (first !== undefined && state.log.size > 5) state.log.delete(first);
  },
  ({ state }, below) => state.ranks.add(below(20)),
  ({ state }, below) => state.ranks.delete(below(20)),
  ({ state }, below) => {
    state.grid.push(below(100));
  },
  ({ state }, below) => {
    if (state.grid.length > 0) state.grid[below(state.grid.length)] = below(100) + 1;
  },
  ({ state }, below) => {
    if (state.grid.length > 4) state.grid.splice(below(3), 2);
  },
  ({ state }) => {
    state.round += 1;
  },
  ({ state }, below) => {
    state.motto = `s${below(9)}`;
  },
];

const allSteps = [...steps, ...fragileSteps];

/** The same steps on all worlds. */
function run(
  worlds: readonly World[],
  { seed, of, count }: { seed: number; of: readonly Step[]; count: number },
): void {
  for (const world of worlds) {
    const below = chance(seed);
    for (let i = 0; i < count; i++) (of[below(of.length)] as Step)(world, below);
  }
}

const OPERATION_ADD = 128;
const OPERATION_DELETE = 64;

/** A checkpoint of `original`, a room made of it, and a client that goes over. */
function move(original: World, mover: Follower): World {
  // A checkpoint may come between two patches: then the original still has changes to send.
  const pending = original.encoder.hasChanges;
  const copy = restored(original);
  assert.is(diffGraphs(encodeGraph(rootOf(original), options), encodeGraph(rootOf(copy), options)), null);
  assert.is(hashGraph(rootOf(copy), options), hashGraph(rootOf(original), options));
  assert.is(Buffer.from(fullState(copy)).toString("hex"), Buffer.from(fullState(original)).toString("hex"));
  mover.changes = [];
  mover.decoder.decodeResync(fullState(copy));
  if (pending) return copy;
  const structural = mover.changes.filter(({ op }) => (op & (OPERATION_ADD | OPERATION_DELETE)) !== 0);
  assert.equal(structural, []);
  return copy;
}

function sees(follower: Follower, world: World, message: string): void {
  assert.equal(JSON.parse(follower.seen()), JSON.parse(JSON.stringify(world.state.toJSON())), message);
}

for (let seed = 1; seed <= 30; seed++) {
  test(`a client that moves to a restored room sees nothing change, and both go on alike: seed ${seed}`, () => {
    const original = newWorld();
    const stayer = new Follower(original);
    const mover = new Follower(original);
    const below = chance(seed * 7919);
    for (let i = 0; i < 150; i++) {
      run([original], { seed: below(1e9), of: allSteps, count: 1 });
      patch(original, [stayer, mover]);
    }
    if (seed % 3 === 0) run([original], { seed: below(1e9), of: allSteps, count: 1 });

    const copy = move(original, mover);
    for (let i = 0; i < 150; i++) {
      patch(original, [stayer]);
      patch(copy, [mover]);
      sees(stayer, original, `who stayed, at step ${i}`);
      sees(mover, original, `who moved, at step ${i}`);
      run([original, copy], { seed: below(1e9), of: allSteps, count: 1 });
      assert.is(hashGraph(rootOf(copy), options), hashGraph(rootOf(original), options), `step ${i}`);
    }
  });

  test(`a restored room goes on alike with several changes a patch: seed ${seed}`, () => {
    const original = newWorld();
    const stayer = new Follower(original);
    const mover = new Follower(original);
    const below = chance(seed * 104_729);
    for (let i = 0; i < 60; i++) {
      run([original], { seed: below(1e9), of: steps, count: 1 + below(4) });
      if (below(3) > 0) patch(original, [stayer, mover]);
    }
    const copy = move(original, mover);
    let sinceMove = 0;
    for (let i = 0; i < 60; i++) {
      run([original, copy], { seed: below(1e9), of: steps, count: 1 + below(4) });
      assert.is(hashGraph(rootOf(copy), options), hashGraph(rootOf(original), options), `step ${i}`);
      if (below(3) === 0) continue;
      const [sent, resent] = [patch(original, [stayer]), patch(copy, [mover])];
      // The first patch has changes from before the checkpoint.
      if (sinceMove++ > 0) assert.is(resent, sent, `patch at step ${i}`);
      sees(stayer, original, `who stayed, at step ${i}`);
      sees(mover, original, `who moved, at step ${i}`);
    }
  });

  test(`hashes do not depend on when patches go out: seed ${seed}`, () => {
    const original = newWorld();
    const below = chance(seed * 15_485_863);
    run([original], { seed: below(1e9), of: steps, count: 100 });
    const copy = restored(original);
    for (let i = 0; i < 60; i++) {
      run([original, copy], { seed: below(1e9), of: steps, count: 1 + below(4) });
      assert.is(hashGraph(rootOf(copy), options), hashGraph(rootOf(original), options), `step ${i}`);
      if (below(3) === 0) patch(original, []);
      if (below(3) === 0) patch(copy, []);
    }
  });
}

test.run();
