// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkClose, fittingReason } from "../../server/colyseus/close-frame.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

class DoorRoom extends Room {
  codes: unknown[] = [];

  override onCreate(): void {
    this.autoDispose = false;
    this.onMessage("leave", (client: Client, [code, reason]: [number?, string?]) =>
      client.leave(code, reason),
    );
    this.onMessage("kick", (_client, [code, reason]: [number, string?]) =>
      this.kickClient("ben", code, reason),
    );
    this.onMessage("end", (_client, code: number) => void this.disconnect(code));
  }
  override onLeave(_client: Client, code?: number): void {
    this.codes.push(code);
  }
}
await defineTestRoom("door", DoorRoom);

async function doors(): Promise<Scene> {
  const scene = new Scene(["A", "B"]);
  await scene.create("door");
  for (const name of ["ann", "ben"]) await scene.join(name, name === "ann" ? "A" : "B");
  return scene;
}

test("[Y170] a code or reason that no close frame can carry is refused where it is given, and nobody goes", async () => {
  for (const [type, payload, words] of [
    ["leave", [99], /^client\.leave\(\): a close code is 1000 to 1014.*and is 99; games use 4000 to 4999$/],
    ["leave", [1006], /and is 1006/],
    ["leave", [5000], /and is 5000/],
    ["leave", [4000.5], /and is 4000\.5/],
    [
      "leave",
      [4000, "ü".repeat(62)],
      /at most 123 bytes of UTF-8, and is one of 124; send the rest as a message/,
    ],
    ["leave", [4000, 7], /is a string .*and is number/],
    ["kick", [0], /^kickClient\(\): .*and is 0/],
    ["kick", [4000, "x".repeat(124)], /^kickClient\(\): .*and is one of 124/],
    ["end", 70, /^disconnect\(\): .*and is 70/],
  ] as const) {
    const scene = await doors();
    const reply = await scene.request("ann", type, payload);
    assert.match((reply?.payload as { message?: string } | undefined)?.message ?? "", words);
    for (const { nodeId } of scene.replicas) {
      assert.equal(scene.room<DoorRoom>(nodeId).codes, []);
      assert.is(scene.room(nodeId).clients.length, 2);
    }
    for (const name of ["ann", "ben"]) assert.is(scene.player(name).socket.closed, null);
  }
});

test("[Y170] client.leave() closes without a code, and with those that a close frame can carry", async () => {
  for (const [payload, code, reason] of [
    [[], 1005, ""],
    [[1000], 1000, ""],
    [[4321, "ü".repeat(61)], 4321, "ü".repeat(61)],
  ] as const) {
    const scene = await doors();
    await scene.send("ann", "leave", payload);
    assert.equal(scene.player("ann").socket.closed, { code, reason });
    assert.equal(scene.room<DoorRoom>("B").codes, [code]);
  }
});

test("[Y170] of a node's own words a close frame takes what has room in it, and no half of a letter", () => {
  for (const reason of ["", "short", "x".repeat(123), "ü".repeat(61)])
    assert.is(fittingReason(reason), reason);
  for (const letter of ["x", "ü", "語", "🛡"]) {
    const fitting = fittingReason(letter.repeat(200));
    assert.ok(Buffer.byteLength(fitting) <= 123 && Buffer.byteLength(fitting) > 110, fitting);
    assert.ok(letter.repeat(200).startsWith(fitting));
    checkClose("it", 4000, fitting);
  }
});

test.run();
