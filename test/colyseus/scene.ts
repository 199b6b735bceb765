/** Several replicas of one group, and the players of one room: every command goes to all of them, as committed. */
import { Protocol, type Room } from "@colyseus/core";
import type { ApplyResult } from "../../server/group/machine.ts";
import { type AuthOutcome, unasked } from "../../server/session/auth-outcome.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import type { Seat } from "../../server/session/seat.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { decodeResumption, decodeSequenced } from "../../shared/wrapper-protocol.ts";
import {
  joinAck,
  type LoggedCommand,
  LogWriter,
  messageFrame,
  type ReadFrame,
  RecordingSocket,
  Replica,
  readFrame,
  requestFrame,
} from "./machine-harness.ts";

let scenes = 0;

/** Room ids are the process's: two scenes must not share one. */
function newRoomId(): string {
  return `scene${String(++scenes).padStart(4, "0")}`;
}

const messageCodes: readonly number[] = [Protocol.ROOM_DATA, Protocol.ROOM_DATA_BYTES];

function resumptionOf(frame: Uint8Array): { received: number; lost: number } | null {
  const sequenced = decodeSequenced(frame);
  return sequenced === null ? null : decodeResumption(sequenced.frame);
}

export class Player {
  readonly sessionId: string;
  nodeId = "";
  epoch = 0;
  token = "";
  isWrapper = false;
  socket = new RecordingSocket();
  epochSequence = 0;
  clientSequence = 0;
  requestId = 0;

  constructor(sessionId: string) {
    this.sessionId = sessionId;
  }

  get frames(): ReadFrame[] {
    return this.socket.frames.map(readFrame);
  }

  get messages(): [string | number, unknown][] {
    return this.frames.flatMap((frame) =>
      frame.type === "message" ? [[frame.name, frame.payload] as [string | number, unknown]] : [],
    );
  }

  /** What the wrapper would say: where the node told that it stands, and the messages that have come since. */
  get received(): number | null {
    const { frames } = this.socket;
    const told = frames.findLastIndex((frame) => resumptionOf(frame) !== null);
    const from = resumptionOf(frames[told] ?? new Uint8Array())?.received;
    if (from === undefined) return null;
    const messages = frames.slice(told).filter(([code]) => code !== undefined && messageCodes.includes(code));
    return from + messages.length;
  }

  /** What its node said was lost, at its last attachment. */
  get lost(): number | undefined {
    return this.socket.frames.map(resumptionOf).find((told) => told !== null)?.lost;
  }

  reply(requestId: number): { status: number; payload: unknown } | undefined {
    const found = this.frames.find((frame) => frame.type === "reply" && frame.id === requestId);
    return found?.type === "reply" ? { status: found.status, payload: found.payload } : undefined;
  }
}

export class Scene {
  readonly log = new LogWriter();
  readonly entries: LoggedCommand[] = [];
  readonly replicas: Replica[];
  readonly players = new Map<string, Player>();
  roomId: string;
  #attachId = 0;

  constructor(nodeIds: readonly string[] = ["A", "B", "C"]) {
    this.replicas = nodeIds.map((nodeId) => new Replica(nodeId));
    this.roomId = newRoomId();
  }

  /** On the same replicas, which have had another one. */
  anotherRoom(): void {
    this.roomId = newRoomId();
    this.players.clear();
  }

  get first(): Replica {
    return this.replicas[0] as Replica;
  }

  node(nodeId: string): Replica {
    const replica = this.replicas.find((each) => each.nodeId === nodeId);
    if (replica === undefined) throw new Error(`there is no node ${nodeId}`);
    return replica;
  }

  room<R extends Room = Room>(nodeId = this.first.nodeId): R {
    return this.node(nodeId).room<R>(this.roomId);
  }

  player(sessionId: string): Player {
    let player = this.players.get(sessionId);
    if (player === undefined) {
      player = new Player(sessionId);
      this.players.set(sessionId, player);
    }
    return player;
  }

  seat(sessionId: string): Seat | undefined {
    return this.first.machine.rooms.get(this.roomId)?.seats.get(sessionId);
  }

  get isGone(): boolean {
    return !this.first.machine.rooms.has(this.roomId);
  }

  hashes(): (string | null)[] {
    return this.replicas.map((replica) => replica.hash(this.roomId));
  }

  /** One entry, on every replica; the results in the order of the replicas. */
  async apply(command: LoggedCommand): Promise<ApplyResult[]> {
    this.entries.push(command);
    const results: ApplyResult[] = [];
    for (const replica of this.replicas) results.push(await inMacrotask(() => replica.apply(command)));
    return results;
  }

  /** The value at the first replica. */
  async value(command: LoggedCommand): Promise<unknown> {
    const [result] = await this.apply(command);
    if (result?.type !== "done") throw new Error("a gap");
    return result.value;
  }

  async create(roomName: string, options: object = {}): Promise<unknown> {
    return await this.value(this.log.allocate("A", this.roomId, roomName, options));
  }

  async reserve(sessionId: string, options: object = {}, extra: { auth?: unknown; seconds?: number } = {}) {
    return await this.value(this.log.reserve("A", this.roomId, sessionId, options, extra));
  }

  async attach(
    sessionId: string,
    nodeId: string,
    how: {
      presentedToken?: string | null;
      wrapper?: boolean;
      auth?: AuthOutcome;
      received?: number | null;
      /** Its acknowledgement of the join does not arrive. */
      falls?: boolean;
    } = {},
  ): Promise<unknown> {
    const player = this.player(sessionId);
    const attachId = ++this.#attachId;
    const socket = new RecordingSocket();
    const token = `token-${sessionId}-${attachId}`;
    const replica = this.replicas.find((each) => each.nodeId === nodeId);
    replica?.sockets.set(attachId, socket);
    const wrapper = how.wrapper ?? player.isWrapper;
    const presentedToken = how.presentedToken ?? null;
    const value = await this.value(
      this.log.attach(nodeId, this.roomId, sessionId, {
        attachId,
        token,
        presentedToken,
        wrapper,
        auth: how.auth ?? unasked,
        received: how.received ?? null,
      }),
    );
    const epoch = (value as { epoch?: number } | null)?.epoch;
    if (epoch !== undefined) {
      if (presentedToken === null) player.clientSequence = 0;
      Object.assign(player, { nodeId, epoch, token, socket, isWrapper: wrapper, epochSequence: 0 });
      if (how.falls !== true) await this.frame(sessionId, joinAck());
    }
    return value;
  }

  async join(sessionId: string, nodeId = "A", options: object = {}, wrapper = false): Promise<Player> {
    await this.reserve(sessionId, options);
    await this.attach(sessionId, nodeId, { wrapper });
    return this.player(sessionId);
  }

  async reconnect(sessionId: string, nodeId: string, how: { falls?: boolean } = {}): Promise<unknown> {
    const { token: presentedToken, isWrapper, received } = this.player(sessionId);
    return await this.attach(sessionId, nodeId, {
      ...how,
      presentedToken,
      received: isWrapper ? received : null,
    });
  }

  /** From here on the node hears and says nothing. */
  kill(nodeId: string): void {
    this.replicas.splice(this.replicas.indexOf(this.node(nodeId)), 1);
  }

  async drop(sessionId: string, code = 1006): Promise<unknown> {
    const { nodeId, epoch } = this.player(sessionId);
    return await this.value(this.log.detach(nodeId, this.roomId, sessionId, epoch, code));
  }

  async frame(sessionId: string, frame: Uint8Array): Promise<unknown> {
    const player = this.player(sessionId);
    const stream = player.isWrapper ? "client" : "epoch";
    const sequence = player.isWrapper ? ++player.clientSequence : ++player.epochSequence;
    return await this.frameAs(sessionId, { stream, sequence, frame });
  }

  async frameAs(
    sessionId: string,
    fields: { stream: "epoch" | "client"; sequence: number; frame: Uint8Array; epoch?: number },
  ): Promise<unknown> {
    const { nodeId, epoch } = this.player(sessionId);
    return await this.value(this.log.message(nodeId, { roomId: this.roomId, sessionId, epoch, ...fields }));
  }

  async send(sessionId: string, type: string, payload?: unknown): Promise<unknown> {
    return await this.frame(sessionId, messageFrame(type, payload));
  }

  async request(
    sessionId: string,
    type: string,
    payload?: unknown,
  ): Promise<{ status: number; payload: unknown } | undefined> {
    const player = this.player(sessionId);
    const requestId = ++player.requestId;
    await this.frame(sessionId, requestFrame(requestId, type, payload));
    return player.reply(requestId);
  }

  async call(method: string, ...data: unknown[]): Promise<unknown> {
    return await this.value(this.log.call("A", this.roomId, method, ...data));
  }

  async tick(ms: number, times = 1): Promise<void> {
    for (let time = 0; time < times; time++) await this.apply(this.log.tick("A", ms));
  }

  /** Replaces a replica by one that begins from its checkpoints; false if a part of it is not at rest. */
  async restore(nodeId: string): Promise<boolean> {
    const replica = this.node(nodeId);
    const saved = await inMacrotask(() => replica.save());
    const checkpoints = new Map<string, Checkpoint>();
    for (const [key, checkpoint] of saved) {
      if (checkpoint === null) return false;
      checkpoints.set(key, checkpoint);
    }
    const fresh = new Replica(nodeId);
    await inMacrotask(() => replica.restore(new Map()));
    await inMacrotask(() => fresh.restore(checkpoints));
    this.replicas[this.replicas.indexOf(replica)] = fresh;
    return true;
  }
}
