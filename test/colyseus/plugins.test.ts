// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type AuthContext, type Client, definePlugins, Room, RoomPlugin, ServerError } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { askAuth } from "../../server/colyseus/instance-auth.ts";
import { defineTestRoom, joinAck } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

/** What every hook adds to, of the room and of its plugins. */
interface Diary {
  diary: unknown[];
}

class CountPlugin extends RoomPlugin<Room & Diary> {
  override readonly pluginName = "count" as const;
  counts = new Map<string, number>();

  add(client: Client): number {
    const count = (this.counts.get(client.sessionId) ?? 0) + 1;
    this.counts.set(client.sessionId, count);
    return count;
  }

  protected override onCreate() {
    this.room.diary.push("count: onCreate");
  }
}

class ChatPlugin extends RoomPlugin<Room & Diary> {
  static dependencies = [CountPlugin];
  override readonly pluginName = "chat" as const;
  history: string[] = [];
  late: unknown;
  last: Client | null = null;
  readonly shorten = (text: string) => text.slice(0, this.lengthMax);
  protected readonly lengthMax: number;

  constructor(lengthMax: number) {
    super();
    this.lengthMax = lengthMax;
  }

  protected override messages = {
    chat: (client: Client, text: string) => {
      this.last = client;
      this.history.push(this.shorten(text));
      this.room.broadcast("chat", [client.sessionId, this.shorten(text)]);
      return this.history.length;
    },
    slow: async (_client: Client, ms: number) => {
      await this.room.clock.duration(ms);
      this.history.push("slow");
    },
  };

  protected override onCreate() {
    this.room.diary.push("chat: onCreate");
  }
  protected override async onJoin(client: Client) {
    this.room.diary.push(`chat: onJoin ${client.sessionId}`);
    await this.room.clock.duration(30);
    this.room.diary.push(`chat: joined ${client.sessionId}`);
  }
  protected override onLeave(client: Client) {
    this.room.diary.push(`chat: onLeave ${client.sessionId}`);
    if (client.sessionId === "bad") throw new Error("the plugin cannot let go");
  }
  protected override onDispose() {
    ended.push(`chat: onDispose ${this.room.roomId}`);
  }
}

const ended: string[] = [];

class PluginRoom extends Room implements Diary {
  diary: unknown[] = [];
  favourite: unknown = null;
  override plugins = definePlugins([new ChatPlugin(5)]);

  override onCreate() {
    this.autoDispose = false;
    this.diary.push("onCreate");
    this.favourite = this.plugins.chat;
    this.onMessage("late", (_client, value: unknown) => {
      this.plugins.chat.late = value;
    });
    this.onMessage("end", () => void this.disconnect());
    this.onMessage("function", () => {
      this.plugins.chat.late = () => 1;
    });
  }
  override onJoin(client: Client) {
    this.diary.push(`onJoin ${client.sessionId}`);
  }
  override onDrop(client: Client) {
    if (client.sessionId.startsWith("keep")) this.allowReconnection(client, 5);
  }
  override onLeave(client: Client) {
    this.diary.push(`onLeave ${client.sessionId}`);
  }
}

let asked = 0;
class GuardPlugin extends RoomPlugin {
  override readonly pluginName = "guard" as const;
  protected override async onAuth(_client: Client, { name }: { name: string }, _context: AuthContext) {
    asked += 1;
    if (name === "nobody") throw new ServerError(4_303, "not you");
  }
}
class GuardedRoom extends Room {
  override autoDispose = false;
  override plugins = definePlugins([new GuardPlugin()]);
  override onAuth() {
    return { by: "the room" };
  }
}
class GuardedOnlyRoom extends Room {
  override autoDispose = false;
  override plugins = definePlugins([new GuardPlugin()]);
}

class DicePlugin extends RoomPlugin {
  thrown = [Math.random(), Math.random()];
}
class GamePlugin extends RoomPlugin {
  static dependencies = [DicePlugin];
  override readonly pluginName = "game" as const;
  seed = Math.random();
}
class DiceRoom extends Room {
  override plugins = definePlugins([new GamePlugin()]);
  last = Math.random();
}

class SecretPlugin extends RoomPlugin {
  override readonly pluginName = "secret" as const;
  #n = 1;
  get n() {
    return this.#n;
  }
}
class SecretRoom extends Room {
  override plugins = definePlugins([new SecretPlugin()]);
}
class Wild {
  n = 1;
}
class WildPlugin extends RoomPlugin {
  override readonly pluginName = "wild" as const;
  held = new Wild();
}
class WildRoom extends Room {
  override plugins = definePlugins([new WildPlugin()]);
}
class CatchingRoom extends PluginRoom {
  override onUncaughtException() {}
}

const classes = {
  plugins: PluginRoom,
  guarded: GuardedRoom,
  "guarded only": GuardedOnlyRoom,
  dice: DiceRoom,
  secret: SecretRoom,
  wild: WildRoom,
  catching: CatchingRoom,
};
for (const [name, roomClass] of Object.entries(classes)) await defineTestRoom(name, roomClass);

function same(scene: Scene): void {
  const [first, ...others] = scene.hashes();
  for (const hash of others) assert.is(hash, first);
}

test("[Y29] plugins' hooks run around the room's, in Colyseus's order, on every replica and in every room", async () => {
  // The first room of a process, and a later one.
  for (let time = 0; time < 2; time++) {
    const scene = new Scene();
    await scene.create("plugins");
    await scene.join("p1");
    await scene.tick(60);
    await scene.drop("p1", 4000);
    await scene.tick(10);
    for (const { nodeId } of scene.replicas)
      assert.equal(scene.room<PluginRoom>(nodeId).diary, [
        ...["chat: onCreate", "count: onCreate", "onCreate"],
        ...["chat: onJoin p1", "chat: joined p1", "onJoin p1"],
        ...["onLeave p1", "chat: onLeave p1"],
      ]);
    same(scene);
    await scene.join("p2");
    await scene.tick(60);
    await scene.send("p2", "end");
    await scene.tick(60);
    assert.ok(scene.isGone);
    assert.is(ended.filter((line) => line.endsWith(scene.roomId)).length, scene.replicas.length);
  }
});

test("[Y29] plugins' messages are the room's", async () => {
  const scene = new Scene();
  await scene.create("plugins");
  const player = await scene.join("p1");
  await scene.tick(60);
  // A real client's first word waits for the end of its join.
  await scene.frame("p1", joinAck());
  const reply = await scene.request("p1", "chat", "Salvete omnes");
  assert.equal(reply?.payload, 1);
  assert.equal(player.messages.at(-1), ["chat", ["p1", "Salve"]]);
  same(scene);
});

test("[Y29, D1] what plugins keep goes through checkpoints, with its references; hooks are silent meanwhile", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("plugins");
  await scene.join("p1");
  await scene.join("keep");
  await scene.tick(60);
  await scene.send("p1", "chat", "Salve");
  await scene.send("keep", "chat", "Vale");
  await scene.send("p1", "late", { deep: [1, Number.NaN] });
  await scene.drop("keep");
  assert.ok(await scene.restore("B"));
  same(scene);
  const [a, b] = [scene.room<PluginRoom>("A"), scene.room<PluginRoom>("B")];
  assert.equal(b.diary, a.diary);
  assert.equal(b.plugins.chat.history, ["Salve", "Vale"]);
  assert.is(b.favourite, b.plugins.chat, "a reference to the plugin is one to the new plugin");
  assert.is(b.plugins.chat.last?.sessionId, "keep");
  await scene.send("p1", "chat", "Iterum");
  await scene.send("p1", "slow", 50);
  assert.not.ok(await scene.restore("B"), "not at rest while a plugin's handler waits");
  await scene.tick(100);
  assert.ok(await scene.restore("B"));
  assert.equal(scene.room<PluginRoom>("B").plugins.chat.history, ["Salve", "Vale", "Iteru", "slow"]);
  await scene.reconnect("keep", "B");
  same(scene);
});

test("[Y29] the first room of a process has no other chance than those that follow", async () => {
  for (let time = 0; time < 2; time++) {
    const scene = new Scene();
    await scene.create("dice");
    await scene.tick(60);
    same(scene);
    const { plugins, last } = scene.room<DiceRoom>();
    assert.is.not(plugins.game.seed, last);
  }
});

test("[Y29] a plugin that fails is told, and hurts nobody", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("plugins");
  await scene.join("bad");
  await scene.join("p1");
  await scene.tick(60);
  await scene.drop("bad", 4000);
  await scene.tick(10);
  assert.is(scene.room().clients.length, 1);
  assert.match(JSON.stringify(scene.first.warnings), /the plugin cannot let go/);
  same(scene);
});

test("[Y28, Y29] plugins are asked with the room's own onAuth, once", async () => {
  for (const [name, auth] of [
    ["guarded", { by: "the room" }],
    ["guarded only", true],
  ] as const) {
    asked = 0;
    const scene = new Scene();
    await scene.create(name);
    for (const who of ["Livia", "nobody"]) {
      await scene.reserve(who, { name: who });
      const context: AuthContext = { token: "", headers: new Headers(), ip: "" };
      const outcome = await askAuth(scene.room(), { sessionId: who } as Client, context, () => false);
      await scene.attach(who, "A", { auth: outcome });
    }
    assert.is(asked, 2);
    assert.equal(
      Array.from(scene.room("C").clients, (client) => [client.sessionId, client.auth]),
      [["Livia", auth]],
    );
    same(scene);
  }
});

test("[Y21, Y29] what of a plugin cannot be saved is named", async () => {
  const words = async (name: string) =>
    ((await new Scene(["A"]).create(name)) as { message: string }).message ?? "created";
  assert.match(await words("secret"), /SecretRoom\.plugins\.secret: SecretPlugin keeps #n .*private n/);
  assert.match(await words("wild"), /room\.plugins\.wild\.held is .*Wild.*classes/);
  assert.match(await words("catching"), /CatchingRoom has plugins and onUncaughtException/);
  const scene = new Scene(["A", "B"]);
  await scene.create("plugins");
  await scene.join("p1");
  await scene.tick(60);
  await scene.send("p1", "function");
  assert.not.ok(await scene.restore("B"), "a function that came later would be lost");
});

test.run();
