// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import {
  type Client,
  ClientState,
  Clock,
  CloseCode,
  type Delayed,
  type InputBufferImpl,
  LocalDriver,
  LocalPresence,
  matchMaker,
  Protocol,
  RegisteredHandler,
  type RewindView,
  Room,
  SchemaSerializer,
} from "@colyseus/core";
import { $changes, Encoder, Schema, schema, t } from "@colyseus/schema";
import { InputDecoder } from "@colyseus/schema/input";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  checkColyseus,
  installedVersion,
  stockMethods,
  testedVersions,
} from "../../server/colyseus/colyseus-version.ts";
import type { InputController } from "../../server/colyseus/input-definition.ts";
import { partsOf } from "../../server/colyseus/room-parts.ts";
import { TESTUDO_CODE } from "../../shared/wrapper-protocol.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const Pact = schema({ n: t.number(), names: t.map("string") }, "Pact");

class PactRoom extends Room<{ state: InstanceType<typeof Pact> }> {
  override state = new Pact();
  override onCreate() {
    this.autoDispose = false;
  }
  override onDrop(client: Client) {
    this.allowReconnection(client, 5);
  }
}
await defineTestRoom("pact", PactRoom);

const version = (name: string): string => {
  const manifest = readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
};

test("[Y24] the versions that the seam was made for are the ones that are installed, once", () => {
  const manifest = createRequire(import.meta.url)("../../package.json") as Record<
    string,
    Record<string, string>
  >;
  for (const name of ["@colyseus/core", "@colyseus/schema"] as const) {
    assert.is(version(name), testedVersions[name]);
    assert.is(installedVersion(name), testedVersions[name]);
  }
  for (const name of ["@colyseus/core", "@colyseus/schema", "@colyseus/ws-transport"])
    assert.is(version(name), manifest["devDependencies"]?.[name]);
  const lock = JSON.parse(readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8")) as {
    packages: Record<string, unknown>;
  };
  for (const name of ["@colyseus/core", "@colyseus/schema", "@colyseus/timer"]) {
    const copies = Object.keys(lock.packages).filter((path) => path.endsWith(`node_modules/${name}`));
    assert.equal(copies, [`node_modules/${name}`]);
  }
});

test("[Y24] a version that lacks what the seam needs is refused at the start, and one that nobody has tried is told of", () => {
  const told: unknown[] = [];
  const warn = (fields: object, message: string) => told.push(fields, message);
  checkColyseus(warn);
  assert.equal(told, []);
  for (const [name, installed] of [
    ["@colyseus/core", "0.18.99"],
    ["@colyseus/schema", "5.0.99"],
  ] as const) {
    const tested = testedVersions[name];
    checkColyseus(warn, { versions: { [name]: installed } });
    const remedy = `install ${name} ${tested}, with which Testudo was tried`;
    assert.equal(told.splice(0), [{ installed, tested }, `nobody has tried ${name} ${installed}: ${remedy}`]);
  }
  const methods = Object.create(Room.prototype) as object;
  Object.defineProperty(methods, "_onJoin", { value: undefined });
  assert.throws(
    () => checkColyseus(warn, { versions: { "@colyseus/core": "0.19.0" }, methods }),
    /^@colyseus\/core 0\.19\.0 has no Room\._onJoin: install @colyseus\/core 0\.18\.17/,
  );
});

test("[Y24] the stock Room has what the seam reaches for, in the form that it expects", async () => {
  const scene = new Scene(["A"]);
  await scene.create("pact");
  await scene.reserve("reserved", { a: 1 }, { auth: { b: 2 } });
  await scene.join("present");
  await scene.join("kept");
  await scene.drop("kept");
  const parts = partsOf(scene.room());
  for (const method of stockMethods) {
    assert.type((Room.prototype as unknown as Record<string, unknown>)[method], "function", method);
  }
  assert.equal(parts._reservedSeats["reserved"], [{ a: 1 }, { b: 2 }, false, false]);
  assert.equal([parts._reservedSeats["kept"]?.[3], parts._reservedSeats["kept"]?.[2]], [true, false]);
  assert.is(parts._reservedSeats["present"], undefined);
  assert.equal(Object.keys(parts._reservedSeatTimeouts).sort(), ["kept", "reserved"]);
  const [[token, kept] = []] = Object.entries(parts._reconnections);
  assert.is(token, scene.player("kept").token);
  assert.is(kept?.[0], "kept");
  assert.type((kept?.[1] as { reject: unknown } | undefined)?.reject, "function");
  assert.instance(parts._events, EventEmitter);
  assert.equal([parts._internalState, parts._lockedExplicitly, parts.locked], [1, false, false]);
  assert.is(parts._listing.clients, 3);
  const bare = new Room();
  bare.onMessage("contract", () => {});
  assert.is(partsOf(bare).onMessageEvents.events["contract"]?.length, 1);
  assert.instance(parts._serializer, SchemaSerializer);
  assert.instance(parts._serializer.encoder, Encoder);
  for (const name of ["autoDispose", "patchRate", "unreliablePatchRate", "maxClients", "state"]) {
    assert.type(Object.getOwnPropertyDescriptor(scene.room(), name)?.set, "function", name);
  }
});

test("[Y24] the stock Room ends its creation with one listener of its own for its end, before the matchmaker's", () => {
  const events = partsOf(new Room() as never)._events;
  assert.is(events.listeners("dispose").length, 1);
  assert.equal(events.eventNames(), ["dispose"]);
});

test("[Y24] onUncaughtException as a method makes the stock Room wrap its clock, and nothing else does", () => {
  class Catching extends Room {
    override onUncaughtException() {}
  }
  assert.equal(
    [Object.hasOwn(new Catching().clock, "setTimeout"), Object.hasOwn(new Catching().clock, "setInterval")],
    [true, true],
  );
  assert.is(Object.hasOwn(new Room().clock, "setTimeout"), false);
});

test("[Y24] clock and Delayed have the fields that a checkpoint keeps", () => {
  const clock = new Clock() as Clock & { now(): number; delayed: Delayed[] };
  assert.equal(
    [clock.currentTime, clock.elapsedTime, clock.deltaTime].map((each) => typeof each),
    ["number", "number", "number"],
  );
  assert.type(clock.now, "function");
  const timeout = clock.setTimeout(() => {}, 100, "arg");
  const interval = clock.setInterval(() => {}, 100);
  const fields = ({
    active,
    paused,
    elapsedTime,
    time,
    type,
    args,
  }: Delayed & { type?: number; args?: unknown }) => ({
    active,
    paused,
    elapsedTime,
    time,
    type,
    args,
  });
  assert.equal(fields(timeout as never), {
    active: true,
    paused: false,
    elapsedTime: 0,
    time: 100,
    type: 1,
    args: ["arg"],
  });
  assert.equal(fields(interval as never), {
    active: true,
    paused: false,
    elapsedTime: 0,
    time: 100,
    type: 0,
    args: [],
  });
  assert.equal(clock.delayed, [timeout, interval]);
  void clock.duration(5).catch(() => {});
  assert.is(clock.delayed.length, 3);
  assert.is((clock.delayed[2] as unknown as { type: number }).type, 2);
});

test("[Y24] the matchmaker has the doors that the seam goes through", () => {
  for (const name of [
    "handleCreateRoom",
    "getRoomClass",
    "getHandler",
    "getLocalRoomById",
    "findOneRoomAvailable",
    "getAllHandlers",
    "setHealthChecksEnabled",
    "accept",
  ]) {
    assert.type((matchMaker as unknown as Record<string, unknown>)[name], "function", name);
  }
  assert.type(matchMaker.controller.invokeMethod, "function");
  for (const name of ["ccu", "roomCount"] as const) {
    const { writable, configurable } = Object.getOwnPropertyDescriptor(matchMaker.stats.local, name) ?? {};
    assert.equal([writable, configurable], [true, true], name);
  }
  assert.is(Object.hasOwn(RegisteredHandler.prototype, "enableRealtimeListing"), true);
  for (const name of [
    "has",
    "query",
    "findOne",
    "findByIds",
    "remove",
    "update",
    "persist",
    "insert",
    "clear",
  ]) {
    assert.type((LocalDriver.prototype as unknown as Record<string, unknown>)[name], "function", name);
  }
});

test("[Y24] the matchmaker calls a room's method from where the seam knows remoteRoomCall by", async () => {
  const callers: unknown[] = [];
  class CalledRoom extends Room {
    called() {
      const prepare = Error.prepareStackTrace;
      Error.prepareStackTrace = (_error, sites) => sites[1];
      const site = new Error().stack as unknown as NodeJS.CallSite;
      Error.prepareStackTrace = prepare;
      const file = /@colyseus.core.*/.exec(site.getFileName() ?? "")?.[0].replaceAll("\\", "/");
      callers.push([site.getFunctionName(), file]);
    }
  }
  const presence = new LocalPresence();
  await matchMaker.setup(presence, new LocalDriver(), "");
  matchMaker.defineRoomType("called", CalledRoom as never);
  const { roomId } = await matchMaker.handleCreateRoom("called", {});
  await matchMaker.remoteRoomCall(roomId, "called");
  presence.publish(`$${roomId}`, ["called", "nobody", undefined]);
  const file = "@colyseus/core/build/MatchMaker.mjs";
  assert.equal(callers, [
    ["remoteRoomCall", file],
    [null, file],
  ]);
  await matchMaker.getLocalRoomById(roomId)?.disconnect();
});

test("[Y24] the protocol's numbers are what the seam reads, and the wrapper's is free", () => {
  const { JOIN_ROOM, ERROR, LEAVE_ROOM, ROOM_DATA, ROOM_REQUEST, ROOM_RESPONSE, PING } = Protocol;
  assert.equal([JOIN_ROOM, ERROR, LEAVE_ROOM, ROOM_DATA, ROOM_REQUEST], [10, 11, 12, 13, 21]);
  assert.not([...Object.values(Protocol), ROOM_RESPONSE, PING].includes(TESTUDO_CODE as never));
  assert.equal([CloseCode.CONSENTED, CloseCode.MAY_TRY_RECONNECT, CloseCode.WITH_ERROR], [4000, 4010, 4002]);
  assert.equal(
    [ClientState.JOINING, ClientState.JOINED].map((state) => typeof state),
    ["number", "number"],
  );
});

test("[Y24] schema's change trees have the methods that are guarded", () => {
  const pact = new Pact();
  const tree = Object.getPrototypeOf((pact as unknown as Record<symbol, object>)[$changes]) as Record<
    string,
    unknown
  >;
  for (const name of ["change", "delete", "indexedOperation"]) assert.type(tree[name], "function", name);
  const encoder = new Encoder(pact);
  assert.is((pact as unknown as Record<symbol, { root: unknown }>)[$changes]?.root, encoder.root);
});

test("[Y24] inputs are kept where the seam saves them from", () => {
  const Stick = schema({ thrust: t.number(), gear: t.string() }, "Stick");
  class StickRoom extends Room {
    override inputs = this.defineInput(Stick, { idle: true, tickRate: 20, subSteps: 2 }) as never;
  }
  const controller = (new StickRoom() as unknown as { _inputController: InputController })._inputController;
  assert.equal([controller.options.tickRate, controller.options.subSteps], [20, 2]);
  assert.is(controller.options.ctor, Stick);
  assert.instance(controller.accessors, Map);
  assert.type(controller.decodeUnreliable, "function");
  const client = {} as { _input: unknown; _inputDecoder: unknown; _inputBuffer: object };
  controller.allocate(client as never);
  assert.equal(Object.keys(client).sort(), [
    ...["_input", "_inputAccessor", "_inputBuffer", "_inputDecoder", "_reckonBaseline"],
  ]);
  assert.instance(client._input, Stick);
  assert.instance(client._inputDecoder, InputDecoder);
  const buffer = client._inputBuffer as InputBufferImpl;
  assert.type((buffer as unknown as { idleFrame: unknown }).idleFrame, "function");
  buffer.push(new Stick(), 1, 2, 3);
  assert.equal([...buffer, ...buffer].length, 2);
  // What has a place in a checkpoint; then what is made anew, of which nobody sees a difference.
  assert.equal(
    Object.keys(buffer).sort(),
    [
      ...["_head", "_idle", "_idleCtx", "_items", "_iterActive", "_lastConsumedSeq", "_lastReckonTime"],
      ...["_lastRenderTime", "_lastSeq", "_lastWasIdle", "_reckonTimes", "_renderTimes", "_seqs"],
      ...["consumedCount"],
      ...["_client", "_ctor", "_defaults", "_fieldNames", "_iter", "_iterIdle", "_iterRemaining", "_iterRes"],
      ...["_maxSize", "_roomIdle", "_seqField"],
    ].sort(),
  );
});

test("[Y24] lag compensation is kept where the seam saves it from", () => {
  const Place = schema({ x: t.number() }, "Place");
  const place = new Place({ x: 1 });
  class RewindingRoom extends Room {
    rewind = this.allowRewindState();
  }
  const room = new RewindingRoom();
  const rewind = room.rewind as unknown as Record<string, unknown> & { groups: object[]; _view: object };
  room.rewind.attach(place, { fields: ["x"] }).record(5, 20);
  assert.equal([rewind["_sampleIntervalMs"], rewind["_lastRecordedAt"]], [20, 5]);
  assert.equal(Object.keys(rewind._view), ["_time", "_reckonTime"]);
  assert.is(room.rewind.at(5), rewind._view as RewindView);
  assert.is((rewind._view as { rewind?: unknown }).rewind, rewind);
  assert.equal(Object.keys(rewind.groups[0] ?? {}), [
    "entities",
    "fields",
    "resolvedByCtor",
    "maxRewindMs",
    "interpolate",
    "reckoned",
    "groupId",
  ]);
  assert.equal((room as unknown as { _timelineMode(): unknown })._timelineMode(), {
    ...{ reckon: false, snapshot: true },
  });
  const key = Object.getOwnPropertySymbols(Schema.prototype).find(
    ({ description }) => description === "rewind.history",
  );
  assert.not.ok(Object.getOwnPropertySymbols(place).includes(key as symbol), "it is beside the entity");
  const [history] = (place as unknown as Record<symbol, object[]>)[key as symbol] ?? [];
  assert.equal(Object.keys(history ?? {}).sort(), [
    ...["cap", "cols", "count", "fieldIdx", "fields", "groupId", "head", "reckoned", "step", "t"],
  ]);
});

test("[Y24] Node has the drain that entries are ended with", () => {
  assert.type((process as unknown as { _tickCallback: unknown })._tickCallback, "function");
});

test.run();
