import { $changes, $refId, Decoder, Encoder, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  checkGraph,
  decodeGraph,
  encodeGraph,
  type GraphRoot,
  hashGraph,
  restoreSchema,
} from "../../../server/session/graph/graph.ts";
import type { GraphError } from "../../../server/session/graph/graph-error.ts";
import type { GraphOptions } from "../../../server/session/graph/graph-options.ts";
import { captureSchema, type SchemaCapture } from "../../../server/session/graph/schema-restore.ts";

// Without names of their own, and alike but for their fields.
const Item = schema({ name: t.string() });
const Player = schema({ x: t.number(), item: t.ref(Item).optional() });
const State = schema({
  players: t.map(Player),
  list: t.array(Player),
  plain: t.map("number"),
  step: t.quantized({ min: 0, max: 1, bits: 8 }),
  hidden: t.string().optional().view(),
  big: t.bigint64(),
});
type AnyState = InstanceType<typeof State>;

const options: GraphOptions = {
  classes: [],
  stateClasses: [State],
  references: new Map(),
  resolve: () => undefined,
};

function newState(): { state: AnyState; encoder: Encoder } {
  const state = new State();
  return { state, encoder: new Encoder(state) };
}

function restore(fields: GraphRoot, encoder: Encoder): GraphRoot & { state: AnyState; encoder: Encoder } {
  const saved = { ...fields, capture: captureSchema(encoder) };
  const root = decodeGraph(encodeGraph(saved, options), options) as GraphRoot & { state: AnyState };
  assert.is(hashGraph(root, options), hashGraph(saved, options));
  const pieces = restoreSchema(root, root.state, root["capture"] as SchemaCapture);
  const next = new Encoder(root.state);
  pieces.afterAttach(next);
  return { ...root, encoder: next };
}

const idOf = (object: object) => (object as { [$refId]?: number })[$refId];
const player = (x: number) => Object.assign(new Player(), { x });

test("fields and the state share one identity, removed instances keep their refId, new ones go on counting", () => {
  const { state, encoder } = newState();
  const [first, second] = [player(1), player(2)];
  state.players.set("a", first as never);
  state.players.set("b", second as never);
  state.players.delete("b");
  const back = restore({ state, target: first, fallen: second, fresh: player(3) }, encoder);
  assert.is(back["target"], back.state.players.get("a"));
  assert.is(idOf(back["target"] as object), idOf(first));
  assert.is(idOf(back["fallen"] as object), idOf(second));
  assert.is(idOf(back["fresh"] as object), undefined);
  const [one, other] = [player(4), player(4)];
  state.players.set("c", one as never);
  back.state.players.set("c", other as never);
  assert.is(idOf(other), idOf(one));
});

test("a removed instance that comes back is sent as a whole", () => {
  const { state, encoder } = newState();
  const fallen = Object.assign(player(2), { item: Object.assign(new Item(), { name: "sword" }) });
  state.players.set("b", fallen as never);
  state.players.delete("b");
  const back = restore({ state, fallen }, encoder);
  const client = new State();
  const decoder = new Decoder(client);
  decoder.decode(back.encoder.encodeAll({ offset: 0 }).slice());
  back.state.players.set("z", back["fallen"] as never);
  decoder.decode(back.encoder.encode().slice());
  assert.equal(client.players.toJSON(), { z: { x: 2, item: { name: "sword" } } });
});

test("a key added and deleted between two patches of a restored room drops no other key at a client", () => {
  const { state, encoder } = newState();
  const client = new State();
  const decoder = new Decoder(client);
  decoder.decode(encoder.encodeAll({ offset: 0 }).slice());
  const patch = (from: Encoder) => {
    decoder.decode(from.encode().slice());
    from.discardChanges();
  };
  for (const key of ["a", "b", "c"]) state.players.set(key, player(1) as never);
  patch(encoder);
  state.players.delete("a");
  patch(encoder);
  const back = restore({ state }, encoder);
  decoder.decodeResync(back.encoder.encodeAll({ offset: 0 }).slice());
  // Numbered anew, "b" and "c" would be 0 and 1, and this key 2: which the client knows as "c".
  back.state.players.set("brief", player(9) as never);
  back.state.players.delete("brief");
  patch(back.encoder);
  assert.equal(Object.keys(client.players.toJSON()), ["b", "c"]);
});

test("a key deleted before a checkpoint and set after it reaches clients by its name", () => {
  const { state, encoder } = newState();
  state.plain.set("k", 1);
  encoder.encode();
  encoder.discardChanges();
  state.plain.delete("k");
  const back = restore({ state }, encoder);
  const client = new State();
  const decoder = new Decoder(client);
  decoder.decode(back.encoder.encodeAll({ offset: 0 }).slice());
  back.state.plain.set("k", 2);
  decoder.decode(back.encoder.encode().slice());
  assert.equal(client.plain.toJSON(), { k: 2 });
});

test("values are laid in past setters, with null, quantised and filtered ones as they were", () => {
  const { state, encoder } = newState();
  state.step = 0.3;
  state.hidden = "h";
  state.big = -5n;
  Object.assign(state, { mine: { not: "synchronised" } });
  state.pauseTracking();
  const back = restore({ state }, encoder);
  assert.equal([back.state.step, back.state.hidden, back.state.big], [state.step, "h", -5n]);
  assert.equal((back.state as unknown as { mine: object }).mine, { not: "synchronised" });
  assert.ok(back.state.isTrackingPaused);
});

test("a shared instance leaves the state only with its last holder", () => {
  const { state, encoder } = newState();
  const both = player(1);
  state.players.set("a", both as never);
  state.list.push(both as never);
  const back = restore({ state }, encoder);
  const shared = back.state.players.get("a") as object;
  assert.is(back.state.list[0], shared);
  const attached = () => (shared as { [$changes]: { root: unknown } })[$changes].root !== undefined;
  back.state.players.delete("a");
  assert.ok(attached());
  back.state.list.pop();
  assert.not.ok(attached());
});

test("collections outside any field, and classes as values, are kept", () => {
  const { state, encoder } = newState();
  const spare = state.list;
  state.list = [] as never;
  spare.push(player(7) as never);
  const back = restore({ state, spare, Player }, encoder);
  assert.equal((back["spare"] as { toJSON(): unknown }).toJSON(), [{ x: 7 }]);
  assert.is(back["Player"], Player);
});

test("the refIds are part of the hash", () => {
  const [one, other] = [newState(), newState()];
  for (const { state } of [one, other]) state.players.set("a", player(1) as never);
  assert.is(hashGraph({ s: one.state }, options), hashGraph({ s: other.state }, options));
  other.state.players.set("a", player(1) as never);
  assert.is.not(hashGraph({ s: one.state }, options), hashGraph({ s: other.state }, options));
});

test("a stream is refused", () => {
  const Streamed = schema({ all: t.map(Item).stream() });
  const state = new Streamed();
  new Encoder(state);
  const problems = checkGraph({ state }, { ...options, classes: [], stateClasses: [Streamed] });
  assert.equal(
    problems.map(({ path }) => path),
    ["room.state.all"],
  );
  assert.match(problems[0]?.what as string, /streams are not supported yet/);
});

test("a field that is gone where it is restored is named", () => {
  const Old = schema({ a: t.number(), b: t.number() }, "S");
  const bytes = encodeGraph({ s: Object.assign(new Old(), { a: 1 }) }, { ...options, stateClasses: [Old] });
  const New = schema({ a: t.number() }, "S");
  try {
    decodeGraph(bytes, { ...options, stateClasses: [New] });
    assert.unreachable();
  } catch (error) {
    assert.is((error as GraphError).code, "GRAPH_CLASS_UNKNOWN");
  }
});

test.run();
