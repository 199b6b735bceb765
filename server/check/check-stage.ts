import {
  defineRoom,
  LocalPresence,
  type MatchMakerDriver,
  matchMaker,
  type Presence,
  type Room,
} from "@colyseus/core";
import { ColyseusPrograms } from "../colyseus/colyseus-programs.ts";
import { isReplicated, replicated } from "../colyseus/replicated.ts";
import type { ReplicatedOptions } from "../colyseus/seam.ts";
import { TestudoDriver } from "../colyseus/testudo-driver.ts";
import { failurePlace } from "../session/failure.ts";
import { reportInWorld } from "../session/sandbox.ts";

// biome-ignore lint/suspicious/noExplicitAny: any room
export type AnyRoomClass = new (...args: any[]) => Room;

export interface StagedRoom {
  readonly roomClass: AnyRoomClass;
  readonly roomName: string;
  readonly declared: ReplicatedOptions;
  /** What `defineRoom(Room, options)` was given. */
  readonly defaultOptions?: unknown;
}

/** What happened on the stage that no replica tells. */
export interface StageWatch {
  /** Where onCreate failed, as `file:line`. */
  creationPlace: string | null;
  /** Changes that were made when no command was being applied. */
  readonly outside: string[];
}

/** One check at a time: rooms, drivers and handlers are the process's. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs `act` with the room class registered, replicated, under its name; whatever was there before is put back.
 * @throws SessionError NOT_SUPPORTED, from `replicated()`
 */
export async function onStage<T>(room: StagedRoom, act: (watch: StageWatch) => Promise<T>): Promise<T> {
  const turn = last.then(() => stage(room, act));
  last = turn.catch(() => {});
  return await turn;
}

async function stage<T>(
  { roomClass, roomName, declared, defaultOptions }: StagedRoom,
  act: (watch: StageWatch) => Promise<T>,
): Promise<T> {
  const staged = isReplicated(roomClass) ? roomClass : replicated(roomClass, declared);
  const watch: StageWatch = { creationPlace: null, outside: [] };
  const unwatch = watchCreation(staged, watch);
  const rejected = (error: unknown) => {
    if (reportInWorld(error)) return;
    if ((error as { code?: unknown } | null)?.code !== "MUTATION_OUTSIDE_LOG") throw error;
    watch.outside.push((error as Error).message);
  };
  process.on("unhandledRejection", rejected);
  const resetMatchmaker = await setMatchmaker();
  const handlers = matchMaker.getAllHandlers() as Record<string, unknown>;
  const before = handlers[roomName];
  const handler = defineRoom(staged, defaultOptions as never);
  handler.name = roomName;
  matchMaker.addRoomType(handler);
  try {
    return await act(watch);
  } finally {
    matchMaker.removeRoomType(roomName);
    if (before !== undefined) matchMaker.addRoomType(before as never);
    await resetMatchmaker();
    process.off("unhandledRejection", rejected);
    unwatch();
  }
}

/** The stock matchmaker keeps only the words of what onCreate throws. */
function watchCreation(staged: AnyRoomClass, watch: StageWatch): () => void {
  const prototype = staged.prototype as { onCreate?: (...args: unknown[]) => unknown };
  const own = Object.getOwnPropertyDescriptor(prototype, "onCreate");
  const { onCreate } = prototype;
  if (onCreate === undefined) return () => {};
  const failed = (error: unknown) => {
    watch.creationPlace = failurePlace(error);
  };
  prototype.onCreate = function (this: unknown, ...args: unknown[]) {
    try {
      const created = onCreate.apply(this, args);
      if (created instanceof Promise) created.then(undefined, failed);
      return created;
    } catch (error) {
      failed(error);
      throw error;
    }
  };
  return () => {
    if (own === undefined) Reflect.deleteProperty(prototype, "onCreate");
    else Object.defineProperty(prototype, "onCreate", own);
  };
}

/** Whether the server's own is one that all nodes share is not for the stage to say: see RoomVerdict. */
class StagePresence extends LocalPresence {
  readonly shared = true;
}

/** Several replicas of one room in a process: each has to find its own listings. */
async function setMatchmaker(): Promise<() => Promise<void>> {
  const { driver, presence } = matchMaker as { driver?: MatchMakerDriver; presence?: Presence };
  if (driver instanceof TestudoDriver) return async () => {};
  await matchMaker.setup(new StagePresence(), new TestudoDriver(new ColyseusPrograms().listings), "");
  return async () => {
    if (driver !== undefined) await matchMaker.setup(presence, driver);
  };
}
