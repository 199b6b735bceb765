// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import net from "node:net";
import { type Client, type Delayed, LobbyRoom, QueueRoom, RelayRoom, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isReplicated, replicated } from "../../server/colyseus/replicated.ts";
import type { ReplicatedOptions } from "../../server/colyseus/seam.ts";
import { SessionError } from "../../server/session/session-error.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

class PlainRoom extends Room {}

const unsupported: [string, new () => Room, RegExp][] = [
  ["LobbyRoom", class MyLobby extends LobbyRoom {}, /MyLobby .*LobbyRoom/],
  ["QueueRoom", class MyQueue extends QueueRoom {} as never, /MyQueue .*QueueRoom/],
  ["RelayRoom", RelayRoom as never, /RelayRoom/],
];

for (const [what, roomClass, words] of unsupported) {
  test(`[Y20] ${what} is refused when the room is defined, by name and with what to do`, () => {
    try {
      replicated(roomClass);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, SessionError);
      assert.is((error as SessionError).code, "NOT_SUPPORTED");
      assert.match((error as Error).message, words);
    }
  });
}

test("[U26] what becomes of rooms of older code is said in known words, and rooms that their leader runs cannot be switched", () => {
  assert.throws(
    () => replicated(PlainRoom, { upgrade: "later" as never }),
    /PlainRoom .*upgrade is "later".*Allowed are "end" and "switch"/,
  );
  assert.throws(
    () => replicated(PlainRoom, { upgrade: "switch", run: "leader" }),
    /PlainRoom .*runs on its leader.*node alone.*leave upgrade out, or make it "end"/,
  );
  assert.type(replicated(PlainRoom, { upgrade: "switch" }), "function");
});

test("[Y49] a method by the name of one that replicated rooms bring is refused: it would be hidden", () => {
  for (const method of ["propose", "onPrimary", "effect"]) {
    class NamesakeRoom extends Room {}
    Object.assign(NamesakeRoom.prototype, { [method]: () => {} });
    assert.throws(
      () => replicated(NamesakeRoom),
      `NamesakeRoom cannot be replicated: it has a method ${method}()`,
    );
  }
});

test("[Y20] an unknown option is refused with the known ones", () => {
  assert.throws(
    () => replicated(PlainRoom, { persist: true } as never),
    /PlainRoom .*no option "persist".*classes, transient, messages/,
  );
});

test("[Y87] a message that is given no known consistency is refused with those that there are", () => {
  for (const given of ["eventually", 3, null])
    assert.throws(
      () => replicated(PlainRoom, { messages: { steer: given } } as never),
      /PlainRoom .*messages: "steer" is ("eventually"|3|null)\. Allowed are "strong", "latest" and "eventual"/,
    );
});

test("[Y87] a message type that the room does not listen to is refused right after onCreate, with those that it does", async () => {
  class ListeningRoom extends Room {
    override messages = { steer: () => {} };
    override onCreate() {
      this.onMessage("fire", () => {});
      this.onMessageBytes("raw", () => {});
      this.onMessage(7, () => {});
    }
  }
  await defineTestRoom("listening", ListeningRoom, {
    messages: { steer: "latest", fire: "strong", raw: "latest", 7: "latest" },
  });
  const fine = new Scene(["A"]);
  assert.ok(((await fine.create("listening")) as { roomId?: string }).roomId);
  await defineTestRoom("mislistening", class MishearingRoom extends ListeningRoom {}, {
    messages: { stear: "latest" },
  });
  const scene = new Scene(["A"]);
  const refused = (await scene.create("mislistening")) as { refused: string; message: string };
  assert.is(refused.refused, "ROOM_CREATE_FAILED");
  assert.match(
    refused.message,
    /messages: MishearingRoom does not listen to "stear"; it listens to .*"steer"/,
  );
  assert.ok(scene.isGone);
});

test("[Y20] what a base class does is refused with the class", () => {
  class ProposingRoom extends Room {
    propose() {}
  }
  class HidingRoom extends ProposingRoom {}
  assert.throws(() => replicated(HidingRoom), /HidingRoom .*has a method propose\(\)/);
});

test("[Y20] a replicated class keeps its name, its statics and its kind; nobody makes one by hand", () => {
  class AuthRoom extends Room {
    static override async onAuth() {
      return { user: 1 };
    }
  }
  const Replicated = replicated(AuthRoom);
  assert.is(Replicated.name, "AuthRoom");
  assert.is(Replicated.onAuth, AuthRoom.onAuth);
  assert.is(Replicated.prototype instanceof AuthRoom, true);
  assert.equal([isReplicated(Replicated), isReplicated(AuthRoom)], [true, false]);
  assert.throws(() => new Replicated(), /is constructed by hand: rooms are created by matchmaking/);
});

class Unlisted {
  n = 1;
}
class Secretive {
  #n = 1;
  get n() {
    return this.#n;
  }
}

/** Holds in `held` whatever `RoomWith.make` makes. */
abstract class HoldingRoom extends Room {
  held: unknown = null;
  abstract made(): unknown;
  override onCreate() {
    this.autoDispose = false;
    this.held = this.made();
  }
}

let names = 0;
async function creating(
  make: () => unknown,
  options: ReplicatedOptions = {},
): Promise<{ scene: Scene; result: unknown }> {
  const name = `holding${++names}`;
  class RoomWith extends HoldingRoom {
    made() {
      return make();
    }
    hold(what: string) {
      this.held = what === "bad" ? new Unlisted() : { fine: true };
    }
  }
  await defineTestRoom(name, RoomWith, options);
  const scene = new Scene(["A", "B"]);
  return { scene, result: await scene.create(name) };
}

const unsavable: [string, () => unknown, RegExp][] = [
  ["an unlisted class", () => new Unlisted(), /room\.held is an instance of Unlisted.*classes: \[Unlisted\]/],
  ["one deep inside", () => ({ a: [new Map([["k", new Unlisted()]])] }), /room\.held\.a\[0\].*Unlisted/],
  ["a function in an object", () => ({ call: () => 1 }), /room\.held\.call is a function/],
  ["a socket", () => new net.Socket(), /room\.held is an instance of Socket/],
  ["a promise", () => Promise.resolve(1), /room\.held is a Promise/],
  ["a WeakMap", () => new WeakMap(), /room\.held is a WeakMap/],
  ["a symbol of its own", () => ({ s: Symbol("own") }), /room\.held\.s/],
  ["a proxy", () => new Proxy({}, {}), /room\.held is a Proxy/],
];

for (const [what, make, words] of unsavable) {
  test(`[Y21] ${what} in a field is an error right after onCreate, with path and remedy`, async () => {
    const { scene, result } = await creating(make);
    assert.is((result as { refused: string }).refused, "ROOM_CREATE_FAILED");
    assert.match((result as { message: string }).message, words);
    assert.match((result as { message: string }).message, "remedy: ");
    assert.is(scene.isGone, true);
    assert.is(scene.first.programs.listings.has(scene.roomId), false);
  });
}

test("[Y21] a listed class with private names is an error, too: they cannot be seen from outside", async () => {
  const { result } = await creating(() => new Secretive(), { classes: [Secretive] });
  assert.match((result as { message: string }).message, /room\.held.*#n/);
});

test("[Y21] private fields of the room's own classes are an error: they would be lost; private methods are code", () => {
  class SecretRoom extends Room {
    #hidden = 1;
    get hidden() {
      return this.#hidden;
    }
  }
  class Descendant extends SecretRoom {}
  class Declaring extends Room {
    #later: number;
    constructor() {
      super();
      this.#later = 1;
    }
    get later() {
      return this.#later;
    }
  }
  class Working extends Room {
    override onCreate() {
      this.#work();
    }
    #work() {
      return "a#b";
    }
  }
  assert.throws(() => replicated(SecretRoom), /SecretRoom .*#hidden.*private hidden/);
  assert.throws(() => replicated(Descendant), /Descendant .*#hidden/);
  assert.throws(() => replicated(Declaring), /Declaring .*#later/);
  assert.type(replicated(Working), "function");
});

test("[Y21] listed classes are saved and transient fields are left out", async () => {
  const { scene, result } = await creating(() => new Unlisted(), { classes: [Unlisted] });
  assert.equal(result, { roomId: scene.roomId });
  assert.is(await scene.restore("B"), true);
  assert.instance(scene.room<HoldingRoom>("B").held, Unlisted);
  const other = await creating(() => new net.Socket(), { transient: ["held"] });
  assert.equal(other.result, { roomId: other.scene.roomId });
  assert.is(await other.scene.restore("B"), true);
  assert.instance(other.scene.room<HoldingRoom>("B").held, net.Socket, "onCreate made it anew");
});

test("[Y22] a room that comes to hold what cannot be saved is no longer at rest, says why, and hurts nobody", async () => {
  const { scene } = await creating(() => ({ fine: true }));
  await scene.tick(1_000, 3);
  await scene.call("hold", "bad");
  const replica = scene.first.machine.rooms.get(scene.roomId);
  assert.is(await scene.restore("B"), false);
  assert.match(
    replica?.world.lastError ?? scene.node("B").machine.rooms.get(scene.roomId)?.world.lastError ?? "",
    "Unlisted",
  );
  await scene.tick(1_000, 3);
  assert.match(replica?.restlessBecause() ?? "", "room.fields.held is an instance of Unlisted");
  await scene.call("hold", "good");
  assert.is(await scene.restore("B"), true);
  assert.is(scene.hashes()[0], scene.hashes()[1]);
});

test("[Y22] so is one that puts a function into a field after onCreate; those of constructor and onCreate are made again", async () => {
  class FunctionRoom extends Room {
    arrow = (n: number) => n + 1;
    fromCreate: ((n: number) => number) | null = null;
    late: ((n: number) => number) | null = null;
    override onCreate() {
      this.autoDispose = false;
      this.fromCreate = (n) => n + 2;
    }
    take() {
      this.late = (n) => n + 3;
    }
    drop() {
      this.late = null;
    }
  }
  await defineTestRoom("functions", FunctionRoom);
  const scene = new Scene(["A", "B"]);
  await scene.create("functions");
  await scene.call("take");
  assert.is(await scene.restore("B"), false);
  await scene.call("drop");
  assert.is(await scene.restore("B"), true);
  const room = scene.room<FunctionRoom>("B");
  assert.equal([room.arrow(1), room.fromCreate?.(1), room.late], [2, 3, null]);
});

test("[Y22] data in a field that is named like a hook is data", async () => {
  class HookishRoom extends Room {
    onFire = false;
    override onCreate() {
      this.autoDispose = false;
    }
    ignite() {
      this.onFire = true;
    }
  }
  await defineTestRoom("hookish", HookishRoom);
  const scene = new Scene(["A", "B"]);
  await scene.create("hookish");
  await scene.call("ignite");
  assert.is(await scene.restore("B"), true);
  assert.is(scene.room<HookishRoom>("B").onFire, true);
});

test("[Y23] hooks that are arrow functions in fields are silenced, too, while a room is restored", async () => {
  class ArrowRoom extends Room {
    seen: string[] = [];
    timer: Delayed | null = null;
    override onCreate() {
      this.autoDispose = false;
    }
    override onJoin = (client: Client) => {
      this.seen.push(`joined ${client.sessionId}`);
    };
    override onDrop = (client: Client) => {
      this.seen.push(`dropped ${client.sessionId}`);
      this.allowReconnection(client, 10);
    };
  }
  await defineTestRoom("arrow", ArrowRoom);
  const scene = new Scene(["A", "B"]);
  await scene.create("arrow");
  await scene.join("s1");
  await scene.join("s2");
  await scene.drop("s2");
  assert.is(await scene.restore("B"), true);
  assert.equal(scene.room<ArrowRoom>("B").seen, ["joined s1", "joined s2", "dropped s2"]);
  await scene.reconnect("s2", "B");
  assert.is(scene.hashes()[0], scene.hashes()[1]);
});

test.run();
