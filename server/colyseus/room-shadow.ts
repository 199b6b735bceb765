import { matchMaker, RegisteredHandler } from "@colyseus/core";
import { savedDifference } from "../session/divergence/room-difference.ts";
import { failureWords } from "../session/failure.ts";
import { hashSaved } from "../session/graph/graph.ts";
import type { RoomHost } from "../session/room-host.ts";
import { RoomReplica } from "../session/room-replica.ts";
import { packRoom, roomHash, type SavedRoom, unpackRoom } from "../session/saved-room.ts";
import { ColyseusPrograms } from "./colyseus-programs.ts";

const remedy =
  "a node that starts from it would go on with another room: onCreate must make again whatever the checkpoint leaves out (transient fields, timers, handlers), and nothing that module globals decide; `testudo check` runs the room on, and also finds locals that a handler's closure has captured";

const silent = Object.freeze({ warn: () => {}, error: () => {} });

/**
 * Brings each checkpoint that is taken back to life, beside the room that it was taken of, and compares the two at once (design
 * 5.5, "shadow restore"). It costs what a restore costs, on the thread that serves the room: for development. What shows only
 * as the room runs on, as a captured local, it cannot see.
 */
export class RoomShadow {
  readonly #host: RoomHost;
  readonly #log: RoomHost["log"];
  /** What was told of each room last: its next checkpoint as a rule has the same. */
  readonly #told = new WeakMap<RoomReplica, string>();

  constructor({ nodeId, log }: Pick<RoomHost, "nodeId" | "log">) {
    this.#log = log;
    this.#host = {
      nodeId,
      bootCount: 0,
      code: "",
      programs: new ColyseusPrograms(),
      isPrimary: () => false,
      holdsBack: () => false,
      takeSocket: () => null,
      orphaned: () => {},
      effectOpened: () => {},
      log: silent,
    };
  }

  /** To be called from a macrotask, when nothing is being applied. */
  compare(replica: RoomReplica, checkpoint: Uint8Array): void {
    const difference = this.#difference(checkpoint);
    if (difference === null || this.#told.get(replica) === difference) return;
    this.#told.set(replica, difference);
    const { roomId, roomName } = replica.birth;
    this.#log.error(
      { event: "checkpoint-differs", roomId, room: roomName, index: replica.index, difference },
      `the checkpoint of room ${roomName} ${roomId} does not bring it back as it is: ${difference}; ${remedy}`,
    );
  }

  /** Why this process's code cannot bring a checkpoint back to life; null: it can. */
  failure(checkpoint: Uint8Array): string | null {
    const saved = unpackRoom(checkpoint);
    const { birth } = saved;
    const bytes = packRoom({ ...saved, birth: { ...birth, roomId: `${birth.roomId}~shadow` } });
    try {
      return unheard(birth.roomName, () => {
        RoomReplica.restore(this.#host, bytes).discard();
        return null;
      });
    } catch (error) {
      return failureWords(error);
    }
  }

  /** In words; null: the room that comes back is the one that was saved. */
  #difference(checkpoint: Uint8Array): string | null {
    const saved = unpackRoom(checkpoint);
    const { birth } = saved;
    // Colyseus's books are by room id: the room itself must stay in them.
    const bytes = packRoom({ ...saved, birth: { ...birth, roomId: `${birth.roomId}~shadow` } });
    return unheard(birth.roomName, () => {
      let shadow: RoomReplica;
      try {
        shadow = RoomReplica.restore(this.#host, bytes);
      } catch (error) {
        return `it cannot be brought back to life: ${failureWords(error)}`;
      }
      try {
        const picture = shadow.picture();
        if (hashOf(unpackRoom(picture)) === hashOf(saved)) return null;
        return savedDifference(picture, checkpoint) ?? "alike in all but its hash";
      } finally {
        shadow.discard();
      }
    });
  }
}

function hashOf(saved: SavedRoom): string {
  return roomHash(hashSaved(saved.program), saved);
}

/** Nobody who listens to the rooms of this name hears of one that comes and goes within `act`. */
function unheard<T>(roomName: string, act: () => T): T {
  const handler = matchMaker.getHandler(roomName);
  const { klass, options, name, filterOptions } = handler;
  matchMaker.addRoomType(Object.assign(new RegisteredHandler(klass, options), { name, filterOptions }));
  try {
    return act();
  } finally {
    matchMaker.addRoomType(handler);
  }
}
