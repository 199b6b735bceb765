// test-run: seconds=600 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { torture } from "./torture.ts";

const seconds = 60;

test("[T2] five nodes tortured for a minute under load: nothing lost, nothing doubled, one order of everything", async () => {
  const report = await torture({
    seconds,
    tormentsMin: 3,
    seed: Date.now() % 1_000_000,
    stock: 30,
    wrapper: 20,
    rate: 2_500,
    tell: (line) => process.stdout.write(`${line}\n`),
  });
  assert.equal(report.problems, []);
  assert.ok(report.moves > 0, "players were moved");
  assert.ok(report.hashesCompared > 0, "replicas were compared");
  process.stdout.write(
    `${report.ok} answered, ${report.unknown} unknown, ${report.perSecond.toFixed(0)}/s, gaps ${report.gapsMs.map(Math.round).join(" / ")} ms\n`,
  );
});

test.run();
