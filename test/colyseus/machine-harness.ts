/** A session machine without a cluster: commands go in as if they were committed. */
import { defineRoom, LocalPresence, matchMaker, type Room } from "@colyseus/core";
import { ColyseusPrograms } from "../../server/colyseus/colyseus-programs.ts";
import { replicated } from "../../server/colyseus/replicated.ts";
import type { ReplicatedOptions } from "../../server/colyseus/seam.ts";
import { TestudoDriver } from "../../server/colyseus/testudo-driver.ts";
import type { ApplyResult } from "../../server/group/machine.ts";
import type { LiveSocket } from "../../server/session/live-socket.ts";
import { SessionMachine } from "../../server/session/session-machine.ts";
import { sessionMenu } from "../../server/session/session-menu.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { encodeAck } from "../../shared/wrapper-protocol.ts";

// biome-ignore lint/suspicious/noExplicitAny: any room
type AnyRoom = new (...args: any[]) => Room;

let isSetUp = false;

/** Registers a room class under `name`, replicated. */
export async function defineTestRoom(
  name: string,
  roomClass: AnyRoom,
  options: ReplicatedOptions = {},
): Promise<void> {
  if (!isSetUp) {
    isSetUp = true;
    await matchMaker.setup(new LocalPresence(), new TestudoDriver(new ColyseusPrograms().listings), "");
  }
  const handler = defineRoom(replicated(roomClass, options));
  handler.name = name;
  matchMaker.addRoomType(handler);
}

/** Machines are called from macrotasks only, as in the product. */
export function inMacrotask<T>(act: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(act());
      } catch (error) {
        reject(error);
      }
    });
  });
}

export class RecordingSocket implements LiveSocket {
  readonly frames: Uint8Array[] = [];
  closed: { code: number; reason: string } | null = null;
  get isOpen(): boolean {
    return this.closed === null;
  }
  send(frame: Uint8Array): void {
    this.frames.push(Uint8Array.from(frame));
  }
  close(code: number, reason: string): void {
    this.closed ??= { code, reason };
  }
}

/** One command as the log has it: to be given to several replicas. */
export interface LoggedCommand {
  readonly index: number;
  readonly logTimeMs: number;
  readonly wallTimeMs: number;
  readonly nodeId: string;
  readonly command: Uint8Array;
}

export class Replica {
  readonly machine: SessionMachine;
  readonly programs = new ColyseusPrograms();
  readonly sockets = new Map<number, RecordingSocket>();
  readonly warnings: object[] = [];
  readonly nodeId: string;

  constructor(nodeId: string) {
    this.nodeId = nodeId;
    this.machine = new SessionMachine({
      nodeId,
      bootCount: 1,
      programs: this.programs,
      encodeAck,
      log: { warn: (fields) => this.warnings.push(fields) },
      takeSocket: (attachId) => this.sockets.get(attachId) ?? null,
      orphaned: () => {},
      roomAdded: () => {},
      roomRemoved: () => {},
    });
  }

  apply({ index, logTimeMs, wallTimeMs, nodeId, command }: LoggedCommand): ApplyResult {
    const result = this.machine.apply({
      index,
      term: 1,
      logTimeMs,
      wallTimeMs,
      id: { nodeId, bootCount: 1, sequence: index },
      command,
    });
    this.machine.drained();
    return result;
  }

  value(logged: LoggedCommand): unknown {
    const result = this.apply(logged);
    if (result.type !== "done") throw new Error("gap");
    return result.value;
  }

  /** All parts at rest, as checkpoints; null for a part that is not. */
  save(): Map<string, Checkpoint | null> {
    const saved = new Map<string, Checkpoint | null>();
    for (const key of ["", ...this.machine.rooms.keys()]) {
      const checkpoint = this.machine.save(key);
      if (checkpoint !== "deleted") saved.set(key, checkpoint);
    }
    return saved;
  }

  restore(checkpoints: ReadonlyMap<string, Checkpoint>): this {
    this.machine.restore(checkpoints);
    return this;
  }
}

/** Writes a log: gives each command its index, stamps and the proposer's numbers. */
export class LogWriter {
  index = 0;
  logTimeMs = 1000;
  readonly #sequences = new Map<string, number>();

  next<N extends keyof typeof sessionMenu.commands>(
    nodeId: string,
    name: N,
    argument: object | null,
    stream?: string,
  ): LoggedCommand {
    this.index++;
    const numbered =
      stream === undefined ? argument : { ...argument, sequence: this.#sequence(`${nodeId} ${stream}`) };
    return {
      index: this.index,
      logTimeMs: this.logTimeMs,
      wallTimeMs: 1_700_000_000_000 + this.logTimeMs,
      nodeId,
      command: sessionMenu.encode(name, numbered as never),
    };
  }

  #sequence(stream: string): number {
    const sequence = (this.#sequences.get(stream) ?? 0) + 1;
    this.#sequences.set(stream, sequence);
    return sequence;
  }

  allocate(nodeId: string, roomId: string, roomName: string, options: object = {}): LoggedCommand {
    const wish = {
      key: roomName,
      fresh: true,
      exclude: null,
      roomId,
      roomName,
      options,
      seed: new Uint8Array(12).fill(7),
    };
    return this.next(nodeId, "allocate", wish, "directory");
  }

  reserve(nodeId: string, roomId: string, sessionId: string, options: object = {}): LoggedCommand {
    return this.next(nodeId, "reserve", { roomId, sessionId, options, auth: null, seconds: 15 }, roomId);
  }

  attach(
    nodeId: string,
    roomId: string,
    sessionId: string,
    fields: { attachId: number; token: string; presentedToken?: string | null; wrapper?: boolean },
  ): LoggedCommand {
    return this.next(
      nodeId,
      "attach",
      { roomId, sessionId, skipHandshake: false, wrapper: false, presentedToken: null, ...fields },
      roomId,
    );
  }

  detach(nodeId: string, roomId: string, sessionId: string, epoch: number, code = 1006): LoggedCommand {
    return this.next(nodeId, "detach", { roomId, sessionId, epoch, code }, roomId);
  }

  message(
    nodeId: string,
    fields: {
      roomId: string;
      sessionId: string;
      epoch: number;
      stream: "epoch" | "client";
      sequence: number;
      frame: Uint8Array;
    },
  ): LoggedCommand {
    return this.next(nodeId, "message", fields);
  }

  tick(nodeId: string, ms: number): LoggedCommand {
    this.logTimeMs += ms;
    return this.next(nodeId, "tick", null);
  }
}

/** Client frames of Colyseus's protocol. */
export function joinAck(): Uint8Array {
  return Uint8Array.of(10);
}
