// test-run: seconds=90 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { reportInWorld } from "../../server/session/sandbox.ts";
import { defineTestRoom, leaveFrame } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

// As the node does.
process.on("unhandledRejection", (error) => {
  if (!reportInWorld(error)) throw error;
});

const Tally = schema({ count: t.number() }, "Tally");

const hooks = [
  ...["onCreate", "onJoin", "onDrop", "onReconnect", "onLeave", "onDispose", "onBeforePatch"],
  ...["handler", "timer", "timestep", "promise"],
] as const;
type Hook = (typeof hooks)[number];
/** `throws` at once, `rejects` at once, or only after a while of the log's time. */
const ways = ["throws", "rejects", "rejectsLater"] as const;
type Way = (typeof ways)[number];

interface Curse {
  readonly hook: Hook;
  readonly way: Way;
}

/** Fails in the hook and in the way that it is told, after a change of its state. */
class CursedRoom extends Room<{ state: InstanceType<typeof Tally> }> {
  override state = new Tally();
  override patchRate = 100;
  curse: Curse | null = null;
  stains = 0;

  override onCreate(options: { curse?: Curse }): void | Promise<void> {
    this.autoDispose = false;
    this.state.count = 0;
    this.setTimestep(() => this.suffer("timestep"), 50);
    this.onMessage("curse", (_client, curse: Curse) => {
      this.curse = curse;
      if (curse.hook === "timer") this.clock.setTimeout(this.sufferTimer, 10);
      // Nobody waits for it.
      if (curse.hook === "promise") void Promise.resolve().then(() => this.suffer("promise"));
      return this.suffer("handler");
    });
    this.onMessage("add", () => {
      this.state.count += 1;
      return this.state.count;
    });
    this.curse = options.curse ?? null;
    return this.suffer("onCreate");
  }

  override onJoin(_client: Client, options: { curse?: Curse }): void | Promise<void> {
    this.curse = options.curse ?? this.curse;
    return this.suffer("onJoin");
  }

  override onDrop(client: Client): void | Promise<void> {
    void this.allowReconnection(client, 5);
    return this.suffer("onDrop");
  }

  override onReconnect(): void | Promise<void> {
    return this.suffer("onReconnect");
  }

  override onLeave(): void | Promise<void> {
    return this.suffer("onLeave");
  }

  override onDispose(): void | Promise<void> {
    return this.suffer("onDispose");
  }

  override onBeforePatch(): void | Promise<void> {
    return this.suffer("onBeforePatch");
  }

  sufferTimer(): void | Promise<void> {
    return this.suffer("timer");
  }

  end(): void {
    void this.disconnect();
  }

  lift(): void {
    this.curse = null;
  }

  /** For `room.propose`. */
  failLater(): Promise<void> {
    return this.clock.duration(30).then(() => {
      throw new Error("failed later");
    });
  }

  override onBeforeShutdown(): void {
    this.stains += 1_000;
    throw new Error("cursed in onBeforeShutdown");
  }

  suffer(hook: Hook): void | Promise<void> {
    if (this.curse?.hook !== hook) return;
    const { way } = this.curse;
    this.stains += 1;
    const failure = new Error(`cursed in ${hook}`);
    if (way === "throws") throw failure;
    if (way === "rejects") return Promise.reject(failure);
    return this.clock.duration(30).then(() => {
      this.stains += 1;
      throw failure;
    });
  }
}

/** Hears of its own failures, and may fail at that too. */
class ListeningRoom extends CursedRoom {
  caught: string[] = [];
  failsAgain: Way | null = null;

  override onUncaughtException(error: Error, name: string): void {
    this.caught.push(`${name}: ${error.message}`);
    if (this.failsAgain === "throws") throw new Error("failed again");
    if (this.failsAgain !== null) void Promise.reject(new Error("failed again"));
  }

  failAgain(way: Way): void {
    this.failsAgain = way;
  }
}

await defineTestRoom("cursed", CursedRoom);
await defineTestRoom("listening", ListeningRoom);

async function scene(roomName: string): Promise<Scene> {
  const made = new Scene();
  await made.create(roomName);
  await made.join("a", "A");
  await made.join("b", "B");
  return made;
}

/** Lets the hook run in which the room is cursed. */
async function provoke(cursed: Scene, { hook, way }: Curse): Promise<void> {
  const curse = { hook, way };
  if (hook === "onJoin") {
    await cursed.reserve("c", { curse });
    await cursed.attach("c", "C");
  } else await cursed.request("a", "curse", curse);
  if (hook === "onDrop" || hook === "onReconnect") await cursed.drop("a");
  if (hook === "onReconnect") await cursed.reconnect("a", "C");
  if (hook === "onLeave") await cursed.frame("a", leaveFrame());
  if (hook === "onDispose") await cursed.call("end");
  await cursed.tick(60, 4);
}

function equal(cursed: Scene): void {
  const [first, ...others] = cursed.hashes();
  for (const hash of others) assert.is(hash, first);
  const errors = cursed.replicas.map(({ machine }) => machine.rooms.get(cursed.roomId)?.world.lastError);
  assert.equal(errors, [errors[0], errors[0], errors[0]]);
}

/** Whoever is still there is served, by a room that is the same everywhere and knows what it did before it failed. */
async function goesOn(cursed: Scene, curse: Curse): Promise<void> {
  for (const { nodeId } of cursed.replicas) {
    const stains = cursed.room<CursedRoom>(nodeId).stains;
    assert.ok(stains > 0, `${nodeId}: ${JSON.stringify(curse)} never came to pass`);
  }
  equal(cursed);
  await cursed.call("lift");
  assert.equal(await cursed.request("b", "add"), { status: 0, payload: 1 });
  assert.is(cursed.player("b").socket.closed, null);
  await cursed.tick(60, 3);
  await cursed.join("late", "C");
  assert.equal(await cursed.request("late", "add"), { status: 0, payload: 2 });
  equal(cursed);
}

for (const hook of hooks) {
  for (const way of ways) {
    if (hook === "onCreate" || hook === "onDispose") continue;
    test(`[Q17] ${hook} ${way}: a line in the log, and nothing else is hurt, on any replica`, async () => {
      const cursed = await scene("cursed");
      await provoke(cursed, { hook, way });
      const said = cursed.first.warnings.map((each) => (each as { error: string }).error);
      // Who asked is told instead.
      if (hook !== "onJoin" && hook !== "handler")
        assert.ok(said.includes(`cursed in ${hook}`), `said was ${said.join(", ") || "nothing"}`);
      await goesOn(cursed, { hook, way });
    });

    test(`[Q17] ${hook} ${way}, in a room that listens to its failures: it is told, and goes on`, async () => {
      const cursed = await scene("listening");
      await provoke(cursed, { hook, way });
      await goesOn(cursed, { hook, way });
    });
  }
}

for (const way of ["throws", "rejects"] as const) {
  test(`[Q17] onCreate ${way}: there is no such room anywhere, and its creator is told why`, async () => {
    const cursed = new Scene();
    const made = (await cursed.create("cursed", { curse: { hook: "onCreate", way } })) as {
      refused: string;
      message: string;
    };
    assert.equal([made.refused, made.message], ["ROOM_CREATE_FAILED", "cursed in onCreate"]);
    for (const { machine } of cursed.replicas) assert.equal([...machine.gone()], [cursed.roomId]);
  });
}

for (const way of ways) {
  test(`[Q17] onDispose ${way}: the room ends, everywhere`, async () => {
    const cursed = await scene("cursed");
    await provoke(cursed, { hook: "onDispose", way });
    for (const { machine } of cursed.replicas) {
      assert.is(machine.rooms.size, 0);
      assert.equal([...machine.gone()], [cursed.roomId]);
    }
    assert.ok(cursed.player("b").socket.closed !== null);
  });
}

for (const way of ["throws", "rejects"] as const) {
  for (const hook of ["handler", "timer", "timestep", "onDrop", "onBeforePatch", "promise"] as const) {
    test(`[Q17] onUncaughtException itself ${way} at what ${hook} throws: nothing else is hurt`, async () => {
      const cursed = await scene("listening");
      await cursed.call("failAgain", way);
      await provoke(cursed, { hook, way: "throws" });
      await goesOn(cursed, { hook, way: "throws" });
    });
  }
}

test("[Q17] a proposed method that rejects later: its proposer is told, and on all other nodes nobody has to listen", async () => {
  const cursed = await scene("cursed");
  const [proposed] = await cursed.apply(cursed.log.call("A", cursed.roomId, "failLater"));
  assert.is(proposed?.type, "done");
  const told = (proposed as { value: Promise<void> }).value.catch((error: Error) => error.message);
  await cursed.tick(60, 2);
  assert.is(await told, "failed later");
  equal(cursed);
});

test("[Q17] onBeforeShutdown: a node that stops ends no replicated room, so it is not asked", async () => {
  const cursed = await scene("cursed");
  for (const { nodeId } of cursed.replicas) {
    cursed.room<CursedRoom>(nodeId).onBeforeShutdown();
    assert.is(cursed.room<CursedRoom>(nodeId).stains, 0);
  }
  equal(cursed);
});

test.run();
