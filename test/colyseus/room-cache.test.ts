// test-run: seconds=60 node=--import=./server/colyseus/register.ts

import { Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { replicated } from "../../server/colyseus/replicated.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const SafeState = schema({ height: t.number().default(0) }, "SafeState");

/** What each of its hooks does is the test's to say. */
let cache: (room: SafeRoom) => unknown = (room) => room.secrets;
let restored: (room: SafeRoom, cached: unknown) => unknown = (room, cached) => {
  room.secrets = cached as number[];
};

class SafeRoom extends Room<{ state: InstanceType<typeof SafeState> }> {
  override state = new SafeState();
  #secrets: number[] = [];
  shared = { n: 0 };

  get secrets(): number[] {
    return this.#secrets;
  }
  set secrets(secrets: number[]) {
    this.#secrets = secrets;
  }

  override onCreate(): void {
    this.autoDispose = false;
    this.onMessage("keep", () => {
      this.#secrets.push(Math.random());
      this.state.height = this.#secrets.length;
    });
    this.onMessage("tell", () => this.#secrets);
  }

  override onCacheRoom(): unknown {
    return cache(this);
  }
  override onRestoreRoom(cached: unknown): unknown {
    return restored(this, cached);
  }
}

await defineTestRoom("safe", SafeRoom);

const equal = (scene: Scene) => {
  const hashes = scene.hashes();
  assert.type(hashes[0], "string");
  assert.equal(new Set(hashes).size, 1, hashes.join(" "));
};

test.before.each(() => {
  cache = (room) => room.secrets;
  restored = (room, cached) => {
    room.secrets = cached as number[];
  };
});

test("[Y74] a private field that the room itself saves and restores is the same afterwards", async () => {
  const scene = new Scene();
  await scene.create("safe");
  await scene.join("p1");
  for (let time = 0; time < 3; time++) await scene.send("p1", "keep");
  assert.ok(await scene.restore("B"));
  await scene.send("p1", "keep");
  equal(scene);
  assert.is(scene.room<SafeRoom>("B").secrets.length, 4);
  assert.equal(scene.room<SafeRoom>("B").secrets, scene.room<SafeRoom>("A").secrets);
});

test("[Y74] what the hook gives belongs to the hash", async () => {
  const scene = new Scene();
  await scene.create("safe");
  scene.room<SafeRoom>("B").secrets.push(7);
  const [a, b, c] = scene.hashes();
  assert.is(a, c);
  assert.is.not(a, b);
});

test("[Y74] the hook's data and the fields are one graph: what both hold stays one object", async () => {
  cache = (room) => ({ same: room.shared });
  let same: unknown = null;
  restored = (_room, cached) => {
    same = (cached as { same: unknown }).same;
  };
  const scene = new Scene();
  await scene.create("safe");
  assert.ok(await scene.restore("B"));
  assert.is(scene.room<SafeRoom>("B").shared, same);
});

test("[Y74] onRestoreRoom may wait for what comes by itself; what it begins besides is not the room's", async () => {
  restored = async (room, cached) => {
    await Promise.resolve();
    room.secrets = cached as number[];
    room.clock.setTimeout(() => {}, 100);
    Math.random();
    room.broadcast("hello");
    room.broadcast("later", 1, { afterNextPatch: true });
  };
  const scene = new Scene();
  await scene.create("safe");
  await scene.join("p1");
  await scene.send("p1", "keep");
  assert.ok(await scene.restore("B"));
  equal(scene);
  await scene.send("p1", "keep");
  await scene.tick(200);
  equal(scene);
});

const misuses: [string, (room: SafeRoom) => unknown, RegExp][] = [
  ["throws", () => unknownThing(), /onCacheRoom of SafeRoom failed: the thing is unknown/],
  ["has to be waited for", async () => 1, /onCacheRoom of SafeRoom gives a promise/],
  ["draws chance", () => Math.random(), /chance is drawn in onCacheRoom/],
  [
    "sets a timer",
    (room) => void room.clock.setTimeout(() => {}, 1),
    /timer|outside of the room|onCacheRoom/,
  ],
  [
    "changes the state",
    (room) => {
      room.state.height = 9;
    },
    /onCacheRoom of SafeRoom failed: .*changed outside of its log/,
  ],
  ["says something", (room) => room.broadcast("x"), /onCacheRoom of SafeRoom failed: .*broadcast/],
  ["gives what cannot be saved", () => ({ when: new WeakMap() }), /onCacheRoom\(\)\.when is a WeakMap/],
];

function unknownThing(): never {
  throw new Error("the thing is unknown");
}

for (const [what, misuse, words] of misuses) {
  test(`[Y74] a room whose onCacheRoom ${what} is told so when it is created`, async () => {
    cache = misuse;
    const scene = new Scene();
    const refused = (await scene.create("safe")) as { refused: string; message: string };
    assert.is(refused.refused, "ROOM_CREATE_FAILED");
    assert.match(refused.message, words);
    assert.ok(scene.isGone);
  });
}

test("[Y74] a room whose onCacheRoom fails later is not at rest, says why, and goes on", async () => {
  const scene = new Scene();
  await scene.create("safe");
  await scene.join("p1");
  cache = unknownThing;
  await scene.send("p1", "keep");
  const saved = await inMacrotask(() => scene.first.machine.rooms.get(scene.roomId)?.save());
  assert.is(saved, null);
  assert.match(
    String(scene.first.machine.rooms.get(scene.roomId)?.restlessBecause()),
    /onCacheRoom of SafeRoom failed: the thing is unknown/,
  );
  cache = (room) => room.secrets;
  await scene.send("p1", "keep");
  assert.ok(await scene.restore("B"));
  equal(scene);
});

test("[Y74] one of the two hooks without the other is refused when the room is defined", () => {
  class Half extends Room {
    override onCacheRoom() {
      return 1;
    }
  }
  class OtherHalf extends Room {
    override onRestoreRoom() {}
  }
  assert.throws(
    () => replicated(Half),
    /Half cannot be replicated: it has onCacheRoom without onRestoreRoom/,
  );
  assert.throws(() => replicated(OtherHalf), /it has onRestoreRoom without onCacheRoom/);
});

test.run();
