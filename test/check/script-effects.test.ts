// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import type { Client } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkDeterminism } from "../../server/check.ts";
import type { ReplicatedRoom } from "../../server/colyseus/replicated.ts";
import { GoRoom, join, say, script, tick } from "./go-room.ts";

// The stock room prints what hooks and handlers throw.
console.error = () => {};

class LendingRoom extends GoRoom {
  declare effect: ReplicatedRoom["effect"];
  effects = {
    profile: { timeoutMs: 400, run: ({ id }: { id: string }) => fetch(`http://127.0.0.1:1/${id}`) },
  };
  known: unknown[] = [];
  override async onJoin(client: Client) {
    this.known.push(
      await this.effect("profile", { id: client.sessionId }).catch((error: Error) => error.message),
    );
  }
  async go(client: Client) {
    this.state.n += (
      (await this.effect("profile", { id: client.sessionId })) as unknown as { gold: number }
    ).gold;
    this.broadcast("gold", this.state.n);
  }
}

test("[Y85] a script says what effects resolve with, and none of them is run", async () => {
  const report = await checkDeterminism(LendingRoom, { ...script, effects: { profile: { gold: 7 } } });
  assert.equal([report.firstDifference, report.problems, report.warnings], [null, [], []]);
  assert.ok(report.checkpoints > script.steps.length / 2, `${report.checkpoints} checkpoints`);
});

test("[Y85] an effect that the script does not name times out, and is told of", async () => {
  const report = await checkDeterminism(LendingRoom, script);
  assert.is(report.firstDifference, null);
  assert.ok(
    report.warnings.some((warning) => warning.startsWith('effect "profile" has no answer, and times out')),
    report.warnings.join("\n"),
  );
});

class ChainedRoom extends GoRoom {
  declare effect: ReplicatedRoom["effect"];
  /** Of every replica alike. */
  static asked: number[] = [];
  effects = { next: { timeoutMs: 60_000, run: () => fetch("http://127.0.0.1:1/next") } };
  // No patches: no entries but the script's.
  override patchRate = null;
  async go() {
    for (;;) {
      await this.effect("next");
      ChainedRoom.asked[0] = ++this.state.n;
    }
  }
}

test("[Y85] answers that lead to ever more effects end behind 128 of a step, and the next one goes on", async () => {
  const steps = [join("ann"), say("ann", "go")];
  const report = await checkDeterminism(ChainedRoom, { steps, effects: { next: 1 } });
  assert.equal([report.equal, report.problems], [true, []]);
  assert.match(report.restless ?? "", /effect "next"/);
  assert.equal(ChainedRoom.asked, [128]);
  await checkDeterminism(ChainedRoom, { steps: [...steps, tick(1)], effects: { next: 1 } });
  assert.equal(ChainedRoom.asked, [256]);
});

test.run();
