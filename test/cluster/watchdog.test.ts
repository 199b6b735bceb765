// test-run: seconds=240
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ActBoard } from "../../server/cluster/act-board.ts";
import { ActJournal } from "../../server/cluster/act-journal.ts";
import { ActJudge } from "../../server/cluster/act-judge.ts";
import { MarkFolder, markLimits } from "../../server/cluster/mark-folder.ts";
import { SlowRooms, slowLimits } from "../../server/cluster/slow-rooms.ts";
import { Suspicions } from "../../server/cluster/suspicions.ts";
import type { RoomMark } from "../../server/session/room-mark.ts";
import { Spawned } from "./spawned.ts";

const test = suite("the watchdog");

const top = mkdtempSync(join(tmpdir(), "testudo-watchdog-"));
const running: Spawned[] = [];
let folders = 0;

test.after.each(async () => {
  await Promise.all(running.splice(0).map((spawned) => spawned.end()));
});
test.after(() => rmSync(top, { recursive: true }));

const newFolder = () => join(top, String(++folders));
const acting = { group: 3, roomId: "room0001D", act: "apply", index: 42 } as const;
const mark: RoomMark = { ...acting, why: "it did not come back", deaths: 1 };
const bootOf = { bootId: "b00t", at: "2026-01-02T03:04:05.678Z" };

// ---- its parts ----------------------------------------------------------------------------------------------------

test("[Q9] what one thread writes on the board the other one reads; between acts there is nothing", () => {
  const here = new ActBoard();
  const there = new ActBoard(here.memory);
  assert.is(there.look(), null);
  for (const [at, act] of (["create", "apply", "restore", "save"] as const).entries()) {
    const written = { group: at * 7, roomId: "x".repeat(1 + at * 42), act, index: 2 ** 40 + at };
    here.begin(written);
    assert.equal(there.look(), { number: at + 1, acting: written });
    assert.is(there.isStillActing(at + 1), true);
    here.end();
    assert.is(there.look(), null);
    assert.is(there.isStillActing(at + 1), false);
  }
  here.isDebugged = true;
  assert.is(there.isDebugged, true);
  assert.throws(() => here.begin({ ...acting, roomId: "x".repeat(129) }), /at most 128 characters/);
});

const judgeOptions = { lookMs: 25, longMs: 50, limitMs: 1_000 };

test("[Q9] an act is long, and then stuck, by the time between looks at one and the same act", () => {
  const judge = new ActJudge(judgeOptions);
  let nowMs = 0;
  const look = (number: number | null) => {
    nowMs += judgeOptions.lookMs;
    return judge.look(number, nowMs);
  };
  assert.equal([look(null), look(1), look(2), look(3), look(null)], ["fine", "fine", "fine", "fine", "fine"]);
  assert.equal([look(4), look(4), look(4), look(4), look(5)], ["fine", "fine", "long", "fine", "back"]);
  const types = Array.from({ length: 42 }, () => look(6));
  assert.is(types.indexOf("long"), 2);
  assert.is(types.indexOf("stuck"), 40);
});

test("[Q10] time that the looking thread did not live through does not count", () => {
  const judge = new ActJudge(judgeOptions);
  assert.is(judge.look(1, 0), "fine");
  assert.is(judge.look(1, 3_600_000), "long", "an hour's pause is four intervals");
  for (let at = 1; at < 36; at++) assert.is(judge.look(1, 3_600_000 + at * 25), "fine", `${at}`);
  assert.is(judge.look(1, 3_600_000 + 36 * 25), "stuck");
});

test("[Q13] a mark is there for the next start, until it is removed", () => {
  const folder = new MarkFolder(newFolder());
  assert.equal(folder.open(), []);
  const other = { ...mark, roomId: "../odd/room?", act: "save", deaths: 2 } as const;
  folder.add(mark, bootOf);
  folder.add(other, bootOf);
  folder.add(mark, bootOf);
  writeFileSync(join(folder.path, "half.mark.json.tmp"), "{");
  const next = new MarkFolder(folder.path);
  assert.equal(
    next.open().sort((a, b) => a.deaths - b.deaths),
    [mark, other],
  );
  assert.equal(
    readdirSync(folder.path).filter((name) => name.endsWith(".tmp")),
    [],
  );
  next.remove(mark);
  next.remove(mark);
  assert.equal(next.open(), [other]);
});

test("[Q13] a mark that cannot be read, and too many of them, are refused with the file and the remedy", () => {
  const good = JSON.stringify({ version: 1, ...mark, ...bootOf });
  for (const [text, what] of [
    ["{", /is no JSON: look at the file; delete it, and this node will run/],
    ["", /is no JSON/],
    [good.replace('"version":1', '"version":2'), /is no mark .*version/],
    [good.replace("42", '"42"'), /is no mark .*index/],
    [good.replace('"why"', '"how"'), /is no mark .*why/],
    [good.replace("apply", "destroy"), /is no mark .*act/],
    [" ".repeat(markLimits.markBytesMax) + good, /has \d+ bytes, a mark has at most 4096/],
  ] as const) {
    const folder = new MarkFolder(newFolder());
    folder.open();
    writeFileSync(join(folder.path, "3-room0001D.mark.json"), text);
    assert.throws(
      () => folder.open(),
      (error: Error & { code?: string }) =>
        error.code === "ROOM_MARK_GARBLED" &&
        error.message.startsWith(join(folder.path, "3-room0001D.mark.json")) &&
        what.test(error.message),
      `${what}`,
    );
  }
  const folder = new MarkFolder(newFolder());
  folder.open();
  for (let at = 0; at <= markLimits.marksMax; at++) folder.add({ ...mark, roomId: `room${at}` }, bootOf);
  assert.throws(
    () => folder.open(),
    (error: Error & { code?: string }) =>
      error.code === "ROOM_MARKS_TOO_MANY" && /65 marks in .*; at most 64 are kept/.test(error.message),
  );
});

test("[Q11] the journal says how the start before ended: not at all, as it should, or in the middle of what", () => {
  const folder = new MarkFolder(newFolder());
  folder.open();
  const path = join(folder.path, "acting.json");
  const journal = new ActJournal(path);
  const read = () => new ActJournal(path).read();
  assert.equal(read(), { type: "none" });
  journal.open({ isFirst: true });
  assert.equal(read(), { type: "unclean", during: null });
  journal.acting({ ...acting, roomId: "x".repeat(128) });
  journal.acting(acting);
  assert.equal(read(), { type: "unclean", during: acting });
  const other = new ActJournal(path);
  other.open({ isFirst: false });
  other.ended();
  assert.equal(read(), { type: "unclean", during: null });
  journal.close();
  assert.equal(read(), { type: "clean" });
  for (const text of ["", "{}", readFileSync(path, "utf8").slice(0, 9)]) {
    writeFileSync(path, text);
    assert.equal(read(), { type: "unreadable" });
  }
});

test("[Q11] two deaths in one act are what counts; what has come back is forgiven, and so is all by an orderly end", () => {
  const folder = new MarkFolder(newFolder());
  folder.open();
  const path = join(folder.path, "suspicions.json");
  const start = () => {
    const suspicions = new Suspicions(path);
    assert.is(suspicions.open(), true);
    return suspicions;
  };
  assert.is(start().died(acting), 1);
  assert.is(start().died({ ...acting, index: 43 }), 1, "another entry is another act");
  assert.is(start().died({ ...acting, roomId: "room0002D" }), 1);
  assert.is(start().died(acting), 2);
  assert.is(start().died(acting), 1, "it has its mark now");
  start().passed(acting);
  assert.is(start().died(acting), 1);
  assert.is(start().died({ ...acting, act: "save", index: 1 }), 1);
  assert.is(start().died({ ...acting, act: "save", index: 9 }), 2, "a room is saved as of whatever entry");
  start().clear();
  assert.is(start().isEmpty, true);
  assert.is(start().died(acting), 1);
  for (let at = 0; at < 20; at++) start().died({ ...acting, index: 100 + at });
  assert.is(start().died(acting), 1, "the oldest are dropped");
  writeFileSync(path, "[{}]");
  const garbled = new Suspicions(path);
  assert.is(garbled.open(), false);
  assert.is(garbled.isEmpty, true);
});

test("[Q14] a room that is slow again and again is told of, once a window", () => {
  const told: string[] = [];
  const slow = new SlowRooms((_, message) => told.push(message));
  const { slowMs, windowMs } = slowLimits;
  slow.took(acting, slowMs, 0);
  slow.took(acting, slowMs - 1, 1);
  slow.took({ ...acting, roomId: "other" }, slowMs, 2);
  slow.took(acting, 70.2, 3);
  assert.equal(told, []);
  for (let at = 4; at < 10; at++) slow.took(acting, slowMs, at);
  assert.is(told.length, 1);
  assert.match(
    told[0] ?? "",
    /^room room0001D is slow: 3 times its code took 20 ms or more, the longest 70 ms/,
  );
  for (let at = 0; at < 3; at++) slow.took(acting, slowMs, windowMs + at);
  assert.is(told.length, 2);
});

// ---- whole processes ----------------------------------------------------------------------------------------------

const limitMs = 1_000;

function start(
  folder: string,
  mode: string,
  { file = "", flags = [] as readonly string[], limit = limitMs } = {},
): Spawned {
  const spawned = new Spawned("watchdog-main.ts", [folder, String(limit), mode, file], { flags });
  running.push(spawned);
  return spawned;
}

async function marksOf(spawned: Spawned): Promise<RoomMark[]> {
  return JSON.parse(await spawned.line(/^\[/)) as RoomMark[];
}

test("[Q9] code that does not come back leaves a mark and ends the process, with a last line; the next start has the mark", async () => {
  const folder = newFolder();
  const first = start(folder, "loops");
  assert.equal(await marksOf(first), []);
  assert.equal(await first.ended, { code: null, signal: "SIGKILL" });
  assert.equal(first.stderr, [
    "testudo: node n1 ends: ROOM_STUCK: room room0001D of group 3, entry 42: it did not come back within 1000 ms; it will be closed everywhere",
  ]);
  assert.not(first.stdout.includes("back"));
  const second = start(folder, "idles");
  assert.equal(await marksOf(second), [{ ...mark, why: "it did not come back within 1000 ms" }]);
});

test("[Q9] code that comes back in time leaves nothing, however often", async () => {
  const folder = newFolder();
  const first = start(folder, "returns");
  await first.line(/^back$/);
  assert.equal(await first.end("SIGTERM"), { code: 0, signal: null });
  assert.equal(readdirSync(join(folder, "room-marks")), ["acting.json"]);
  assert.equal(first.stderr, []);
});

test("[Q18] a main thread that does not move, outside of every room, ends the process too, and leaves no mark", async () => {
  const folder = newFolder();
  const first = start(folder, "hangs", { limit: 400 });
  assert.equal(await first.ended, { code: null, signal: "SIGKILL" });
  assert.is(first.stderr.length, 1);
  assert.match(
    first.stderr[0] ?? "",
    /^testudo: node n1 ends: NODE_STUCK: its main thread has not moved for 1200 ms/,
  );
  assert.equal(await marksOf(start(folder, "idles")), []);
});

test("[Q18] signs of life are acts, and turns of the event loop", () => {
  const board = new ActBoard();
  const seen = new Set([board.signsOfLife]);
  for (let turn = 0; turn < 3; turn++) {
    board.beat();
    seen.add(board.signsOfLife);
    board.begin(acting);
    board.end();
    seen.add(board.signsOfLife);
  }
  assert.is(seen.size, 7);
});

test("[Q10] a process that stands still as a whole, for longer than the limit, is not ended when it goes on", async () => {
  const folder = newFolder();
  const file = `${folder}.go`;
  const first = start(folder, "waitsForFile", { file, limit: 3_000 });
  await first.line(/^begun$/);
  process.kill(first.pid, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  writeFileSync(file, "");
  process.kill(first.pid, "SIGCONT");
  await first.line(/^back$/);
  assert.equal(readdirSync(join(folder, "room-marks")), ["acting.json"]);
});

test("[Q10] while a debugger may hold it a process is not ended", async () => {
  const folder = newFolder();
  const file = `${folder}.go`;
  const first = start(folder, "waitsForFile", { file, flags: ["--inspect=127.0.0.1:0"], limit: 300 });
  await first.line(/^begun$/);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  writeFileSync(file, "");
  await first.line(/^back$/);
});

for (const [mode, flags, startsBefore] of [
  // Too sudden for the thread to see: only the start after it writes each act down.
  ["aborts", [], 3],
  ["abortsLate", [], 2],
  ["eats", ["--max-old-space-size=64"], null],
] as const) {
  test(`[Q11, Q12] a process that room code takes with it without a word (${mode}): the next starts find out`, async () => {
    const folder = newFolder();
    let starts = 0;
    for (let marks: RoomMark[] = []; marks.length === 0; starts++) {
      assert.ok(starts < 4, "three starts are enough, however sudden the end is");
      const one = start(folder, mode, { flags, limit: 60_000 });
      marks = await marksOf(one);
      if (marks.length > 0)
        assert.equal(marks, [{ ...mark, why: "2 starts in a row ended while it ran", deaths: 2 }]);
      else assert.is((await one.ended).code === 0, false);
      await one.end();
    }
    if (startsBefore !== null) assert.is(starts - 1, startsBefore);
  });
}

test("[Q11] whoever kills a process, in an act or between two, makes no mark of it: the act comes back the next time", async () => {
  const folder = newFolder();
  for (const mode of ["waitsForFile", "returns", "returns", "waitsForFile", "returns", "idles", "idles"]) {
    const one = start(folder, mode, { file: `${folder}.never`, limit: 60_000 });
    assert.equal(await marksOf(one), [], mode);
    if (mode === "waitsForFile") {
      await one.line(/^begun$/);
      await new Promise((resolve) => setTimeout(resolve, 300));
    } else if (mode === "returns") await one.line(/^back$/);
    await one.end("SIGKILL");
  }
});

test.run();
