import { encodeAck } from "../../shared/wrapper-protocol.ts";
import { ColyseusPrograms } from "../colyseus/colyseus-programs.ts";
import type { AppliedCommand } from "../group/machine.ts";
import { savedDifference } from "../session/divergence/room-difference.ts";
import { GraphError, type GraphProblem } from "../session/graph/graph-error.ts";
import type { LiveSocket } from "../session/live-socket.ts";
import { RoomMarks } from "../session/room-mark.ts";
import type { RoomEnvironment, RoomPrograms } from "../session/room-program.ts";
import type { RoomReplica } from "../session/room-replica.ts";
import { noRoomWatch } from "../session/room-watch.ts";
import { hashOfPicture } from "../session/saved-room.ts";
import { SessionMachine } from "../session/session-machine.ts";

/** What room code threw or rejected with, or what it was refused. */
export interface RoomFailure {
  readonly where: string;
  readonly message: string;
  /** Where in the room's code, if that is known. */
  readonly at: string | null;
}

/** A room as it was at one moment, to be compared with another replica's. */
export interface Standpoint {
  /** Null: there is no room. */
  readonly hash: string | null;
  /** As `RoomReplica.picture`; null: there is no room, or it holds what cannot be saved. */
  readonly picture: Uint8Array | null;
  /** Why it cannot be saved; null: it can. */
  readonly why: string | null;
}

class CheckSocket implements LiveSocket {
  frames: Uint8Array[] = [];
  isOpen = true;
  send(frame: Uint8Array): void {
    this.frames.push(Uint8Array.from(frame));
  }
  close(): void {
    this.isOpen = false;
  }
}

/** One replica without a cluster: a session machine that is given commands as if they were committed. */
export class CheckMachine {
  readonly roomId: string;
  readonly #machine: SessionMachine;
  readonly #programs = new ColyseusPrograms();
  readonly #sockets = new Map<number, CheckSocket>();
  #failures: RoomFailure[] = [];
  #notes: string[] = [];
  /** What onCreate threw, or what the check right after it did. */
  creationError: unknown = null;

  /**
   * @param nodeId whose replica it is: attachments of this node's have a socket here
   * @param code the version of the game's code that rooms are made under
   */
  constructor(roomId: string, { nodeId = "n1", code = "" } = {}) {
    this.roomId = roomId;
    const told = (fields: object, message: string) => {
      const { where, error, at = null, event } = fields as { [name: string]: string | undefined };
      if (event === "secret-in-room") this.#notes.push(message);
      if (where !== undefined && error !== undefined) this.#failures.push({ where, message: error, at });
    };
    this.#machine = new SessionMachine({
      group: 0,
      nodeId,
      bootCount: 1,
      code,
      marks: new RoomMarks(),
      watch: noRoomWatch,
      programs: this.#watchedPrograms(),
      encodeAck,
      log: { warn: told, error: told },
      pictureDifference: savedDifference,
      // What a room does on the leader's node only is not for a check to do.
      leads: () => false,
      takeSocket: (attachId) => this.#socket(attachId),
      orphaned: () => {},
      effectOpened: () => {},
      roomAdded: () => {},
      roomRemoved: () => {},
      drained: () => {},
      heard: () => {},
      noticed: () => {},
      isLacking: () => false,
    });
  }

  #watchedPrograms(): RoomPrograms {
    return {
      create: async (environment: RoomEnvironment) => {
        try {
          return await this.#programs.create(environment);
        } catch (error) {
          this.creationError = error;
          throw error;
        }
      },
      restore: (environment, saved, seats) => this.#programs.restore(environment, saved, seats),
    };
  }

  /** To be called from a macrotask. @returns the command's value */
  apply(command: AppliedCommand): unknown {
    const result = this.#machine.apply(command);
    this.#machine.drained();
    if (result.type === "gap") throw new Error("a check's command came out of order");
    return result.value;
  }

  /** Log time; null: no tick is due. */
  nextTickMs(): number | null {
    return this.#machine.nextTickMs();
  }

  get replica(): RoomReplica | undefined {
    return this.#machine.rooms.get(this.roomId);
  }

  /** The stock room, for who looks at what it has registered. */
  get room(): object | null {
    return (this.replica?.program as { room?: object } | undefined)?.room ?? null;
  }

  standpoint(): Standpoint {
    const { replica } = this;
    if (replica === undefined) return { hash: null, picture: null, why: null };
    try {
      const picture = replica.picture();
      return { hash: hashOfPicture(picture), picture, why: null };
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      return { hash: "unsavable", picture: null, why: error.message };
    }
  }

  /** What the room holds that cannot be saved. */
  problems(): readonly GraphProblem[] {
    const program = this.replica?.program as { checkSavable?: () => void } | undefined;
    try {
      program?.checkSavable?.();
      return [];
    } catch (error) {
      return problemsOf(error);
    }
  }

  /** The room as it would be saved now; null: it is not at rest. */
  save(): Uint8Array | null {
    return this.replica?.save() ?? null;
  }

  /** Puts a replica that begins from a checkpoint in the place of the one that wrote it. @throws what keeps it from life */
  bringBack(bytes: Uint8Array, index: number): void {
    const directory = this.#machine.save("");
    this.#machine.beginRestore();
    if (directory !== null && directory !== "deleted") this.#machine.restorePart("", directory);
    this.#machine.restorePart(this.roomId, { index, bytes });
    this.#machine.endRestore();
  }

  takeFailures(): RoomFailure[] {
    const failures = this.#failures;
    this.#failures = [];
    return failures;
  }

  /** What is told of the room's code, and is no failure. */
  takeNotes(): readonly string[] {
    const notes = this.#notes;
    this.#notes = [];
    return notes;
  }

  /** What its players have been sent since the last call, by attachment. */
  takeFrames(): ReadonlyMap<number, readonly Uint8Array[]> {
    const frames = new Map<number, readonly Uint8Array[]>();
    for (const [attachId, socket] of this.#sockets) {
      frames.set(attachId, socket.frames);
      socket.frames = [];
    }
    return frames;
  }

  /** Without a word to room code. */
  discard(): void {
    this.#machine.beginRestore();
    this.#machine.endRestore();
  }

  #socket(attachId: number): CheckSocket {
    const socket = new CheckSocket();
    this.#sockets.set(attachId, socket);
    return socket;
  }
}

export function problemsOf(error: unknown): readonly GraphProblem[] {
  return error instanceof GraphError ? (error.data.problems ?? []) : [];
}
