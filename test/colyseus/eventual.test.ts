import { type Client, definePlugins, Room, RoomPlugin } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { z } from "zod";
import { Eventuals } from "../../server/session/eventuals.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import { type Message, messageCodec } from "../../server/session/message-codec.ts";
import { SessionError } from "../../server/session/session-error.ts";
import { decodeUnnumbered } from "../../shared/wrapper-protocol.ts";
import {
  bytesFrame,
  defineTestRoom,
  inMacrotask,
  messageFrame,
  type Replica,
  readFrame,
} from "./machine-harness.ts";
import { type Player, Scene } from "./scene.ts";

const Hero = schema({ x: t.number().default(0), tags: t.array("string") }, "Hero");
const StageState = schema({ heroes: t.map(Hero), round: t.number().default(1) }, "StageState");

class Deck {
  cards = [1, 2, 3];
  get top(): number | undefined {
    return this.cards.at(-1);
  }
  draw(): number | undefined {
    return this.cards.pop();
  }
}

class NotesPlugin extends RoomPlugin {
  override readonly pluginName = "notes" as const;
  notes: string[] = ["first"];
}

// biome-ignore lint/suspicious/noExplicitAny: each test's handler does what it likes
type Act = (this: any, client: any, message: any) => void;
/** What the handlers of "act" (by `this`) and "arrow" (by a closure) do. */
let act: Act = () => {};

class StageRoom extends Room<{ state: InstanceType<typeof StageState> }> {
  override state = new StageState();
  override plugins = definePlugins([new NotesPlugin()]);
  count = 0;
  settings = { speed: 3, deep: { list: [1, 2] } };
  scores = new Map<string, { points: number }>();
  names = new Set(["a"]);
  moves: object[] = [{ dx: 1 }];
  bytes = new Uint8Array([1, 2, 3]);
  since = new Date(0);
  deck = new Deck();
  frozen = Object.freeze({ inside: [1] });
  cache = new Map<string, number>();
  owners = new Map<Client, string>();

  override messages = {
    act(this: StageRoom, client: Client, message: unknown) {
      act.call(this, client, message);
    },
    arrow: (client: Client, message: unknown) => act.call(this, client, message),
    emote: (client: Client, what: string) => {
      this.broadcast("emote", `${client.sessionId} ${what}`);
    },
    counted: () => {
      this.count++;
      this.broadcast("counted", this.count);
    },
    say: {
      format: z.object({ words: z.string().max(5) }),
      handler: (client: Client, { words }: { words: string }) =>
        this.broadcast("said", words, { except: client }),
    },
  };

  override onCreate(): void {
    this.maxMessagesPerSecond = 50;
    this.onMessageBytes("raw", (_client, bytes: Uint8Array) => this.broadcastBytes("raw", bytes, {}));
    this.onMessage("late", (client: Client) => act.call(this, client, null));
  }

  override onJoin(client: Client): void {
    this.state.heroes.set(client.sessionId, new Hero());
    this.state.heroes.get(client.sessionId)?.tags.push("new");
    this.scores.set(client.sessionId, { points: 1 });
    this.owners.set(client, client.sessionId);
    client.userData = { hat: "red" };
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  total(): number {
    return [...this.scores.values()].reduce((sum, { points }) => sum + points, 0);
  }
}

const eventual = "eventual" as const;
const options = {
  classes: [Deck],
  transient: ["cache"],
  messages: { act: eventual, arrow: eventual, emote: eventual, say: eventual, raw: eventual, late: eventual },
};
const defined = defineTestRoom("stage", StageRoom, options);

interface Wire {
  readonly scene: Scene;
  readonly refused: string[];
  readonly told: { from: string; to: string; body: Uint8Array }[];
  readonly busy: Set<string>;
  eventuals(nodeId: string): Eventuals;
  say(sessionId: string, frame: Uint8Array, fields?: Partial<Message>): void;
  settled(): Promise<void>;
  drops: boolean;
}

/** Three machines whose `tell` is wired. */
function wire(scene: Scene): Wire {
  const byNode = new Map<string, Eventuals>();
  const sequences = new Map<string, number>();
  const told: Wire["told"] = [];
  const [refused, busy] = [[] as string[], new Set<string>()];
  const made: Wire = {
    ...{ scene, refused, told, busy, drops: false },
    eventuals: (nodeId) => byNode.get(nodeId) as Eventuals,
    say(sessionId, frame, fields = {}) {
      const { nodeId, epoch } = scene.player(sessionId);
      const key = `${sessionId} ${epoch}`;
      const sequence = (sequences.get(key) ?? 0) + 1;
      sequences.set(key, sequence);
      const message = { roomId: scene.roomId, sessionId, epoch, stream: "epoch", sequence, frame } as const;
      byNode.get(nodeId)?.say({ ...message, ...fields }, (reason) => refused.push(reason));
    },
    async settled() {
      for (let turn = 0; turn < 6; turn++) await inMacrotask(() => {});
    },
  };
  const add = (replica: Replica) =>
    byNode.set(
      replica.nodeId,
      new Eventuals({
        nodeId: replica.nodeId,
        machines: [replica.machine],
        groups: () => ({
          isBusy: (to) => busy.has(to),
          tell: (group, to, body) => {
            told.push({ from: replica.nodeId, to, body });
            if (!made.drops) byNode.get(to)?.heard(group, replica.nodeId, body);
          },
        }),
        soon: (run) => setImmediate(run),
        log: { warn: (fields, words) => replica.warnings.push({ ...fields, words }) },
      }),
    );
  for (const replica of scene.replicas) add(replica);
  return made;
}

async function stage(wrapper = false): Promise<Wire> {
  await defined;
  const scene = new Scene();
  await scene.create("stage");
  await scene.join("ann", "A");
  await scene.join("ben", "B", {}, wrapper);
  await scene.join("cleo", "C");
  for (const player of scene.players.values()) player.socket.frames.length = 0;
  return wire(scene);
}

const heard = ({ messages }: Player, name: string) =>
  messages.filter(([each]) => each === name).map(([, said]) => said);

test("[Y120] each client gets an eventual message once, from its own node, and nothing of it is in the log", async () => {
  const { scene, say, settled, told, eventuals } = await stage();
  const before = scene.hashes();
  say("ann", messageFrame("emote", "waves"));
  say("ann", messageFrame("emote", "bows"));
  say("cleo", bytesFrame("raw", Uint8Array.of(5, 6)));
  await settled();
  for (const name of ["ann", "ben", "cleo"])
    assert.equal(heard(scene.player(name), "emote"), ["ann waves", "ann bows"], name);
  for (const { socket } of scene.players.values())
    assert.is(socket.frames.filter(([code]) => code === 17).length, 1, "bytes, too");
  assert.is(told.length, 6);
  assert.equal(scene.hashes(), before);
  assert.is(new Set(scene.hashes()).size, 1);
  assert.equal(eventuals("B").counts, { run: 3, dropped: 0 });
  // Nothing of it is kept for who comes back, either.
  assert.is(scene.seat("ann")?.outbox.sent, 0);
});

test("[Y120] only nodes with clients of the room are told, in its epoch, by the node that has the client", async () => {
  const { scene, say, settled, told, eventuals } = await stage();
  await scene.drop("cleo");
  say("ann", messageFrame("emote", "waves"));
  await settled();
  assert.equal(
    told.map(({ to }) => to),
    ["B"],
  );
  const [{ body } = { body: new Uint8Array() }] = told;
  eventuals("B").heard(0, "A", body);
  eventuals("B").heard(0, "C", Uint8Array.from(body));
  await settled();
  assert.is(heard(scene.player("ben"), "emote").length, 1, "twice, and from a stranger");
  await scene.reconnect("ann", "C");
  say("ann", messageFrame("emote", "from before"), { epoch: 1 });
  say("ann", messageFrame("emote", "since"));
  await settled();
  assert.equal(heard(scene.player("ben"), "emote"), ["ann waves", "ann since"]);
});

test("[Y120] what a node tells is looked at before it counts", async () => {
  const { scene, say, settled, told, eventuals } = await stage();
  say("ann", messageFrame("emote", "waves"));
  await settled();
  const body = told.find(({ to }) => to === "B")?.body ?? new Uint8Array();
  const { warnings } = scene.node("B");
  const tooLong = messageCodec.encode(
    {
      roomId: scene.roomId,
      sessionId: "ann",
      epoch: 1,
      stream: "epoch",
      sequence: 9,
      frame: new Uint8Array(sessionLimits.frameBytesMax + 1),
    },
    1,
  );
  tooLong[0] = 0xc1;
  for (const garbled of [body.subarray(0, 1), body.subarray(0, 9), body.subarray(0, 20), tooLong])
    assert.is(eventuals("B").heard(0, "A", garbled), true);
  assert.is(warnings.length, 4);
  assert.is(eventuals("B").heard(0, "A", Uint8Array.of(0x81, 1)), false, "another word");
  const told2 = Uint8Array.from(
    messageCodec.encode(
      {
        roomId: scene.roomId,
        sessionId: "ann",
        epoch: 1,
        stream: "epoch",
        sequence: 10,
        frame: messageFrame("counted"),
      },
      1,
    ),
  );
  told2[0] = 0xc1;
  eventuals("B").heard(0, "A", told2);
  await settled();
  assert.is(warnings.length, 5, "it is no eventual message of the room");
  assert.is(scene.room<StageRoom>("B").count, 0);
});

const changes: Record<string, [Act, RegExp]> = {
  "a field": [
    function () {
      this.count++;
    },
    /room\.count was assigned/,
  ],
  "a nested field": [
    function () {
      this.settings.deep.list.push(3);
    },
    /room\.settings\.deep\.list\[2\] was changed/,
  ],
  "an object's field": [
    function () {
      this.settings.speed = 4;
    },
    /room\.settings\.speed was changed \(assigned\)/,
  ],
  "a field that is deleted": [
    function () {
      delete this.settings.speed;
    },
    /room\.settings\.speed was changed \(deleted\)/,
  ],
  "a Map": [
    function () {
      this.scores.set("x", 1);
    },
    /room\.scores was changed \(set\(\)\)/,
  ],
  "what a Map holds": [
    function () {
      this.scores.get("ann").points++;
    },
    /room\.scores\.get\(\)\.points was changed/,
  ],
  "what a Map's iterator gives": [
    function () {
      for (const [, each] of this.scores) each.points++;
    },
    /room\.scores\[\]\.points/,
  ],
  "what a Map's forEach gives": [
    function () {
      this.scores.forEach((each: { points: number }) => {
        each.points++;
      });
    },
    /room\.scores\[\]\.points/,
  ],
  "a Set": [
    function () {
      this.names.delete("a");
    },
    /room\.names was changed \(delete\(\)\)/,
  ],
  "an array": [
    function () {
      this.moves.length = 0;
    },
    /room\.moves\.length was changed/,
  ],
  "an array that is sorted": [
    function () {
      this.settings.deep.list.reverse();
    },
    /room\.settings\.deep\.list\[0\]/,
  ],
  bytes: [
    function () {
      this.bytes[0] = 9;
    },
    /room\.bytes\[0\] was changed/,
  ],
  "filled bytes": [
    function () {
      this.bytes.fill(9);
    },
    /room\.bytes was changed \(fill\(\)\)/,
  ],
  "a date": [
    function () {
      this.since.setFullYear(1999);
    },
    /room\.since was changed \(setFullYear\(\)\)/,
  ],
  "a class's own method": [
    function () {
      this.deck.draw();
    },
    /room\.deck\.cards/,
  ],
  "inside of what is frozen": [
    function () {
      this.frozen.inside.push(2);
    },
    /room\.frozen\.inside\[1\]/,
  ],
  "a field that is new": [
    function () {
      this.brandNew = 1;
    },
    /room\.brandNew: added or deleted/,
  ],
  "a field that goes": [
    function () {
      delete this.count;
    },
    /room\.count: added or deleted/,
  ],
  "the state's field": [
    function () {
      this.state.round = 2;
    },
    /room\.state\.round was changed/,
  ],
  "the state's map": [
    function () {
      this.state.heroes.delete("ann");
    },
    /MUTATION_OUTSIDE_LOG|eventual/,
  ],
  "deep in the state": [
    function () {
      this.state.heroes.get("ann").tags.push("x");
    },
    /eventual/,
  ],
  "what is beside the state's fields": [
    function () {
      this.state.heroes.get("ann").cooldown = 1;
    },
    /eventual/,
  ],
  "the state itself": [
    function () {
      this.state = new StageState();
    },
    /room\.state was assigned/,
  ],
  "a plugin": [
    function () {
      this.plugins.notes.notes.push("x");
    },
    /room\.plugins\.notes\.notes\[1\]/,
  ],
  userData: [
    (client) => {
      client.userData.hat = "blue";
    },
    /the client ann's userData\.hat was changed/,
  ],
  "userData as a whole": [
    (client) => {
      client.userData = {};
    },
    /the client ann's userData was assigned/,
  ],
  "another's userData": [
    function () {
      this.clients[1].userData.hat = "blue";
    },
    /the client ben's userData\.hat/,
  ],
  auth: [
    (client) => {
      client.auth = { admin: true };
    },
    /the client ann's auth was assigned/,
  ],
  clients: [
    function () {
      this.clients.pop();
    },
    /room\.clients/,
  ],
  lock: [
    function () {
      void this.lock();
    },
    /lock\(\) was called/,
  ],
  disconnect: [
    function () {
      return void this.disconnect();
    },
    /disconnect\(\) was called/,
  ],
  setMetadata: [
    function () {
      this.setMetadata({ a: 1 });
    },
    /setMetadata\(\) was called/,
  ],
  maxClients: [
    function () {
      this.maxClients = 2;
    },
    /setMatchmaking\(\) was called/,
  ],
  seatReservationTimeout: [
    function () {
      this.seatReservationTimeout = 2;
    },
    /seatReservationTimeout was assigned/,
  ],
  patchRate: [
    function () {
      this.patchRate = 5;
    },
    /patchRate was assigned/,
  ],
  leave: [
    (client) => {
      client.leave();
    },
    /client\.leave\(\)/,
  ],
  allowReconnection: [
    function (client) {
      this.allowReconnection(client, 5);
    },
    /allowReconnection\(\) was called/,
  ],
  "the clock": [
    function () {
      this.clock.setTimeout(() => {}, 10);
    },
    /clock\.setTimeout\(\)/,
  ],
  "the clock's end": [
    function () {
      this.clock.clear();
    },
    /clock\.clear\(\)/,
  ],
  "an effect": [
    function () {
      void this.effect("profile");
    },
    /effect/,
  ],
  onPrimary: [
    function () {
      this.onPrimary(() => {});
    },
    /onPrimary\(\) was called/,
  ],
  "a handler": [
    function () {
      this.onMessage("new", () => {});
    },
    /onMessage\(\) was called/,
  ],
  "a message behind the patch": [
    function () {
      this.broadcast("x", 1, { afterNextPatch: true });
    },
    /wait for the next patch/,
  ],
  propose: [
    function () {
      void this.propose("total");
    },
    /inside room stage/,
  ],
  "a real timer": [
    () => {
      setTimeout(() => {}, 1);
    },
    /setTimeout/,
  ],
  "behind a promise": [
    function () {
      void Promise.resolve().then(() => {
        this.count++;
      });
    },
    /room\.count was assigned/,
  ],
};

for (const [what, [change, words]] of Object.entries(changes)) {
  for (const type of ["act", "arrow", "late"]) {
    test(`[Y121] an eventual message's handler cannot change ${what} (${type})`, async () => {
      const { scene, say, settled } = await stage();
      const before = scene.hashes();
      act = change;
      say("ann", messageFrame(type));
      await settled();
      for (const replica of scene.replicas) {
        const [failure, ...more] = replica.warnings as { error: string; where: string }[];
        assert.match(failure?.error ?? "nothing was told", words, replica.nodeId);
        assert.is(more.length, 0);
      }
      assert.equal(scene.hashes(), before);
      await scene.tick(100, 3);
      assert.is(new Set(scene.hashes()).size, 1);
      assert.equal(Object.keys(scene.room()), Object.keys(scene.room("B")));
    });
  }
}

test("[Y121] it may read everything, by its own methods too, and say what it has read", async () => {
  const { scene, say, settled } = await stage();
  const seen: unknown[] = [];
  act = function (client) {
    seen.push(
      ...[this.count, this.settings.deep.list.map((n: number) => n * 2), [...this.names], this.total()],
      ...[
        this.scores.size,
        this.scores.get("ben").points,
        this.moves.length,
        [...this.bytes],
        this.since.getTime(),
      ],
      ...[this.deck.top, this.deck instanceof Deck, this.scores instanceof Map, Array.isArray(this.moves)],
      ...[
        this.state.round,
        this.state.heroes.get("ann").tags[0],
        [...this.state.heroes.keys()],
        this.state.heroes.size,
      ],
      ...[
        this.clients.length,
        this.clients.get("ben").userData.hat,
        this.owners.get(client),
        client.userData.hat,
      ],
      ...[
        this.plugins.notes.notes[0],
        this.roomId === scene.roomId,
        this.frozen.inside[0],
        this.moves.includes(this.moves[0]),
      ],
      JSON.stringify(this.settings),
    );
    this.cache.set("looked", 1);
    client.send("settings", {
      settings: this.settings,
      hero: this.state.heroes.get("ann"),
      scores: this.scores,
    });
    client.sendBytes("raw", this.bytes);
  };
  say("ann", messageFrame("arrow"));
  await settled();
  assert.equal(scene.first.warnings, []);
  assert.equal(seen.slice(0, seen.length / 3), [
    ...[0, [2, 4], ["a"], 3, 3, 1, 1, [1, 2, 3], 0, 3, true, true, true, 1, "new", ["ann", "ben", "cleo"], 3],
    ...[3, "red", "ann", "red", "first", true, 1, true, '{"speed":3,"deep":{"list":[1,2]}}'],
  ]);
  const [said] = heard(scene.player("ann"), "settings") as {
    settings: object;
    hero: object;
    scores: object;
  }[];
  assert.equal(said?.settings, { speed: 3, deep: { list: [1, 2] } });
  assert.equal(said?.hero, { x: 0, tags: ["new"] });
  const raw = scene.player("ann").socket.frames.at(-1) ?? new Uint8Array();
  assert.equal([...raw.slice(-3)], [1, 2, 3]);
  assert.is(scene.room<StageRoom>().cache.get("looked"), 1, "what is not saved is the node's own");
});

test("[Y122] its time is the replica's, its chance the message's own, and none of the room's", async () => {
  const { scene, say, settled } = await stage();
  act = function (client) {
    this.broadcast("dice", [client.sessionId, Math.random(), crypto.randomUUID(), Date.now()]);
  };
  const world = () =>
    scene.replicas.map(({ machine }) => machine.rooms.get(scene.roomId)?.world.state.random.join());
  const before = world();
  say("ann", messageFrame("act"));
  say("ann", messageFrame("act"));
  say("ben", messageFrame("act"));
  await settled();
  const dice = heard(scene.player("ann"), "dice") as [string, number, string, number][];
  for (const name of ["ben", "cleo"]) {
    const theirs = (heard(scene.player(name), "dice") as typeof dice).map((each) => each.join());
    assert.equal(theirs.sort(), dice.map((each) => each.join()).sort());
  }
  assert.is(new Set(dice.map(([, chance]) => chance)).size, 3);
  assert.equal(world(), before);
  assert.is(dice[0]?.[3], 1_700_000_000_000 + scene.log.logTimeMs);
});

test("[Y123] asked for an answer, an eventual message says that it has none; an asynchronous handler is refused", async () => {
  const { scene, settled, say } = await stage();
  const answer = await scene.request("ann", "emote", "waves");
  assert.match(JSON.stringify(answer?.payload), /\\"emote\\" is an eventual message: it has no answer/);
  assert.is.not(answer?.status, 0);
  assert.is(new Set(scene.hashes()).size, 1);
  assert.equal(heard(scene.player("ben"), "emote"), []);
  act = () => Promise.resolve();
  say("ann", messageFrame("act"));
  await settled();
  assert.match((scene.first.warnings[0] as { error: string }).error, /asynchronous handler of "act"/);
  assert.is(scene.first.machine.rooms.get(scene.roomId)?.restlessBecause(), null);
  class AsyncRoom extends Room {
    override messages = { emote: async () => {} };
  }
  await defineTestRoom("async stage", AsyncRoom, { messages: { emote: "eventual" } });
  const other = new Scene(["A"]);
  const refused = (await other.create("async stage")) as { refused: string; message: string };
  assert.match(refused.message, /AsyncRoom cannot be replicated with an asynchronous handler of "emote"/);
});

test("[Y124] a message that its schema refuses sends its client away and is told to nobody", async () => {
  const { scene, say, settled, told, refused } = await stage();
  say("ann", messageFrame("say", { words: "much too long" }));
  await settled();
  assert.match(refused[0] ?? "", /the message "say" is refused: .*5 characters/);
  assert.equal(told, []);
  say("ann", messageFrame("say", { words: "salve" }));
  await settled();
  assert.equal(refused.length, 1);
  assert.equal(heard(scene.player("ben"), "said"), ["salve"]);
  assert.equal(heard(scene.player("ann"), "said"), [], "except");
});

test("[Y124] what waits here, and what is told to one node at once, is limited; more is dropped and counted", async () => {
  const { scene, say, settled, eventuals, busy, told } = await stage();
  busy.add("C");
  say("ann", messageFrame("emote", "waves"));
  await settled();
  assert.equal(eventuals("A").counts, { run: 1, dropped: 1 });
  assert.equal(
    [heard(scene.player("ben"), "emote").length, heard(scene.player("cleo"), "emote").length],
    [1, 0],
  );
  busy.clear();
  const bytes = new Uint8Array(sessionLimits.eventualBytesPerTurnMax / 4);
  for (let n = 0; n < 8; n++) say("ann", bytesFrame("raw", bytes));
  await settled();
  const large = told.filter(({ to, body }) => to === "B" && body.length > bytes.length).length;
  assert.is(large, 3, "one turn of them");
  assert.is(eventuals("A").counts.dropped, 1 + 2 * 5);
  const before = eventuals("B").counts;
  for (let n = 0; n < sessionLimits.eventualWaitingMax + 7; n++) say("ben", messageFrame("late"));
  assert.is(eventuals("B").counts.dropped - before.dropped, 7);
  act = () => {};
  for (let turn = 0; turn < 40; turn++) await settled();
  assert.is(eventuals("B").counts.run - before.run, sessionLimits.eventualWaitingMax);
});

test("[Y125] a wrapper's count of the room's messages is not disturbed", async () => {
  const { scene, say, settled } = await stage(true);
  const ben = scene.player("ben");
  const unnumbered = () =>
    ben.socket.frames.flatMap((frame) => decodeUnnumbered(frame) ?? []).map((frame) => frame);
  await scene.send("ann", "counted");
  say("ann", messageFrame("emote", "waves"));
  await settled();
  await scene.send("ann", "counted");
  assert.equal(heard(ben, "counted"), [1, 2]);
  assert.equal(heard(ben, "emote"), [], "not as one of the numbered ones");
  const [frame] = ben.socket.frames
    .flatMap((each) => decodeUnnumbered(each) ?? new Uint8Array())
    .filter(({ length }) => length > 0);
  assert.equal(readFrame(frame ?? new Uint8Array()), {
    type: "message",
    name: "emote",
    payload: "ann waves",
  });
  assert.is(unnumbered().length > 0, true);
  assert.is(scene.seat("ben")?.outbox.sent, 2);
  await scene.reconnect("ben", "C");
  await scene.send("ann", "counted");
  assert.equal([heard(scene.player("ben"), "counted"), scene.player("ben").lost], [[3], 0]);
});

test("[Y125] one that its client numbers is in the log, counts once, and may do no more than others", async () => {
  const { scene } = await stage(true);
  const ben = scene.player("ben");
  await scene.send("ben", "emote", "bows");
  assert.equal(heard(scene.player("ann"), "emote"), ["ben bows"]);
  assert.equal(heard(scene.player("cleo"), "emote"), ["ben bows"]);
  const { clientSequence: sequence } = ben;
  await scene.frameAs("ben", { stream: "client", sequence, frame: messageFrame("emote", "bows") });
  assert.equal(heard(scene.player("ann"), "emote"), ["ben bows"], "it came again");
  act = function () {
    this.count++;
  };
  await scene.send("ben", "act");
  for (const { warnings } of scene.replicas)
    assert.match((warnings[0] as { error: string }).error, /room\.count was assigned/);
  assert.is(scene.room<StageRoom>().count, 0);
  assert.is(scene.seat("ben")?.clientSequence, sequence + 1);
  assert.is(new Set(scene.hashes()).size, 1);
  await scene.send("ben", "say", { words: "much too long" });
  assert.is(ben.socket.closed?.code, 4002);
  assert.is(new Set(scene.hashes()).size, 1);
});

test("[Y126] a replica that stands still, or has no such room, runs none; a throw hurts nobody", async () => {
  const { scene, say, settled, eventuals } = await stage();
  const { world, witness } = scene.node("B").machine.rooms.get(scene.roomId) as never as {
    world: object;
    witness: { frozen: unknown };
  };
  assert.ok(world);
  Object.defineProperty(witness, "frozen", { configurable: true, value: {} });
  say("ann", messageFrame("emote", "waves"));
  await settled();
  Reflect.deleteProperty(witness, "frozen");
  assert.equal(heard(scene.player("ben"), "emote"), []);
  assert.equal(heard(scene.player("cleo"), "emote"), ["ann waves"]);
  await inMacrotask(() => scene.node("C").restore(new Map()));
  act = () => {
    throw new Error("a slip");
  };
  say("ann", messageFrame("act"));
  say("ann", messageFrame("emote", "bows"));
  await settled();
  assert.equal(heard(scene.player("ben"), "emote"), ["ann bows"]);
  assert.is((scene.first.warnings[0] as { error: string }).error, "a slip");
  assert.equal(scene.node("C").warnings, []);
  assert.is(eventuals("C").counts.run, 1);
  assert.instance(new SessionError("MESSAGE_INVALID", ""), Error);
});

test.run();
