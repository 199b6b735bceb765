// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, type Deferred, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const hourMs = 3_600_000;

class PatientRoom extends Room {
  readonly log: string[] = [];
  override autoDispose = false;
  override messages = {
    log: () => this.log,
    "let go": () => waiting.get(this)?.reject(),
  };

  override async onDrop(client: Client): Promise<void> {
    const kept = this.allowReconnection(client, "manual");
    if (client.sessionId.startsWith("kept")) return;
    waiting.set(this, kept);
    await kept.then(
      () => this.log.push(`${client.sessionId} is awaited no more`),
      () => this.log.push(`${client.sessionId} was let go`),
    );
  }

  override onReconnect(client: Client): void {
    this.log.push(`${client.sessionId} is back`);
  }

  override onLeave(client: Client): void {
    this.log.push(`${client.sessionId} leaves`);
  }
}

/** What a game would hold in a closure. */
const waiting = new WeakMap<object, Deferred>();

await defineTestRoom("patient", PatientRoom);

async function patientScene(): Promise<Scene> {
  const scene = new Scene();
  await scene.create("patient");
  await scene.join("stays", "A");
  return scene;
}

test("[Y105] a seat that is kept by hand is kept for hours, through checkpoints, and told of once", async () => {
  const scene = await patientScene();
  await scene.join("kept1", "B");
  await scene.join("kept2", "B");
  await scene.drop("kept1");
  await scene.drop("kept2");
  await scene.tick(hourMs, 3);
  assert.ok(await scene.restore("B"), "it is at rest");
  await scene.tick(hourMs, 3);
  await scene.reconnect("kept1", "C");
  assert.equal((await scene.request("stays", "log"))?.payload, ["kept1 is back"]);
  assert.is(new Set(scene.hashes()).size, 1);
  for (const { warnings } of scene.replicas.slice(0, 1)) {
    const told = warnings.filter((each) => (each as { event?: string }).event === "manual-reconnection");
    assert.is(told.length, 1);
  }
});

test("[Y105] who awaits it keeps the room from rest, until the room lets the seat go", async () => {
  const scene = await patientScene();
  await scene.join("awaited", "B");
  await scene.drop("awaited");
  await scene.tick(hourMs);
  assert.not.ok(await scene.restore("C"));
  await scene.send("stays", "let go");
  assert.equal((await scene.request("stays", "log"))?.payload, ["awaited was let go", "awaited leaves"]);
  assert.is(scene.seat("awaited"), undefined);
  assert.ok(await scene.restore("C"));
  assert.is(new Set(scene.hashes()).size, 1);
});

test.run();
