// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { Command, Dispatcher } from "@colyseus/command";
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const TableState = schema({ points: t.map("number"), said: t.array("string") }, "TableState");

class TableRoom extends Room<{ state: InstanceType<typeof TableState> }> {
  override state = new TableState();
  dispatcher = new Dispatcher(this as TableRoom);
  override messages = {
    score: (client: Client, points: number) =>
      this.dispatcher.dispatch(new Score(), { sessionId: client.sessionId, points }),
    round: () => this.dispatcher.dispatch(new Round()),
    said: () => [...this.state.said],
  };
  override onCreate(): void {
    this.autoDispose = false;
  }
  override onJoin({ sessionId }: Client): void {
    void this.dispatcher.dispatch(new Score(), { sessionId, points: 1 });
  }
  override onDispose(): void {
    this.dispatcher.stop();
  }
}

class Score extends Command<TableRoom, { sessionId: string; points: number }> {
  override validate({ points }: { points: number }): boolean {
    return points > 0;
  }
  override execute({ sessionId, points }: { sessionId: string; points: number }): Command[] {
    this.state.points.set(sessionId, (this.state.points.get(sessionId) ?? 0) + points);
    return [new Say().setPayload(`${points} for ${sessionId} at ${this.clock.currentTime % 7}`)];
  }
}

class Say extends Command<TableRoom, string> {
  override execute(words: string): void {
    this.state.said.push(words);
  }
}

class Round extends Command<TableRoom> {
  override async execute(): Promise<Command> {
    this.state.said.push("ready");
    await this.delay(1_000);
    this.state.said.push(`go ${Math.random()}`);
    return new Say().setPayload("over");
  }
}

await defineTestRoom("table", TableRoom, { transient: ["dispatcher"] });

test("[Y155] commands of @colyseus/command, their children and those that wait are the same on every replica", async () => {
  const scene = new Scene();
  await scene.create("table");
  await scene.join("p1");
  const same = () => assert.equal(new Set(scene.hashes()).size, 1, scene.hashes().join(" "));
  const said = () => [...scene.room<TableRoom>("B").state.said];
  await scene.send("p1", "score", 5);
  await scene.send("p1", "score", -5);
  assert.is(scene.room<TableRoom>("C").state.points.get("p1"), 6);
  assert.is(said().length, 2);
  same();

  const replica = scene.first.machine.rooms.get(scene.roomId);
  await scene.send("p1", "round");
  assert.match(replica?.restlessBecause() ?? "", /"round"/);
  assert.is(await scene.restore("B"), false, "a command waits");
  await scene.tick(300, 4);
  assert.match(said().slice(2).join(), /^ready,go 0\.\d+,over$/);
  same();

  assert.is(await scene.restore("B"), true);
  await scene.send("p1", "score", 7);
  await scene.send("p1", "round");
  await scene.tick(300, 4);
  assert.is(scene.room<TableRoom>("B").state.points.get("p1"), 13);
  assert.is(said().length, 9);
  same();
});

test.run();
