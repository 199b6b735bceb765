import { setTimeout } from "node:timers/promises";
import type { HandedDisk, HandedGroup } from "../cluster/handed-disk.ts";
import { RoomDirectory } from "../session/room-directory.ts";
import { unpackStub } from "../session/room-stub.ts";
import type { SessionMachine } from "../session/session-machine.ts";
import type { Checkpoint } from "../storage/storage.ts";
import type { RoomShadow } from "./room-shadow.ts";

/** A room that cannot go on in the next process. */
export interface LostRoom {
  readonly roomId: string;
  readonly roomName: string;
  readonly why: string;
}

/** The group's own part of a group's checkpoints. */
const directoryKey = "";

const restMsMax = 2_000;
const lookEveryMs = 20;

const notAtRest =
  "it was not at rest within 2 s (an open await, an unanswered effect, a one-off closure of its clock: clock.setTimeout(this.method, …) can be saved)";

/** Resolves once no room waits for anything, and after `restMsMax` at the latest: a handler may be waiting for its effect. */
export async function untilAtRest(machines: readonly SessionMachine[]): Promise<void> {
  const isRestless = (machine: SessionMachine) =>
    [...machine.servingRooms()].some((replica) => replica.restlessBecause() !== null);
  const untilMs = performance.now() + restMsMax;
  while (machines.some(isRestless) && performance.now() < untilMs) await setTimeout(lookEveryMs);
}

/** Each room as it is now: what stands in the log up to here is not run again. One that is not at rest is left out. */
export function checkpointsOf(machines: readonly SessionMachine[]): Map<number, Map<string, Checkpoint>> {
  return new Map(
    [...machines.entries()].map(([group, machine]) => {
      const keys = [directoryKey, ...machine.rooms.keys()];
      const saved = keys.flatMap((key) => {
        const checkpoint = machine.save(key);
        if (checkpoint === null || checkpoint === "deleted") return [];
        const isWhole = key === directoryKey || unpackStub(checkpoint.bytes) === null;
        return isWhole ? [[key, checkpoint] as const] : [];
      });
      return [group, new Map(saved)] as const;
    }),
  );
}

/** The rooms of `handed` that this process's code can bring back; the others are forgotten, and named. */
export function withoutLostRooms(
  handed: HandedDisk,
  shadow: RoomShadow,
): { readonly kept: HandedDisk; readonly lost: readonly LostRoom[] } {
  const lost: LostRoom[] = [];
  const groups = new Map<number, HandedGroup>();
  for (const [group, contents] of handed.groups) groups.set(group, keepRooms(contents, shadow, lost));
  return { kept: { ...handed, groups }, lost };
}

function keepRooms(contents: HandedGroup, shadow: RoomShadow, lost: LostRoom[]): HandedGroup {
  const checkpoints = new Map(contents.checkpoints);
  const own = checkpoints.get(directoryKey);
  // The keeper's group has no rooms, and its parts have names.
  if (own === undefined) return contents;
  const directory = new RoomDirectory(own.bytes);
  for (const roomId of [...directory.roomsMadeBy(own.index)]) {
    const room = checkpoints.get(roomId);
    const why = room === undefined ? notAtRest : shadow.failure(room.bytes);
    if (why === null) continue;
    lost.push({ roomId, roomName: directory.nameOf(roomId) ?? "", why });
    directory.forget(roomId);
    checkpoints.delete(roomId);
  }
  checkpoints.set(directoryKey, { index: own.index, bytes: directory.save() });
  return { ...contents, checkpoints };
}
