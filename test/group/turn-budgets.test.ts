import { test } from "uvu";
import * as assert from "uvu/assert";
import { ApplyStage } from "../../server/group/apply-stage.ts";
import { CheckpointStage } from "../../server/group/checkpoint-stage.ts";
import type { EngineClock } from "../../server/group/engine-construction.ts";
import type { Group } from "../../server/group/group.ts";
import type { Saver } from "../../server/group/saver.ts";

/** A clock that only work moves on. */
function workshop() {
  let nowMs = 1_000;
  const clock = { now: () => ({ monotonicMs: nowMs, wallMs: 0 }) } as unknown as EngineClock;
  /** Pieces of so many milliseconds, until it is over. @returns how many */
  const work = (pieceMs: number, isOver: () => boolean): number => {
    let pieces = 0;
    for (; !isOver(); pieces++) nowMs += pieceMs;
    return pieces;
  };
  return { clock, work };
}

for (const { isRestoring, pieces } of [
  { isRestoring: false, pieces: 8 },
  { isRestoring: true, pieces: 4 },
]) {
  test(`[G55] of a turn's 8 ms a group that ${isRestoring ? "brings its rooms back takes half" : "applies takes all"}`, () => {
    const { clock, work } = workshop();
    const done: number[] = [];
    const run = (isOver: () => boolean) => {
      done.push(work(1, isOver));
      return false;
    };
    const groups = [{ applier: { hasWork: true, isRestoring, run } }] as unknown as Group[];
    const stage = new ApplyStage({ awake: { groups }, clock, budgetMs: 8, wake: () => {} });
    assert.is(stage.run(), false);
    assert.is(stage.run(), false);
    assert.equal(done, [pieces, pieces], "each turn anew");
  });
}

test("[G15] one group a turn writes its rooms, within the budget, and none while a batch gathers", () => {
  const { clock, work } = workshop();
  const done: [string, number][] = [];
  const group = (name: string) => ({
    compactor: { wantsStep: true, step: (isOver: () => boolean) => done.push([name, work(1, isOver)]) },
  });
  const groups = [group("a"), group("b")] as unknown as Group[];
  const saver = { isGathering: false };
  const stage = new CheckpointStage({
    ...{ awake: { groups }, clock, budgetMs: 4 },
    saver: saver as unknown as Saver,
  });
  stage.run();
  stage.run();
  saver.isGathering = true;
  stage.run();
  assert.equal(done, [
    ["a", 4],
    ["b", 4],
  ]);
});

test.run();
