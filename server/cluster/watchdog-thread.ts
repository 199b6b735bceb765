/** The thread that looks on while the main thread runs room code, and ends the process if that does not come back. */
import { parentPort, workerData } from "node:worker_threads";
import { describeAct, type RoomMark } from "../session/room-mark.ts";
import { ActBoard, type BoardView } from "./act-board.ts";
import { ActJournal } from "./act-journal.ts";
import { ActJudge } from "./act-judge.ts";
import { writeLastLine } from "./log.ts";
import { MarkFolder } from "./mark-folder.ts";
import { describeError } from "./node-error.ts";

export interface WatchdogThreadData {
  readonly memory: SharedArrayBuffer;
  readonly nodeId: string;
  readonly bootId: string;
  readonly folder: string;
  readonly journal: string;
  readonly limitMs: number;
}

const lookMs = 25;
const longMs = 50;
/** Outside of rooms (a static onAuth, a route) there is nothing to be closed, and slower things have their right. */
const hungLimits = 3;

const { memory, nodeId, bootId, folder, journal: journalPath, limitMs } = workerData as WatchdogThreadData;
const board = new ActBoard(memory);
const judge = new ActJudge({ lookMs, longMs, limitMs });
const hungMs = hungLimits * limitMs;
const hungJudge = new ActJudge({ lookMs, limitMs: hungMs });
const marks = new MarkFolder(folder);
const journal = new ActJournal(journalPath);
journal.open({ isFirst: false });

setInterval(() => {
  const nowMs = performance.now();
  const view = board.isDebugged ? null : board.look();
  const isIdle = view === null && !board.isDebugged;
  if (hungJudge.look(isIdle ? board.signsOfLife : null, nowMs) === "stuck") endHung();
  const judgement = judge.look(view?.number ?? null, nowMs);
  if (judgement === "back") journal.ended();
  else if (view !== null && judgement === "long") journal.acting(view.acting);
  else if (view !== null && judgement === "stuck") end(view);
}, lookMs);
parentPort?.postMessage("looking");

/** Nothing of a room's: another start is the only remedy. */
function endHung(): void {
  const why = `its main thread has not moved for ${hungMs} ms, outside of rooms (a static onAuth, a route, a module of yours)`;
  writeLastLine(`testudo: node ${nodeId} ends: NODE_STUCK: ${why}`);
  process.kill(process.pid, "SIGKILL");
}

/** The main thread hears nothing any more: whatever is to be said and kept is said and kept here. */
function end({ number, acting }: BoardView): void {
  const why = `it did not come back within ${limitMs} ms`;
  const mark: RoomMark = { ...acting, why, deaths: 1 };
  const told = `room ${acting.roomId} of group ${acting.group}, ${describeAct(acting)}: ${why}`;
  try {
    marks.add(mark, { bootId, at: new Date().toISOString() });
  } catch (error) {
    writeLastLine(`testudo: node ${nodeId}: the mark could not be written: ${describeError(error)}`);
  }
  // It may have come back while the mark was on its way to the disk.
  if (!board.isStillActing(number)) return marks.remove(mark);
  writeLastLine(`testudo: node ${nodeId} ends: ROOM_STUCK: ${told}; it will be closed everywhere`);
  process.kill(process.pid, "SIGKILL");
}
