import { getMessageBytes, Protocol } from "@colyseus/core";
import { encode } from "@colyseus/schema";
import { pack } from "msgpackr";
import { newsMethod } from "../colyseus/presence/room-news.ts";
import type { AppliedCommand } from "../group/machine.ts";
import { levels } from "../raft/level.ts";
import { unasked } from "../session/auth-outcome.ts";
import { abnormalClosure } from "../session/live-socket.ts";
import type { ArgumentOf } from "../session/proposer.ts";
import { isRefusal } from "../session/session-error.ts";
import { sessionMenu } from "../session/session-menu.ts";
import { callAnswer } from "./call-answers.ts";
import type { CheckMachine } from "./check-machine.ts";
import type { CheckStep } from "./check-script.ts";

interface Player {
  epoch: number;
  token: string;
  sequence: number;
  requestId: number;
}

type Name = keyof typeof sessionMenu.commands;
/** Of what is numbered to its room. */
type InRoom<N extends Name> = Omit<ArgumentOf<N>, "roomId" | "sequence">;

/** How a log differs from another of the same script: an unrelated room's is of another id, time and chance. */
export interface LogOrigin {
  readonly roomId: string;
  readonly roomName: string;
  readonly seedByte: number;
  readonly wallTimeMs: number;
}

const reservationSeconds = 15;
/** As often as a leader would at most, where no timer says when. */
const quietTickMs = 1_000;
const headBytesMax = 1_024;
/** An answered effect may lead to the next one: so many in a row belong to one step. */
const answersInARowMax = 128;

/** Turns a script into a log, by carrying it out on a first replica: what that answers decides what can follow. */
export class ScriptLog {
  readonly #machine: CheckMachine;
  readonly #origin: LogOrigin;
  readonly #players = new Map<string, Player>();
  #commands: AppliedCommand[] = [];
  #index = 0;
  #logTimeMs = 1_000;
  #roomSequence = 0;
  #attachId = 0;
  /** What effects resolve with, by name. */
  answers: Readonly<Record<string, unknown>> = {};

  constructor(machine: CheckMachine, origin: LogOrigin) {
    this.#machine = machine;
    this.#origin = origin;
  }

  /** The commands since the last call. */
  take(): readonly AppliedCommand[] {
    const commands = this.#commands;
    this.#commands = [];
    return commands;
  }

  create(options: object): unknown {
    const { roomId, roomName, seedByte } = this.#origin;
    const seed = new Uint8Array(12).fill(seedByte);
    const wish = { key: roomName, fresh: true, exclude: null, roomId, roomName, options, seed, code: "" };
    return this.#apply("allocate", { ...wish, sequence: 1 });
  }

  /** @returns why it could not be done, in words; null: it was done */
  carryOut(step: CheckStep): string | null {
    switch (step.type) {
      case "join":
        return this.#join(step.client, step.options, step.auth);
      case "reconnect": {
        const player = this.#players.get(step.client);
        return player === undefined ? notIn(step.client) : this.#attach(step.client, player.token);
      }
      case "leave":
        return step.consented === false
          ? this.#drop(step.client)
          : this.#send(step.client, Uint8Array.of(Protocol.LEAVE_ROOM));
      case "message":
        return this.#say(step);
      case "propose":
        return refusalWords(this.#toRoom("call", { method: step.method, data: step.data ?? [] }));
      case "news": {
        const { channel, message } = step;
        const batch = { term: 1, items: [{ channel, position: null, message }] };
        return refusalWords(this.#toRoom("call", { method: newsMethod, data: [batch] }));
      }
      case "tick":
        this.#pass(step.ms);
        return null;
    }
  }

  #join(sessionId: string, options: unknown, auth: unknown): string | null {
    const seconds = reservationSeconds;
    const reserve = { sessionId, options: options ?? {}, auth: auth ?? null, seconds, mayRepeat: false };
    const reserved = this.#toRoom("reserve", reserve);
    if (isRefusal(reserved)) return reserved.message;
    if (reserved === false) return "the room is full or locked";
    this.#players.set(sessionId, { epoch: 0, token: "", sequence: 0, requestId: 0 });
    return this.#attach(sessionId, null, auth);
  }

  #attach(sessionId: string, presentedToken: string | null, auth?: unknown): string | null {
    const attachId = ++this.#attachId;
    const token = `token ${attachId} of ${sessionId}`;
    // The instance's onAuth is asked outside of the log: here the script says what it answered.
    const passed = { type: "passed" as const, auth: auth ?? true, userData: undefined };
    const attach = {
      sessionId,
      attachId,
      token,
      presentedToken,
      wrapper: false,
      skipHandshake: false,
      received: null,
    };
    const value = this.#toRoom("attach", { ...attach, auth: presentedToken === null ? passed : unasked });
    if (isRefusal(value)) {
      if (presentedToken === null) this.#players.delete(sessionId);
      return value.message;
    }
    const { epoch } = value as { epoch: number };
    const requestId = this.#players.get(sessionId)?.requestId ?? 0;
    this.#players.set(sessionId, { epoch, token, sequence: 0, requestId });
    return this.#send(sessionId, Uint8Array.of(Protocol.JOIN_ROOM));
  }

  #drop(sessionId: string): string | null {
    const player = this.#players.get(sessionId);
    if (player === undefined) return notIn(sessionId);
    return refusalWords(this.#toRoom("detach", { sessionId, epoch: player.epoch, code: abnormalClosure }));
  }

  #say({ client, message, payload, request }: CheckStep & { type: "message" }): string | null {
    const player = this.#players.get(client);
    if (player === undefined) return notIn(client);
    const frame = request
      ? requestFrame(++player.requestId, message, payload)
      : getMessageBytes.raw(Protocol.ROOM_DATA, message, payload);
    return this.#send(client, Uint8Array.from(frame));
  }

  #send(sessionId: string, frame: Uint8Array): string | null {
    const player = this.#players.get(sessionId);
    if (player === undefined) return notIn(sessionId);
    const { epoch } = player;
    const { roomId } = this.#origin;
    const sequence = player.sequence + 1;
    const value = this.#apply("message", { roomId, sessionId, epoch, stream: "epoch", sequence, frame });
    if (isRefusal(value)) return value.message;
    player.sequence = sequence;
    return null;
  }

  /** As a leader does: whenever a timer of the room is due, and once at the end. */
  #pass(ms: number): void {
    const endMs = this.#logTimeMs + ms;
    while (this.#logTimeMs < endMs) {
      const dueMs = this.#machine.nextTickMs() ?? this.#logTimeMs + quietTickMs;
      this.#logTimeMs = Math.min(endMs, Math.max(dueMs, this.#logTimeMs + 1));
      this.#apply("tick", null);
    }
  }

  #toRoom<N extends Name>(name: N, argument: InRoom<N>): unknown {
    const { roomId } = this.#origin;
    return this.#apply(name, { ...argument, roomId, sequence: ++this.#roomSequence } as ArgumentOf<N>);
  }

  #apply<N extends Name>(name: N, argument: ArgumentOf<N>): unknown {
    this.#index += 1;
    const command: AppliedCommand = {
      index: this.#index,
      term: 1,
      logTimeMs: this.#logTimeMs,
      wallTimeMs: this.#origin.wallTimeMs + this.#logTimeMs,
      level: levels.max,
      id: { nodeId: "n1", bootCount: 1, sequence: this.#index },
      command: sessionMenu.encode(name, argument as never),
    };
    this.#commands.push(command);
    const value = this.#machine.apply(command);
    if (name !== "effectDone") this.#answer();
    return value;
  }

  /**
   * The effects' own code is not for a check to run: what the script does not name is never answered, and times out. Only
   * presence and matchmaker answer by themselves, as if there was nothing yet.
   */
  #answer(): void {
    for (let round = 0; round < answersInARowMax; round++) {
      const open = [...(this.#machine.replica?.world.effects.open() ?? [])];
      const answered = open.flatMap(({ name, number, argument }) => {
        const said = Object.hasOwn(this.answers, name)
          ? { value: this.answers[name] }
          : callAnswer(name, argument);
        return said === null ? [] : [{ number, value: said.value }];
      });
      if (answered.length === 0) return;
      for (const { number, value } of answered)
        this.#toRoom("effectDone", { number, outcome: { type: "result", value } });
    }
  }
}

function notIn(client: string): string {
  return `${client} is not in the room`;
}

function refusalWords(value: unknown): string | null {
  return isRefusal(value) ? value.message : null;
}

function requestFrame(requestId: number, message: string | number, payload: unknown): Uint8Array {
  const bytes = Buffer.alloc(headBytesMax);
  const it = { offset: 0 };
  bytes[it.offset++] = Protocol.ROOM_REQUEST;
  encode.number(bytes, requestId, it);
  if (typeof message === "string") encode.string(bytes, message, it);
  else encode.number(bytes, message, it);
  const head = bytes.subarray(0, it.offset);
  return payload === undefined ? head : Buffer.concat([head, pack(payload)]);
}
