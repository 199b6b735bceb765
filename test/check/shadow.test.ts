// test-run: seconds=90 node=--import=./server/colyseus/register.ts
import { type Client, matchMaker, Room } from "@colyseus/core";
import { Client as SdkClient } from "@colyseus/sdk";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RoomShadow } from "../../server/colyseus/room-shadow.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { Deck, EverythingRoom } from "../colyseus/everything-room.ts";
import { defineTestRoom } from "../colyseus/machine-harness.ts";
import { Scene } from "../colyseus/scene.ts";
import { withCluster } from "../e2e/cluster.ts";

interface Line {
  readonly event: string;
  readonly difference: string;
  readonly message: string;
}

function shadowed(): { lines: Line[]; compare: (scene: Scene) => Promise<boolean> } {
  const lines: Line[] = [];
  const error = (fields: object, message: string) => lines.push({ ...(fields as Line), message });
  const shadow = new RoomShadow({ nodeId: "A", log: { warn: () => {}, error } });
  const compare = (scene: Scene) =>
    inMacrotask(() => {
      const replica = scene.first.machine.rooms.get(scene.roomId);
      const bytes = replica?.save() ?? null;
      if (replica === undefined || bytes === null) return false;
      shadow.compare(replica, bytes);
      return true;
    });
  return { lines, compare };
}

test("[Y68] a checkpoint that brings its room back is not spoken of, and nobody hears of the shadow", async () => {
  await defineTestRoom("everything", EverythingRoom, { classes: [Deck], transient: ["scratch"] });
  const heard: string[] = [];
  const handler = matchMaker.getHandler("everything");
  for (const event of ["create", "dispose", "join", "leave", "lock", "unlock"] as const)
    handler.on(event, () => heard.push(event));
  const { lines, compare } = shadowed();
  const scene = new Scene(["A", "B"]);
  await scene.create("everything", { bias: 2 });
  await scene.join("p1");
  await scene.join("p2", "B");
  const { roomCount } = matchMaker.stats.local;
  const local = matchMaker.getLocalRoomById(scene.roomId);
  const before = heard.length;
  let compared = 0;
  for (const said of ["fire", "draw", "bench", "pulse", "meta", "say", "throw", "fire", "draw"]) {
    if (await compare(scene)) compared++;
    assert.equal(heard.slice(before), []);
    assert.is(matchMaker.stats.local.roomCount, roomCount);
    assert.is(matchMaker.getLocalRoomById(scene.roomId), local);
    assert.is(matchMaker.getHandler("everything"), handler);
    assert.is(scene.first.programs.listings.has(scene.roomId), true);
    await scene.send("p1", said, 2);
    await scene.tick(210, 2);
    const [a, b] = await inMacrotask(() => scene.hashes());
    assert.is(a, b, "the room that is looked at goes on as the other one");
    heard.length = before;
  }
  assert.ok(compared >= 5, `${compared} were compared`);
  assert.equal(lines, []);
});

test("[Y68] one that does not is an error in the log, once, with room, path and remedy", async () => {
  class Scored extends Room {
    total = 0;
    set score(points: number) {
      this.total += points;
    }
  }
  class ScoringRoom extends Scored {
    override autoDispose = false;
    override onCreate(): void {
      Object.defineProperty(this, "score", {
        value: 5,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
  }
  await defineTestRoom("scoring", ScoringRoom);
  const { lines, compare } = shadowed();
  const scene = new Scene(["A"]);
  await scene.create("scoring");
  assert.is(await compare(scene), true);
  assert.is(await compare(scene), true);
  assert.is(lines.length, 1);
  assert.is(lines[0]?.event, "checkpoint-differs");
  assert.is(lines[0]?.difference, "room.total: 5 against 0");
  assert.match(
    lines[0]?.message ?? "",
    new RegExp(`^the checkpoint of room scoring ${scene.roomId} .*room\\.total.*testudo check`),
  );
});

test("[Y68] what shows only as the room runs on it cannot see: that is for checkDeterminism", async () => {
  class CapturingRoom extends Room {
    override autoDispose = false;
    n = 0;
    override onCreate(): void {
      let captured = 0;
      this.onMessage("go", (_client: Client) => {
        this.n = ++captured;
      });
    }
  }
  await defineTestRoom("capturing", CapturingRoom);
  const { lines, compare } = shadowed();
  const scene = new Scene(["A"]);
  await scene.create("capturing");
  await scene.join("p1");
  await scene.send("p1", "go");
  assert.is(await compare(scene), true);
  assert.equal(lines, []);
});

test("[Y69] a node with --shadow-restore says so of a room that its checkpoint would not bring back", async () => {
  const options = { nodes: 1, main: "test/check/shadow-main.ts" };
  await withCluster({ ...options, args: ["--shadow-restore"] }, async (cluster) => {
    const room = await new SdkClient(cluster.url("n1")).create("once");
    const [line = ""] = await cluster.until("the line", () => {
      const lines = cluster.linesLike(/checkpoint-differs/);
      return lines.length > 0 && lines;
    });
    assert.match(line, /room once .*cannot be brought back to life: onCreate made 0 clock timers/);
    const status = await cluster.room("n1", room.roomId);
    assert.is(status?.seats, 1, "the room itself is served all the same");
    await room.leave();
  });
});

test.run();
