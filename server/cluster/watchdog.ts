import assert from "node:assert/strict";
import { once } from "node:events";
import inspector from "node:inspector";
import { extname, join } from "node:path";
import { Worker } from "node:worker_threads";
import type { RoomMark } from "../session/room-mark.ts";
import type { RoomActing, RoomWatch } from "../session/room-watch.ts";
import { ActBoard } from "./act-board.ts";
import { ActJournal } from "./act-journal.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { MarkFolder } from "./mark-folder.ts";
import { SlowRooms } from "./slow-rooms.ts";
import { deathsMax, Suspicions } from "./suspicions.ts";
import type { WatchdogThreadData } from "./watchdog-thread.ts";

/** Watches room code, and knows from start to start what could not be got past (design 5.4). */
export interface NodeWatchdog extends RoomWatch {
  /**
   * Once, when the data folder is this process's.
   * @throws NodeError ROOM_MARK_GARBLED, ROOM_MARKS_TOO_MANY
   */
  open(start: { readonly bootId: string }): Promise<void>;
  /** What earlier starts could not get past. Only after `open`. */
  readonly found: readonly RoomMark[];
  /** No later start finds the mark. */
  remove(mark: RoomMark): void;
  /** The start ends as it should: whatever room code it was in the middle of is beyond suspicion. */
  close(): Promise<void>;
}

export interface WatchdogOptions {
  readonly nodeId: string;
  /** The node's data folder. */
  readonly data: string;
  /** A room's code that has not come back by then ends the process. */
  readonly limitMs: number;
  readonly clock: Clock;
  /** Read twice for every command: nothing but the one number. */
  readonly monotonicMs: () => number;
  readonly log: Log;
}

/** For so long after an unclean end each act is written down before it begins: whatever is the next end's cause has a name. */
export const carefulMs = 60_000;
const beatMs = 500;

/** A thread that looks on, and a few files in the node's data folder. */
export class Watchdog implements NodeWatchdog {
  readonly #options: WatchdogOptions;
  readonly #board = new ActBoard();
  readonly #marks: MarkFolder;
  readonly #journal: ActJournal;
  readonly #suspicions: Suspicions;
  readonly #slow: SlowRooms;
  readonly #cancels = new Set<() => void>();
  #found: readonly RoomMark[] = [];
  #thread: Worker | null = null;
  #isCareful = false;
  #acting: RoomActing | null = null;
  #begunMs = 0;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    const folder = join(options.data, "room-marks");
    this.#marks = new MarkFolder(folder);
    this.#journal = new ActJournal(join(folder, "acting.json"));
    this.#suspicions = new Suspicions(join(folder, "suspicions.json"));
    this.#slow = new SlowRooms((fields, message) => options.log.warn(fields, message));
  }

  get found(): readonly RoomMark[] {
    return this.#found;
  }

  async open({ bootId }: { readonly bootId: string }): Promise<void> {
    const { log } = this.#options;
    const marks = this.#marks.open();
    const wasReadable = this.#suspicions.open();
    const earlier = this.#journal.read();
    if (!wasReadable || earlier.type === "unreadable") {
      log.warn(
        { folder: this.#marks.path },
        "what the last start was doing when it ended cannot be read: no room is suspected",
      );
    }
    if (earlier.type === "unclean" && earlier.during !== null) {
      const mark = this.#convict(earlier.during, marks, bootId);
      if (mark !== null) marks.push(mark);
    }
    this.#journal.open({ isFirst: true });
    this.#isCareful = earlier.type === "unclean" || earlier.type === "unreadable";
    if (this.#isCareful) {
      log.info(
        { event: "careful", carefulMs },
        "the last start did not end as it should: this one is careful",
      );
      this.#later(carefulMs, () => {
        this.#isCareful = false;
      });
    }
    await this.#startThread(bootId);
    this.#beat();
    this.#found = marks;
  }

  /** Null: once is nothing yet, or there is a mark already. */
  #convict(during: RoomActing, marks: readonly RoomMark[], bootId: string): RoomMark | null {
    const { group, roomId, act, index } = during;
    if (marks.some((mark) => mark.roomId === roomId)) return null;
    const deaths = this.#suspicions.died(during);
    this.#options.log.warn(
      { event: "room-suspected", group, roomId, act, index, deaths },
      `the last start ended without a word while it ran code of room ${roomId}`,
    );
    if (deaths < deathsMax) return null;
    const mark = { ...during, why: `${deaths} starts in a row ended while it ran`, deaths };
    this.#marks.add(mark, { bootId, at: new Date(this.#options.clock.now().wallMs).toISOString() });
    return mark;
  }

  async #startThread(bootId: string): Promise<void> {
    const { nodeId, limitMs } = this.#options;
    const workerData: WatchdogThreadData = {
      memory: this.#board.memory,
      ...{ nodeId, bootId, limitMs },
      folder: this.#marks.path,
      journal: join(this.#marks.path, "acting.json"),
    };
    // Without the preload, which is for the thread of the rooms.
    const file = new URL(`./watchdog-thread${extname(import.meta.filename)}`, import.meta.url);
    const thread = new Worker(file, { workerData, execArgv: [] });
    this.#thread = thread;
    await once(thread, "message");
    thread.unref();
    // A node that nobody watches does not go on.
    const ended = (why: unknown) => {
      if (this.#thread === thread)
        throw new Error("the thread that watches room code has ended", { cause: why });
    };
    thread.on("error", ended);
    thread.on("exit", ended);
  }

  #beat(): void {
    this.#board.beat();
    this.#board.isDebugged = inspector.url() !== undefined;
    this.#later(beatMs, () => this.#beat());
  }

  #later(ms: number, act: () => void): void {
    const cancel = this.#options.clock.setTimer(() => {
      this.#cancels.delete(cancel);
      act();
    }, ms);
    this.#cancels.add(cancel);
  }

  begin(acting: RoomActing): void {
    assert(this.#acting === null, "one room at a time");
    this.#acting = acting;
    if (this.#isCareful) this.#journal.acting(acting);
    this.#begunMs = this.#options.monotonicMs();
    this.#board.begin(acting);
  }

  end(): void {
    this.#board.end();
    const acting = this.#acting;
    assert(acting !== null, "what has not begun does not end");
    this.#acting = null;
    const nowMs = this.#options.monotonicMs();
    this.#slow.took(acting, nowMs - this.#begunMs, nowMs);
    if (this.#isCareful) this.#journal.ended();
    if (!this.#suspicions.isEmpty) this.#suspicions.passed(acting);
  }

  remove(mark: RoomMark): void {
    this.#marks.remove(mark);
  }

  async close(): Promise<void> {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
    const thread = this.#thread;
    if (thread === null) return;
    this.#thread = null;
    await thread.terminate();
    this.#journal.close();
    this.#suspicions.clear();
  }
}
