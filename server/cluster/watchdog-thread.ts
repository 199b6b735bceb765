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

const { memory, nodeId, bootId, folder, journal: journalPath, limitMs } = workerData as WatchdogThreadData;
const board = new ActBoard(memory);
const judge = new ActJudge({ lookMs, longMs, limitMs });
const marks = new MarkFolder(folder);
const journal = new ActJournal(journalPath);
journal.open({ isFirst: false });

setInterval(() => {
  const judgement = judge.look(board.isDebugged ? null : board.look(), performance.now());
  switch (judgement.type) {
    case "fine":
      return;
    case "long":
      return journal.acting(judgement.view.acting);
    case "back":
      return journal.ended();
    case "stuck":
      return end(judgement.view);
  }
}, lookMs);
parentPort?.postMessage("looking");

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
