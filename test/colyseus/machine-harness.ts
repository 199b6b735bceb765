/** A session machine without a cluster: commands go in as if they were committed. */
import { defineRoom, getMessageBytes, LocalPresence, matchMaker, Protocol, type Room } from "@colyseus/core";
import { decode, encode } from "@colyseus/schema";
import { pack, unpack } from "msgpackr";
import { ColyseusPrograms } from "../../server/colyseus/colyseus-programs.ts";
import { replicated } from "../../server/colyseus/replicated.ts";
import type { ReplicatedOptions } from "../../server/colyseus/seam.ts";
import { TestudoDriver } from "../../server/colyseus/testudo-driver.ts";
import type { ApplyResult } from "../../server/group/machine.ts";
import { type AuthOutcome, unasked } from "../../server/session/auth-outcome.ts";
import type { DivergenceWatch } from "../../server/session/divergence/divergence-watch.ts";
import type { RoomNotice } from "../../server/session/divergence/odd-rooms.ts";
import type { EffectOutcome } from "../../server/session/effect-outcome.ts";
import { EffectRunner } from "../../server/session/effect-runner.ts";
import type { LiveSocket } from "../../server/session/live-socket.ts";
import type { Quarantine } from "../../server/session/quarantine.ts";
import { RoomMarks } from "../../server/session/room-mark.ts";
import type { RoomActing, RoomWatch } from "../../server/session/room-watch.ts";
import { SessionMachine } from "../../server/session/session-machine.ts";
import { sessionMenu } from "../../server/session/session-menu.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { decodeSequenced, encodeAck, TESTUDO_CODE } from "../../shared/wrapper-protocol.ts";
import { restoreAll } from "../session/restore-all.ts";

// biome-ignore lint/suspicious/noExplicitAny: any room
type AnyRoom = new (...args: any[]) => Room;

let isSetUp = false;

// The stock room prints what hooks and handlers throw; tests look at results.
console.error = () => {};

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
  /** The proposer's start; 1. */
  readonly bootCount?: number;
  readonly command: Uint8Array;
}

export class Replica {
  readonly machine: SessionMachine;
  readonly programs = new ColyseusPrograms();
  readonly sockets = new Map<number, RecordingSocket>();
  readonly warnings: object[] = [];
  readonly notices: RoomNotice[] = [];
  /** What compares the rooms; by default nothing does. */
  divergences: DivergenceWatch | null = null;
  readonly orphans: { roomId: string; sessionId: string; epoch: number }[] = [];
  /** It leads since this term began. */
  leadsTerm: number | null = null;
  /** What it wants to have agreed about effects that it ran. */
  readonly effectsDone: { roomId: string; number: number; outcome: EffectOutcome }[] = [];
  refusesEffects = false;
  readonly effects: EffectRunner;
  /** All that was committed is applied. */
  caughtUp: Promise<void> = Promise.resolve();
  readonly errors: object[] = [];
  readonly acted: RoomActing[] = [];
  readonly nodeId: string;
  readonly marks: RoomMarks;

  constructor(
    nodeId: string,
    bootCount = 1,
    {
      marks = new RoomMarks(),
      watch,
      code = "",
    }: { marks?: RoomMarks; watch?: RoomWatch; code?: string } = {},
  ) {
    this.nodeId = nodeId;
    this.marks = marks;
    this.machine = new SessionMachine({
      group: 0,
      marks,
      watch: watch ?? { begin: (acting) => this.acted.push(acting), end: () => {} },
      nodeId,
      bootCount,
      code,
      programs: this.programs,
      encodeAck,
      log: { warn: (fields) => this.warnings.push(fields), error: (fields) => this.errors.push(fields) },
      leads: (term) => term === this.leadsTerm,
      takeSocket: (attachId) => this.sockets.get(attachId) ?? null,
      orphaned: (roomId, sessionId, epoch) => this.orphans.push({ roomId, sessionId, epoch }),
      effectOpened: (roomId, effect) => this.effects.opened({ group: 0, roomId, effect }),
      roomAdded: () => {},
      roomRemoved: () => {},
      drained: () => {
        this.divergences?.drained();
        this.effects.drained(0);
      },
      isLacking: (nodeId) => this.divergences?.isLacking(nodeId) ?? false,
      heard: (from, body) => this.divergences?.heard(from, body),
      noticed: (notice) => {
        this.notices.push(notice);
        this.divergences?.noticed(notice);
      },
    });
    this.effects = this.#effectRunner();
  }

  /** Proposals are noted, and answered by nobody: whoever wants them agreed puts them into the log. */
  #effectRunner(): EffectRunner {
    return new EffectRunner({
      ...{ nodeId: this.nodeId, machines: [this.machine] },
      groups: () => ({
        lead: () => ({
          leaderId: this.leadsTerm === null ? null : this.nodeId,
          term: this.leadsTerm ?? 0,
        }),
        barrier: () => this.caughtUp,
      }),
      soon: (act) => setImmediate(act),
      propose: (roomId, done) => {
        this.effectsDone.push({ roomId, ...done });
        return this.refusesEffects ? Promise.reject(new Error("OVERLOADED")) : new Promise(() => {});
      },
      log: { warn: (fields) => this.warnings.push(fields) },
    });
  }

  /** The stock room behind a replica. */
  room<R extends Room = Room>(roomId: string): R {
    const replica = this.machine.rooms.get(roomId);
    if (replica === undefined) throw new Error(`${this.nodeId} has no room ${roomId}`);
    return (replica.program as unknown as { room: R }).room;
  }

  hash(roomId: string): string | null {
    return this.machine.rooms.get(roomId)?.program.hash() ?? null;
  }

  apply({ index, logTimeMs, wallTimeMs, nodeId, bootCount = 1, command }: LoggedCommand): ApplyResult {
    const result = this.machine.apply({
      index,
      term: 1,
      logTimeMs,
      wallTimeMs,
      level: 1,
      id: { nodeId, bootCount, sequence: index },
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
    restoreAll(this.machine, checkpoints);
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

  allocate(
    nodeId: string,
    roomId: string,
    roomName: string,
    options: object = {},
    how: { key?: string; fresh?: boolean; exclude?: string | null; code?: string } = {},
  ): LoggedCommand {
    const wish = {
      key: roomName,
      fresh: true,
      exclude: null,
      code: "",
      ...how,
      roomId,
      roomName,
      options,
      seed: new Uint8Array(12).fill(7),
    };
    return this.next(nodeId, "allocate", wish, "directory");
  }

  forget(nodeId: string, roomId: string): LoggedCommand {
    return this.next(nodeId, "forget", { roomId }, "directory");
  }

  reserve(
    nodeId: string,
    roomId: string,
    sessionId: string,
    options: object = {},
    { auth = null, seconds = 15 }: { auth?: unknown; seconds?: number } = {},
  ): LoggedCommand {
    return this.next(nodeId, "reserve", { roomId, sessionId, options, auth, seconds }, roomId);
  }

  call(nodeId: string, roomId: string, method: string, ...data: unknown[]): LoggedCommand {
    return this.next(nodeId, "call", { roomId, method, data }, roomId);
  }

  effectDone(nodeId: string, roomId: string, number: number, outcome: EffectOutcome): LoggedCommand {
    return this.next(nodeId, "effectDone", { roomId, number, outcome }, roomId);
  }

  quarantine(nodeId: string, quarantine: Partial<Quarantine> & { roomId: string }): LoggedCommand {
    const why = "its code did not come back";
    return this.next(nodeId, "quarantine", { act: "apply", index: 1, why, deaths: 1, ...quarantine });
  }

  nodeLost(nodeId: string, lostNodeId: string, bootCountMax = 1): LoggedCommand {
    return this.next(nodeId, "nodeLost", { nodeId: lostNodeId, bootCountMax });
  }

  /** By a leader of `term`; the machines take it all for the log of term 1. */
  nodeMissing(nodeId: string, missingId: string, appliedAtMost: number, { bootCountMax = 1, term = 1 } = {}) {
    return this.next(nodeId, "nodeMissing", { nodeId: missingId, bootCountMax, appliedAtMost, term });
  }

  nodeFound(nodeId: string, bootCount = 1): LoggedCommand {
    return this.next(nodeId, "nodeFound", { nodeId, bootCount });
  }

  attach(
    nodeId: string,
    roomId: string,
    sessionId: string,
    fields: {
      attachId: number;
      token: string;
      presentedToken?: string | null;
      wrapper?: boolean;
      auth?: AuthOutcome;
      received?: number | null;
    },
  ): LoggedCommand {
    return this.next(
      nodeId,
      "attach",
      {
        ...{ roomId, sessionId, skipHandshake: false, wrapper: false, presentedToken: null, auth: unasked },
        received: null,
        ...fields,
      },
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
  return Uint8Array.of(Protocol.JOIN_ROOM);
}

export function leaveFrame(): Uint8Array {
  return Uint8Array.of(Protocol.LEAVE_ROOM);
}

export function messageFrame(type: string, payload?: unknown): Uint8Array {
  return Uint8Array.from(getMessageBytes.raw(Protocol.ROOM_DATA, type, payload));
}

export function bytesFrame(type: string, bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(getMessageBytes.raw(Protocol.ROOM_DATA_BYTES, type, undefined, bytes));
}

export function requestFrame(requestId: number, type: string, payload?: unknown): Uint8Array {
  const bytes = Buffer.alloc(1024);
  const it = { offset: 0 };
  bytes[it.offset++] = Protocol.ROOM_REQUEST;
  encode.number(bytes, requestId, it);
  encode.string(bytes, type, it);
  const head = bytes.subarray(0, it.offset);
  return Uint8Array.from(payload === undefined ? head : Buffer.concat([head, pack(payload)]));
}

/** What a client reads of a frame: messages by type, replies by request id, everything else by its code. */
export type ReadFrame =
  | { readonly type: "message"; readonly name: string | number; readonly payload: unknown }
  | { readonly type: "reply"; readonly id: number; readonly status: number; readonly payload: unknown }
  | { readonly type: "error"; readonly code: number; readonly message: string }
  | { readonly type: "ack"; readonly sequence: number }
  | { readonly type: "joined"; readonly token: string }
  | { readonly type: "other"; readonly code: number };

export function readFrame(frame: Uint8Array): ReadFrame {
  const it = { offset: 1 };
  const payload = () =>
    frame.length > it.offset ? (unpack(frame.subarray(it.offset)) as unknown) : undefined;
  switch (frame[0]) {
    case Protocol.ROOM_DATA: {
      const isText = decode.stringCheck(frame, it);
      const name = isText ? decode.string(frame, it) : decode.number(frame, it);
      return { type: "message", name, payload: payload() };
    }
    case Protocol.ROOM_RESPONSE: {
      const id = decode.number(frame, it);
      const status = frame[it.offset++] ?? -1;
      return { type: "reply", id, status, payload: payload() };
    }
    case Protocol.ERROR:
      return { type: "error", code: decode.number(frame, it), message: decode.string(frame, it) };
    case Protocol.JOIN_ROOM: {
      const length = frame[it.offset++] ?? 0;
      return { type: "joined", token: Buffer.from(frame.subarray(it.offset, it.offset + length)).toString() };
    }
    case TESTUDO_CODE:
      return { type: "ack", sequence: decodeSequenced(frame)?.sequence ?? -1 };
    default:
      return { type: "other", code: frame[0] ?? -1 };
  }
}
