// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type AuthContext, type Client, Room, ServerError } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { askAuth, authsMax } from "../../server/colyseus/instance-auth.ts";
import type { AuthOutcome } from "../../server/session/auth-outcome.ts";
import { SessionError } from "../../server/session/session-error.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

interface Wish {
  readonly name?: string;
  readonly waits?: Promise<unknown>;
}

/** What onAuth was asked, by any replica or node. */
let asked: unknown[] = [];

class DoorRoom extends Room {
  joined: unknown[] = [];

  override onCreate() {
    this.autoDispose = false;
  }

  override async onAuth(client: Client, { name, waits }: Wish, { token }: AuthContext): Promise<unknown> {
    asked.push([client.sessionId, name, token, this.roomId]);
    await waits;
    if (name === "nobody") return false;
    if (name === "banned") throw new ServerError(4_303, "you are banned");
    if (name === "wild") return { deck: { cards: new Map() } };
    if (name === "cunning") client.userData = [() => 1];
    if (name === "cunning") return true;
    if (name === "wordless") throw null;
    if (name === "broken") throw new Error("the database is gone");
    client.userData = { seen: asked.length };
    return name === "yes" ? true : { name };
  }

  override onJoin(client: Client, options: Wish, auth: unknown) {
    this.joined.push([client.sessionId, options.name, auth, client.auth, client.userData]);
  }
}

class FieldDoorRoom extends Room {
  joined: unknown[] = [];
  override onAuth = (client: Client) => {
    asked.push([client.sessionId]);
    return { field: true };
  };
  override onJoin(_client: Client, _options: Wish, auth: unknown) {
    this.joined.push(auth);
  }
}

/** The stock room puts its own function around onAuth here. */
class CatchingDoorRoom extends DoorRoom {
  caught: unknown[] = [];
  override onUncaughtException(error: Error, method: string) {
    this.caught.push([method, error.message]);
  }
}

class CatchingFieldRoom extends FieldDoorRoom {
  override onUncaughtException() {}
}

class CatchingOnlyRoom extends Room {
  auths: unknown[] = [];
  override onUncaughtException() {}
  override onJoin(client: Client) {
    this.auths.push(client.auth);
  }
}

/** The stock room asks the class first, and then nobody else. */
class BothRoom extends DoorRoom {
  static override async onAuth() {
    return { by: "the class" };
  }
}

const classes = {
  door: DoorRoom,
  "field door": FieldDoorRoom,
  "catching door": CatchingDoorRoom,
  "catching field": CatchingFieldRoom,
  "catching only": CatchingOnlyRoom,
  both: BothRoom,
};
for (const [name, roomClass] of Object.entries(classes)) await defineTestRoom(name, roomClass);

const context: AuthContext = { token: "a token", headers: new Headers(), ip: "" };

const plainOnly =
  "only plain data goes through the log (null, booleans, numbers, strings, Dates, Uint8Arrays, arrays and ordinary objects of them)";

/** As the node does that has the client's socket. */
function ask(scene: Scene, sessionId: string, hasClosed = () => false): Promise<AuthOutcome> {
  return askAuth(scene.room(), { sessionId } as Client, context, hasClosed);
}

async function enter(scene: Scene, sessionId: string, options: object, extra: object = {}) {
  await scene.reserve(sessionId, options, extra);
  const auth = await ask(scene, sessionId);
  return { auth, value: await scene.attach(sessionId, "A", { auth }) };
}

function same(scene: Scene): void {
  const [first, ...others] = scene.hashes();
  for (const hash of others) assert.is(hash, first);
}

test("[Y28] it is asked once, with options and token, and every replica has its answer", async () => {
  for (const name of ["door", "catching door"]) {
    asked = [];
    const scene = new Scene();
    await scene.create(name);
    await enter(scene, "p1", { name: "Livia" });
    assert.equal(asked, [["p1", "Livia", "a token", scene.roomId]]);
    for (const { nodeId } of scene.replicas)
      assert.equal(scene.room<DoorRoom>(nodeId).joined, [
        ["p1", "Livia", { name: "Livia" }, { name: "Livia" }, { seen: 1 }],
      ]);
    same(scene);
  }
});

test("[Y28] true stands for what the seat was reserved with", async () => {
  const scene = new Scene();
  await scene.create("door");
  await enter(scene, "p1", { name: "yes" }, { auth: { id: 7 } });
  await enter(scene, "p2", { name: "yes" });
  assert.equal(
    scene.room<DoorRoom>().joined.map((joined) => (joined as unknown[])[3]),
    [{ id: 7 }, true],
  );
  same(scene);
});

test("[Y28] it may be a field of the room", async () => {
  for (const name of ["field door", "catching field"]) {
    asked = [];
    const scene = new Scene();
    await scene.create(name);
    await enter(scene, "p1", {});
    assert.equal(asked, [["p1"]]);
    assert.equal(scene.room<FieldDoorRoom>("C").joined, [{ field: true }]);
    same(scene);
  }
});

test("[Y28] a room without one asks nobody", async () => {
  const scene = new Scene();
  await scene.create("catching only");
  const { auth } = await enter(scene, "p1", {});
  assert.equal(auth, { type: "unasked" });
  // The stock room's own function around the default one says true.
  assert.equal(scene.room<CatchingOnlyRoom>("B").auths, [true]);
  same(scene);
});

test("[Y28] who was authenticated by the class is not asked again", async () => {
  asked = [];
  const scene = new Scene();
  await scene.create("both");
  await enter(scene, "p1", { name: "Livia" }, { auth: { by: "the class" } });
  assert.equal(asked, []);
  assert.equal(scene.room<DoorRoom>("B").joined, [
    ["p1", "Livia", { by: "the class" }, { by: "the class" }, undefined],
  ]);
  same(scene);
});

test("[Y28] who fails it is told why, and leaves no seat behind", async () => {
  for (const name of ["door", "catching door"])
    for (const [who, code, message] of [
      ["nobody", 525, "onAuth failed"],
      ["banned", 4_303, "you are banned"],
      ["broken", 526, "the database is gone"],
      ["wordless", 526, "null"],
      ["wild", 526, `what onAuth returns.deck.cards is a Map: ${plainOnly}`],
      ["cunning", 526, `client.userData[0] is a function: ${plainOnly}`],
    ] as const) {
      const scene = new Scene();
      await scene.create(name);
      const { auth, value } = await enter(scene, "p1", { name: who });
      assert.equal(auth, { type: "failed", code, message });
      const refused = value as { refused: string; message: string; colyseusCode: number };
      assert.equal([refused.refused, refused.colyseusCode, refused.message], ["APPLICATION", code, message]);
      for (const { nodeId, machine } of scene.replicas) {
        assert.equal(scene.room<DoorRoom>(nodeId).joined, []);
        assert.is(machine.rooms.get(scene.roomId)?.seats.size, 0);
        assert.equal(Object.keys((scene.room(nodeId) as never)["_reservedSeats"]), []);
      }
      same(scene);
      await enter(scene, "p2", { name: "Livia" });
      assert.is(scene.room<DoorRoom>().joined.length, 1);
    }
});

test("[Y28] a log from before there was such a thing is read as one in which nobody was asked", async () => {
  const scene = new Scene();
  await scene.create("catching only");
  await scene.reserve("p1");
  const attach = {
    ...{ roomId: scene.roomId, sessionId: "p1", attachId: 7, token: "t" },
    presentedToken: null,
  };
  const older = { ...attach, wrapper: false, skipHandshake: false };
  await scene.value(scene.log.next("A", "attach", older, scene.roomId));
  assert.is(scene.room("B").clients.length, 1);
  same(scene);
});

test("[Y28] who has left meanwhile does not join", async () => {
  const scene = new Scene();
  await scene.create("door");
  await scene.reserve("p1", { name: "Livia" });
  const auth = await ask(scene, "p1", () => true);
  assert.equal(auth, { type: "failed", code: 4002, message: "already disconnected" });
  await scene.attach("p1", "A", { auth });
  assert.equal(scene.room<DoorRoom>().joined, []);
  assert.is(scene.seat("p1"), undefined);
});

test("[Y28] a restored room asks nobody, and knows what was said", async () => {
  asked = [];
  const scene = new Scene();
  await scene.create("door");
  await enter(scene, "p1", { name: "Livia" });
  assert.ok(await scene.restore("B"));
  assert.equal(scene.room<DoorRoom>("B").clients[0]?.auth, { name: "Livia" });
  assert.is(asked.length, 1);
  same(scene);
});

test(`[Y28] ${authsMax} at once are asked, more are told to come again`, async () => {
  const scene = new Scene(["A"]);
  await scene.create("door");
  let open: (value: unknown) => void = () => {};
  const waits = new Promise((resolve) => {
    open = resolve;
  });
  const room = scene.room();
  (room as unknown as { _reservedSeats: Record<string, unknown> })._reservedSeats["p1"] = [{ waits }];
  const waiting = Array.from({ length: authsMax }, () => ask(scene, "p1"));
  try {
    await ask(scene, "p1");
    assert.unreachable();
  } catch (error) {
    assert.instance(error, SessionError);
    assert.is((error as SessionError).code, "OVERLOADED");
    assert.match((error as Error).message, "256 clients are being authenticated: try again");
  }
  open(null);
  await Promise.all(waiting);
  assert.is((await ask(scene, "p1")).type, "passed");
});

test("[Y28] room code cannot call it", async () => {
  const scene = new Scene(["A"]);
  await scene.create("door");
  assert.throws(
    () => scene.room().onAuth({} as Client, {}, context),
    /DoorRoom.onAuth\(\) is called by the room/,
  );
});

test.run();
