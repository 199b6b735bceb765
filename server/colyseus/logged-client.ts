import { EventEmitter } from "node:events";
import {
  type Client,
  type ClientPrivate,
  ClientState,
  enqueueClientRaw,
  getMessageBytes,
  type ISendOptions,
  Protocol,
} from "@colyseus/core";
import { decode, type Schema, type StateView } from "@colyseus/schema";
import type { InputDecoder } from "@colyseus/schema/input";
import { encodeUnnumbered } from "../../shared/wrapper-protocol.ts";
import { type AuthOutcome, unasked } from "../session/auth-outcome.ts";
import { EventualWorld } from "../session/eventual-world.ts";
import type { RoomEnvironment } from "../session/room-program.ts";
import { currentWorld } from "../session/sandbox.ts";
import type { Seat } from "../session/seat.ts";
import { outsideLog } from "../session/session-error.ts";
import { checkClose, noStatus } from "./close-frame.ts";
import { checkLent, lendItself, lent, returned } from "./lent.ts";

/** WebSocket's own readyState: the stock Room asks for OPEN in the middle of a reconnection. */
const readyStateOpen = 1;
const readyStateClosing = 2;
const readyStateClosed = 3;

const codeMask = 0x1f;

/** What the room says to its client, be it by `send`, `sendBytes` or `broadcast`. */
export function isMessage(frame: Uint8Array): boolean {
  const code = (frame[0] ?? 0) & codeMask;
  return code === Protocol.ROOM_DATA || code === Protocol.ROOM_DATA_BYTES;
}

/** A client's properties before room code sees it, and what Colyseus adds. */
let members: ReadonlySet<string | symbol> | null = null;

/** What a logged client asks of its room. */
export interface LoggedClientRoom {
  readonly environment: RoomEnvironment;
  /** Room code wants this client to go. */
  leave(client: LoggedClient, code: number, reason: string): void;
}

/**
 * A client as every replica sees it: `state`, `readyState`, `ref` and the rest change only by log entries; the socket,
 * on the one node that has it, hangs behind `raw` (design 5.4). One object an attachment, as in Colyseus.
 */
export class LoggedClient {
  readonly seat: Seat;
  readonly epoch: number;
  readonly id: string;
  readonly sessionId: string;
  /** The node that the client is attached to: agreed, so room code may use it. */
  readonly node: string;
  ref: EventEmitter & Record<string, unknown> = new EventEmitter() as EventEmitter & Record<string, unknown>;
  readyState = readyStateOpen;
  state: ClientState = ClientState.JOINING;
  #auth: unknown;
  #userData: unknown;
  view?: StateView | undefined;
  _enqueuedMessages?: Uint8Array[] = [];
  _joinedAt = 0;
  _numMessagesLastSecond = 0;
  _messageCountResetsAt = 0;
  _lastMessageTime = 0;
  /** For the time behind the next patch; the seam sends them. */
  _pendingFrames: Uint8Array[] = [];
  /** Made by the stock room as the client joins, if it has inputs; see room-inputs. */
  _input?: Schema;
  _inputDecoder?: InputDecoder;
  _inputBuffer?: object;
  _inputAccessor?: object;
  _reckonBaseline?: number;
  _receivedInputCount?: number;
  _lastInputReceivedAt?: number;
  /** The code with which its connection ended; for the checkpoint of a seat that is kept. */
  leaveCode: number | null = null;
  /** Its onDrop or onLeave has not finished: it may still call allowReconnection(). The room is not at rest meanwhile. */
  isLeaving = false;
  /** It has shown its token. */
  hasToken = false;
  /** What onAuth of the instance said where the client is; asked for once, while it joins. */
  authOutcome: AuthOutcome = unasked;
  readonly #room: LoggedClientRoom;
  readonly #isWrapper: boolean;
  #token: string;
  #tokenGiven = false;

  constructor(room: LoggedClientRoom, seat: Seat) {
    this.#room = room;
    this.seat = seat;
    this.epoch = seat.epoch;
    this.id = seat.sessionId;
    this.sessionId = seat.sessionId;
    this.node = seat.attachment?.nodeId ?? "";
    this.#token = seat.token;
    this.#isWrapper = seat.wrapper;
    lendItself(this);
    members ??= new Set([...Reflect.ownKeys(this), "_pendingFrameClients"]);
  }

  /** What room code has put on it (`client.team = "red"`), as it is there; null: nothing. */
  get extras(): object | null {
    let extras: object | null = null;
    for (const key of Reflect.ownKeys(this)) {
      if (members?.has(key) === true) continue;
      extras ??= {};
      Object.defineProperty(extras, key, Reflect.getOwnPropertyDescriptor(this, key) as PropertyDescriptor);
    }
    return extras;
  }

  get auth(): unknown {
    return lent(this.#auth, `the client ${this.sessionId}'s auth`);
  }

  set auth(auth: unknown) {
    checkLent(`the client ${this.sessionId}'s auth`);
    this.#auth = auth;
  }

  get userData(): unknown {
    return lent(this.#userData, `the client ${this.sessionId}'s userData`);
  }

  set userData(userData: unknown) {
    checkLent(`the client ${this.sessionId}'s userData`);
    this.#userData = userData;
  }

  get reconnectionToken(): string {
    return this.#token;
  }

  /** The stock Room begins a join by making a token of its own; the one that was agreed stays. */
  set reconnectionToken(token: string) {
    if (this.#tokenGiven) this.#token = token;
    this.#tokenGiven = true;
  }

  takeAuthOutcome(): AuthOutcome {
    const outcome = this.authOutcome;
    this.authOutcome = unasked;
    return outcome;
  }

  /** A message is numbered where it is sent, or where it begins to wait for the client to have joined. */
  raw(data: Uint8Array): void {
    if (this.readyState === readyStateClosing) return;
    const { environment } = this.#room;
    const heard = this.#heard;
    if (heard !== null) this.#sayUnnumbered(data, heard);
    else if (!isMessage(data)) environment.deliver(this.seat, this.epoch, data);
    else if (this._enqueuedMessages === undefined)
      environment.say(this.seat, this.epoch, environment.keep(this.seat, this.epoch, data));
    else if (this.state === ClientState.JOINED) environment.say(this.seat, this.epoch, data);
    else this.#enqueue(data);
  }

  #enqueue(message: Uint8Array): void {
    if (this.state === ClientState.LEAVING || this.readyState === readyStateClosing) return;
    this._enqueuedMessages?.push(this.#room.environment.keep(this.seat, this.epoch, message));
  }

  /** The message that the room hears just now, if it is in no log. */
  get #heard(): EventualWorld | null {
    const world = currentWorld();
    return world instanceof EventualWorld && world.of === this.#room.environment.world ? world : null;
  }

  /**
   * In no log, so no number is to be counted for it, and nobody keeps it. What was heard before the client was here it may
   * have been told where it was: nothing twice.
   */
  #sayUnnumbered(data: Uint8Array, { index }: EventualWorld): void {
    if (this.state !== ClientState.JOINED || index < this.seat.joinedIndex) return;
    const frame = this.seat.wrapper ? encodeUnnumbered(data) : data;
    this.#room.environment.deliver(this.seat, this.epoch, frame);
  }

  enqueueRaw(data: Uint8Array, options?: ISendOptions): void {
    const heard = this.#heard;
    if (heard !== null) {
      if (options?.afterNextPatch === true) throw outsideLog("a message is to wait for the next patch");
      this.#sayUnnumbered(data, heard);
      return;
    }
    if (this.#isWrapper && data[0] === Protocol.ROOM_RESPONSE) {
      // A reply outlives the attachment that asked: the wrapper gets it wherever it is by then. A client that numbers
      // its requests otherwise may have the seat meanwhile.
      this.seat.rememberReply(decode.number(data, { offset: 1 }), Uint8Array.from(data));
      if (this.seat.wrapper) this.#room.environment.deliver(this.seat, this.seat.epoch, data);
      return;
    }
    if (options?.afterNextPatch === true) this._pendingFrames.push(new Uint8Array(data));
    else if (isMessage(data) && this.state !== ClientState.JOINED) this.#enqueue(data);
    else enqueueClientRaw(this as unknown as Client & ClientPrivate, data);
  }

  send(type: string | number, message?: unknown, options?: ISendOptions): void {
    if (this.#heard === null) this.#checkInside("send");
    this.enqueueRaw(getMessageBytes.raw(Protocol.ROOM_DATA, type, returned(message)), options);
  }

  sendBytes(type: string | number, bytes: Uint8Array, options?: ISendOptions): void {
    if (this.#heard === null) this.#checkInside("sendBytes");
    const given = returned(bytes) as Uint8Array;
    this.enqueueRaw(getMessageBytes.raw(Protocol.ROOM_DATA_BYTES, type, undefined, given), options);
  }

  error(code: number, message = ""): void {
    this.raw(getMessageBytes[Protocol.ERROR](code, message));
  }

  leave(code?: number, reason = ""): void {
    this.#checkInside("leave");
    checkClose("client.leave()", code, reason);
    if (this.seat.epoch !== this.epoch || this.readyState !== readyStateOpen) return;
    // As a socket's: nothing is sent through it any more. It is gone before the next entry, so no checkpoint has this.
    this.readyState = readyStateClosing;
    this.#room.environment.close(this.seat, code ?? noStatus, reason);
    this.#room.leave(this, code ?? noStatus, reason);
  }

  close(code?: number, reason?: string): void {
    this.leave(code, reason);
  }

  /** The connection is gone, as agreed: what a socket's close event is to the stock Room. */
  connectionLost(code: number): void {
    if (this.readyState === readyStateClosed) return;
    this.readyState = readyStateClosed;
    this.ref.emit("close", code);
  }

  /** Another replica would neither send it nor let the client go. */
  #checkInside(method: string): void {
    const { world } = this.#room.environment;
    if (currentWorld() !== world)
      throw outsideLog(`client.${method}() in ${world.label} was called outside of the room`);
  }

  toJSON(): object {
    return { sessionId: this.sessionId, readyState: this.readyState };
  }
}
