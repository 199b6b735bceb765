/** Colyseus as it is: one room, not replicated, in a world of its own whose time goes as a test says. */
import { EventEmitter } from "node:events";
import { ClientState, matchMaker, type Room } from "@colyseus/core";
import { WebSocketClient } from "@colyseus/ws-transport";
import { inMacrotask } from "../../../server/session/macrotask.ts";
import { RoomRandom } from "../../../server/session/random.ts";
import { RoomTimers } from "../../../server/session/room-timers.ts";
import { runInWorld, type World } from "../../../server/session/sandbox.ts";
import { SecretRandom } from "../../../server/session/secret-random.ts";
import { messageFrame, RecordingSocket, requestFrame } from "../machine-harness.ts";

const [open, closing, closed] = [1, 2, 3];
const seed = new Uint8Array(12).fill(7);
let stages = 0;

/** The server's end of a socket, as `ws` has it. */
class StockSocket extends EventEmitter {
  readyState = open;
  readonly heard = new RecordingSocket();
  /** Its other end answers once the room has done what it was doing. */
  closing: number | null = null;

  send(frame: Uint8Array): void {
    if (this.readyState === open) this.heard.send(frame);
  }

  close(code = 1005, reason = ""): void {
    if (this.readyState !== open) return;
    this.heard.close(code, String(reason));
    this.readyState = closing;
    this.closing = code;
  }

  end(code: number): void {
    if (this.readyState === closed) return;
    this.readyState = closed;
    this.emit("close", code);
  }
}

class StockPlayer {
  socket = new StockSocket();
  client: WebSocketClient | null = null;
  requestId = 0;
}

export class StockStage {
  readonly players = new Map<string, StockPlayer>();
  readonly timers = new RoomTimers(1_000);
  readonly #secrets = new SecretRandom(seed);
  readonly #random = RoomRandom.seeded(seed);
  #nowMs = 1_000;
  room: Room | null = null;
  isGone = false;

  readonly world: World = {
    label: "a stock room",
    nowMs: () => this.#nowMs,
    wallMs: () => 1_700_000_000_000 + this.#nowMs,
    random: () => this.#random.next(),
    secretBytes: (into) => this.#secrets.fill(into),
    tellOnce: () => {},
    setTimer: (callback, delayMs, intervalMs, args) =>
      this.timers.create({ nowMs: this.#nowMs, callback, delayMs, intervalMs, args }),
    clearTimer: (timer) => this.timers.clear(timer),
    report: () => {},
  };

  /** One thing that happens to the room, and what comes of it. */
  async #run(act: () => unknown): Promise<void> {
    const done = await inMacrotask(() => ({ done: runInWorld(this.world, act) }));
    // Its other end answers later.
    await inMacrotask(() => this.#closeSockets());
    await done.done;
  }

  #closeSockets(): void {
    for (let again = true; again; ) {
      again = false;
      for (const { socket } of this.players.values()) {
        if (socket.closing === null || socket.readyState === closed) continue;
        const code = socket.closing;
        runInWorld(this.world, () => socket.end(code));
        again = true;
      }
    }
  }

  player(sessionId: string): StockPlayer {
    const player = this.players.get(sessionId) ?? new StockPlayer();
    this.players.set(sessionId, player);
    return player;
  }

  async create(roomName: string, options: object = {}): Promise<void> {
    const roomId = `stock${String(++stages).padStart(4, "0")}`;
    await this.#run(async () => {
      await matchMaker.handleCreateRoom(roomName, structuredClone(options), undefined, roomId);
      this.timers.creating = false;
    });
    this.room = matchMaker.getLocalRoomById(roomId) ?? null;
    const room = this.room as unknown as { _events: EventEmitter };
    room._events.once("disconnect", () => {
      this.isGone = true;
    });
  }

  #connect(sessionId: string, reconnectionToken?: string): void {
    const player = this.player(sessionId);
    const socket = new StockSocket();
    const client = new WebSocketClient(sessionId, socket as never);
    Object.assign(player, { socket, client });
    const room = this.room as unknown as {
      hasReservedSeat(sessionId: string, token?: string): boolean;
      _onJoin(client: WebSocketClient, context: object, connection: object): Promise<void>;
    };
    const failed = ({ code, message }: { code: number; message: string }) => {
      client.error(code, message);
      client.leave(4002);
    };
    if (!room.hasReservedSeat(sessionId, reconnectionToken)) failed({ code: 0, message: "expired" });
    else room._onJoin(client, { headers: new Headers() }, { reconnectionToken }).catch(failed);
  }

  /** False: there was no seat. */
  async reserve(sessionId: string, options: object = {}, auth?: unknown): Promise<boolean> {
    let reserved = false;
    await this.#run(async () => {
      const room = this.room as unknown as {
        locked: boolean;
        _reserveSeat(...a: unknown[]): Promise<boolean>;
      };
      reserved = !room.locked && (await room._reserveSeat(sessionId, structuredClone(options), auth));
    });
    return reserved;
  }

  async connect(sessionId: string): Promise<void> {
    await this.#run(() => this.#connect(sessionId));
  }

  async reconnect(sessionId: string): Promise<void> {
    const token = this.player(sessionId).client?.reconnectionToken;
    await this.#run(() => this.#connect(sessionId, token));
  }

  async drop(sessionId: string, code = 1006): Promise<void> {
    await this.#run(() => this.player(sessionId).socket.end(code));
  }

  async frame(sessionId: string, frame: Uint8Array): Promise<void> {
    await this.#run(() => {
      const { socket } = this.player(sessionId);
      if (socket.readyState !== open) return;
      try {
        socket.emit("message", Buffer.from(frame));
      } catch {
        // What a handler throws would end the process.
      }
    });
  }

  async send(sessionId: string, type: string, payload?: unknown): Promise<void> {
    await this.frame(sessionId, messageFrame(type, payload));
  }

  async request(sessionId: string, type: string, payload?: unknown): Promise<void> {
    await this.frame(sessionId, requestFrame(++this.player(sessionId).requestId, type, payload));
  }

  async tick(ms: number): Promise<void> {
    const toMs = this.#nowMs + ms;
    await inMacrotask(() => {
      this.timers.advance(toMs, (timer, dueMs) => {
        this.#nowMs = dueMs;
        try {
          runInWorld(this.world, () => timer.callback(...timer.args));
        } catch {
          // As above.
        }
        this.#closeSockets();
      });
    });
    this.#nowMs = toMs;
  }

  isJoined(sessionId: string): boolean {
    return this.players.get(sessionId)?.client?.state === ClientState.JOINED;
  }
}
