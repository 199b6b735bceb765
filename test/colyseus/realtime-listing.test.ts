// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, matchMaker, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RealtimeListing } from "../../server/colyseus/realtime-listing.ts";
import { partsOf } from "../../server/colyseus/room-parts.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { currentWorld } from "../../server/session/sandbox.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { defineTestRoom, Replica } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

class ListedRoom extends Room {
  override maxClients = 2;
  kept: unknown = null;

  override onCreate({ hidden = false, unlisted = false, broken = false, stays = false }) {
    if (hidden) void this.setPrivate(true);
    if (broken) this.kept = new WeakMap();
    if (stays) this.autoDispose = false;
    partsOf(this as never)._listing.unlisted = unlisted;
  }
  override onDrop(client: Client) {
    this.allowReconnection(client, 5);
  }
  label(label: unknown) {
    void this.setMetadata({ label });
  }
  labelOddly(number: number) {
    this.label(new Map<unknown, unknown>([[1n, new Set([Number.NaN, -0, number])]]));
  }
  relabel(label: unknown) {
    this.metadata.label = label;
    void this.setMetadata(this.metadata);
  }
  hide(isHidden = true) {
    void this.setPrivate(isHidden);
  }
  close() {
    void this.lock();
  }
  open() {
    void this.unlock();
  }
  change(updates: object) {
    void this.setMatchmaking(updates);
  }
  end() {
    void this.disconnect();
  }
}

await defineTestRoom("listed", ListedRoom);
await defineTestRoom("unseen", ListedRoom);
const handler = matchMaker.getHandler("listed");
handler.enableRealtimeListing();

/** What a lobby on the replica's node would be told: what it would show then, or null for a room that is gone. */
function listen({ programs: { listings } }: Replica): unknown[] {
  const told: unknown[] = [];
  const publish = (message: string) => {
    const [roomId = "", isGone] = message.split(",");
    const listing = listings.get(roomId);
    told.push(isGone === "1" ? null : [listing?.clients, listing?.locked, listing?.metadata?.label]);
  };
  const realtime = new RealtimeListing((roomId) => listings.get(roomId), publish);
  listings.onTouched((roomId) => realtime.touch(roomId));
  return told;
}

class Lobbies {
  readonly scene: Scene;
  readonly told: unknown[][];

  constructor(scene = new Scene()) {
    this.scene = scene;
    this.told = scene.replicas.map(listen);
  }

  /** All nodes were told exactly this since the last time. */
  async heard(what: string, ...expected: unknown[]): Promise<void> {
    await inMacrotask(() => {});
    for (const told of this.told) assert.equal(told.splice(0), expected, what);
  }
}

test("[Y56] every node tells its lobbies each change of a room once, wherever it came from", async () => {
  const lobbies = new Lobbies();
  const { scene } = lobbies;
  await scene.create("listed");
  await lobbies.heard("created", [0, false, undefined]);
  await scene.join("far", "C");
  await lobbies.heard("a client of C", [1, false, undefined]);
  await scene.call("label", "a");
  await lobbies.heard("labelled", [1, false, "a"]);
  await scene.call("label", "a");
  await lobbies.heard("the same label");
  await scene.call("relabel", "b");
  await lobbies.heard("changed in place", [1, false, "b"]);
  await scene.join("near", "A");
  await lobbies.heard("full", [2, true, "b"]);
  await scene.call("change", { maxClients: 3, metadata: { label: "c" } });
  await lobbies.heard("two at once", [2, false, "c"]);
  await scene.call("close");
  await scene.call("open");
  await lobbies.heard("locked, unlocked", [2, true, "c"], [2, false, "c"]);
  await scene.drop("near");
  await lobbies.heard("a kept seat is a client");
  await scene.reconnect("near", "B");
  await lobbies.heard("back");
  await scene.drop("near", 4_000);
  await lobbies.heard("left for good", [1, false, "c"]);
  await scene.call("hide");
  await scene.call("label", "d");
  await lobbies.heard("private, then changed", null);
  await scene.call("hide", false);
  await lobbies.heard("public", [1, false, "d"]);
  await scene.call("end");
  await lobbies.heard("ended", null);
  assert.ok(scene.isGone);
});

test("[Y56] what a room keeps in its metadata may be anything that it may keep", async () => {
  const lobbies = new Lobbies();
  const { scene } = lobbies;
  await scene.create("listed");
  await lobbies.heard("created", [0, false, undefined]);
  for (const number of [1, 2]) {
    await scene.call("labelOddly", number);
    await lobbies.heard("labelled", [
      0,
      false,
      new Map<unknown, unknown>([[1n, new Set([Number.NaN, -0, number])]]),
    ]);
    await scene.call("labelOddly", number);
    await lobbies.heard("the same");
  }
});

test("[Y56] neither private, unlisted nor unlistened rooms are told of, nor one that failed to begin", async () => {
  for (const [name, options] of [
    ["listed", { hidden: true }],
    ["listed", { unlisted: true }],
    ["listed", { broken: true }],
    ["unseen", {}],
  ] as const) {
    const lobbies = new Lobbies();
    await lobbies.scene.create(name, options);
    if (!lobbies.scene.isGone) {
      await lobbies.scene.join("one");
      await lobbies.scene.call("end");
    }
    await lobbies.heard(JSON.stringify(options));
  }
});

test("[Y56] a quarantined room is gone from every lobby", async () => {
  const lobbies = new Lobbies();
  const { scene } = lobbies;
  await scene.create("listed");
  await lobbies.heard("created", [0, false, undefined]);
  await scene.apply(scene.log.quarantine("A", { roomId: scene.roomId }));
  await lobbies.heard("quarantined", null);
});

async function checkpointsOf(replica: Replica): Promise<Map<string, Checkpoint>> {
  const saved = await inMacrotask(() => replica.save());
  return new Map([...saved].map(([key, checkpoint]) => [key, checkpoint as Checkpoint]));
}

test("[Y56] a room that comes by a checkpoint appears as it is; where its replica is replaced nothing is told", async () => {
  const lobbies = new Lobbies(new Scene(["A", "B"]));
  const { scene } = lobbies;
  await scene.create("listed", { stays: true });
  await scene.join("far", "B");
  await scene.call("label", "a");
  await lobbies.heard(
    "before",
    ...[
      [0, false, undefined],
      [1, false, undefined],
      [1, false, "a"],
    ],
  );
  const before = await checkpointsOf(scene.first);
  await inMacrotask(() => scene.first.restore(before));
  await lobbies.heard("replaced");
  await scene.call("label", "b");
  await lobbies.heard("goes on", [1, false, "b"]);
  await inMacrotask(() => scene.first.restore(new Map()));
  await inMacrotask(() => {});
  assert.equal(lobbies.told[0]?.splice(0), [null], "a snapshot without it");
  const anew = new Replica("C");
  const told = listen(anew);
  await inMacrotask(() => anew.restore(before));
  await inMacrotask(() => {});
  assert.equal(told, [[1, false, "a"]]);
});

test("[Y62] listeners of a room's events run outside of it, on every node, and of a client's where it is", async () => {
  const scene = new Scene(["A", "B"]);
  const heard: { readonly event: string; readonly room: object }[] = [];
  const nodes = new WeakMap<object, string>();
  let isInside = false;
  const listener = (event: string) => (room: object) => {
    clearTimeout(setTimeout(() => {}, 1));
    heard.push({ event, room });
    isInside ||= currentWorld() !== null;
    void Promise.resolve().then(() => {
      isInside ||= currentWorld() !== null;
    });
  };
  const events = ["create", "join", "leave", "lock", "unlock", "dispose"];
  for (const event of events) handler.on(event, listener(event) as never);
  try {
    const told = async (...expected: string[]) => {
      await inMacrotask(() => {});
      for (const { nodeId, machine } of scene.replicas) {
        const { room } = (machine.rooms.get(scene.roomId)?.program ?? {}) as { room?: object };
        if (room !== undefined) nodes.set(room, nodeId);
      }
      assert.not(isInside);
      assert.equal(
        heard.splice(0).map(({ event, room }) => `${event} ${nodes.get(room)}`),
        expected,
      );
    };
    await scene.create("listed", { stays: true });
    await told("create A", "create B");
    await scene.join("one", "B");
    await told("join B");
    await scene.call("close");
    await scene.call("open");
    await told("lock A", "lock B", "unlock A", "unlock B");
    assert.ok(await scene.restore("B"));
    await told();
    await scene.drop("one");
    await scene.reconnect("one", "A");
    await told();
    await scene.drop("one", 4_000);
    await told("leave A");
    await scene.call("end");
    await told("dispose A", "dispose B");
  } finally {
    for (const event of events) handler.removeAllListeners(event);
  }
});

test("[Y62] a listener that throws is a line in the log, and hurts nobody", async () => {
  const scene = new Scene();
  const cursed = () => {
    throw new Error("cursed listener");
  };
  handler.on("lock", cursed);
  try {
    await scene.create("listed");
    assert.is(await scene.call("close"), undefined);
    assert.equal(
      scene.replicas.map(({ warnings }) => warnings.map((line) => (line as { error: string }).error)),
      scene.replicas.map(() => ["cursed listener"]),
    );
    assert.is(new Set(scene.hashes()).size, 1);
  } finally {
    handler.removeListener("lock", cursed);
  }
});

test.run();
