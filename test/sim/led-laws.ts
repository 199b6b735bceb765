import { Protocol } from "@colyseus/core";
import { Decoder } from "@colyseus/schema";
import { type Step, unpacked } from "../../server/colyseus/led/led-step.ts";
import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import type { BeginRun, StepPiece } from "../../server/session/led-program.ts";
import { isRefusal } from "../../server/session/session-error.ts";
import { type Message, sessionMenu } from "../../server/session/session-menu.ts";
import type { Coverage } from "./coverage.ts";
import type { Ledger } from "./ledger.ts";
import { readFrame } from "./player-frames.ts";
import { LedState } from "./sim-led-room.ts";
import { hold } from "./violation.ts";

/** A state as a client has it, equal for equal states however they came about. */
export function wordsOf(state: LedState): string {
  return JSON.stringify(state.toJSON(), (_, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
}

interface Seen {
  readonly words: string;
  /** Of all states that were agreed, the how manieth. */
  readonly at: number;
}

/** What is agreed of one room that its leader runs, worked out anew from the log alone. */
class AgreedRoom {
  readonly roomId: string;
  run = 0;
  runner = "";
  number = 0;
  pieces: Uint8Array[] = [];
  elapsedMs = 0;
  version = 0;
  decoder: Decoder<LedState> | null = null;
  /** By version. */
  readonly states = new Map<number, Seen>();
  /** By session id: numbers of the broadcasts to it. */
  readonly said = new Map<string, Set<number>>();
  /** By session id: fires that were taken. */
  readonly fires = new Map<string, number>();
  readonly done = new Set<number>();
  readonly cached = new Set<string>();

  constructor(roomId: string) {
    this.roomId = roomId;
  }
}

interface Given {
  readonly result: ApplyResult;
  readonly isLost: (roomId: string) => boolean;
}

/** The seats whose clients are sent the state by a step. */
export type Synced = Step["synced"];

/**
 * Rooms that their leader runs: whose steps count, and what comes of them. Clients are told nothing else, and nothing of it
 * is ever taken back.
 */
export class LedLaws {
  readonly #rooms = new Map<string, AgreedRoom>();
  readonly #lost = new Set<string>();
  readonly #ledger: Ledger;
  readonly #coverage: Coverage;

  constructor(ledger: Ledger, coverage: Coverage) {
    this.#ledger = ledger;
    this.#coverage = coverage;
  }

  isLed(roomId: string): boolean {
    return this.#rooms.has(roomId);
  }

  /** A client's command counts. */
  taken({ roomId, sessionId, frame }: Message): void {
    const room = this.#rooms.get(roomId);
    if (room === undefined || frame[0] !== Protocol.ROOM_REQUEST) return;
    const asked = readFrame(frame);
    if (asked.type !== "request" || asked.name !== "fire") return;
    room.fires.set(sessionId, (room.fires.get(sessionId) ?? 0) + 1);
  }

  /** In the order of the log, each once. */
  applied({ index, id, command }: AppliedCommand, { result, isLost }: Given): Synced {
    const { name, argument } = sessionMenu.decode(command);
    if (name !== "beginRun" && name !== "step") return [];
    const { roomId } = argument as { roomId: string };
    if (isLost(roomId)) this.#lost.add(roomId);
    const value = result.type === "done" ? result.value : null;
    const refused = isRefusal(value) ? value.refused : null;
    if (this.#lost.has(roomId) || (refused !== null && refused !== "RUN_PAST")) {
      this.#lost.add(roomId);
      this.#rooms.delete(roomId);
      return [];
    }
    const room = this.#rooms.get(roomId) ?? new AgreedRoom(roomId);
    this.#rooms.set(roomId, room);
    const runner = `${id.nodeId} ${id.bootCount}`;
    const at = `${name} of ${roomId} at ${index}`;
    const isTaken = refused === null;
    if (name === "beginRun") this.#begin(room, argument as BeginRun, { runner, at, isTaken });
    else return this.#step(room, argument as StepPiece, { runner, at, isTaken });
    return [];
  }

  #begin(
    room: AgreedRoom,
    { run }: BeginRun,
    { runner, at, isTaken }: { runner: string; at: string; isTaken: boolean },
  ): void {
    hold(
      isTaken === (run === room.run + 1),
      "X50",
      () => `${at}: run ${run} after ${room.run} is ${words(isTaken)}`,
    );
    if (!isTaken) return;
    this.#coverage.hit(run === 1 ? "ledRuns" : "ledRunsAgain");
    Object.assign(room, { run, runner, number: 0, pieces: [] });
  }

  #step(
    room: AgreedRoom,
    { run, number, bytes, isLast }: StepPiece,
    { runner, at, isTaken }: { runner: string; at: string; isTaken: boolean },
  ): Synced {
    const counts = run === room.run && number === room.number + 1 && runner === room.runner;
    hold(
      isTaken === counts,
      "X50",
      () =>
        `${at}: ${run}:${number} of ${runner} is ${words(isTaken)} after ${room.run}:${room.number} of ${room.runner}`,
    );
    if (!isTaken) {
      this.#coverage.hit("ledStepsPast");
      return [];
    }
    room.number = number;
    room.pieces.push(bytes);
    if (!isLast) return [];
    const step = unpacked(Buffer.concat(room.pieces)) as Step;
    room.pieces = [];
    this.#coverage.hit("ledSteps");
    this.#carryOut(room, step, at);
    return step.synced;
  }

  #carryOut(room: AgreedRoom, step: Step, at: string): void {
    hold(
      step.elapsedMs >= room.elapsedMs,
      "X11",
      () => `${at}: its time goes back from ${room.elapsedMs} to ${step.elapsedMs}`,
    );
    room.elapsedMs = step.elapsedMs;
    for (const number of step.done) {
      hold(!room.done.has(number), "X50", () => `${at}: input ${number} is worked off a second time`);
      room.done.add(number);
    }
    for (const { bytes, to } of step.frames) {
      if (to === null) this.#patched(room, bytes, at);
      for (const each of to ?? [])
        this.#said(room, (step.connections[each] as { sessionId: string }).sessionId, bytes);
    }
    if (step.full !== null) this.#full(room, step.full.frame, at);
    if (step.cached !== null) room.cached.add(JSON.stringify(step.cached.value));
    // What the last step changed is in no state that anybody sees: its answers alone say so.
    if (step.end !== null)
      for (const { value } of step.answers)
        if (typeof value === "number") this.#ledger.depositedTo(room.roomId, value);
    const { failure } = step.end ?? {};
    hold(typeof failure !== "string", "X50", () => `${at}: the room is closed, since ${failure}`);
  }

  #said(room: AgreedRoom, sessionId: string, bytes: Uint8Array): void {
    const heard = readFrame(bytes);
    if (heard.type !== "message") return;
    const { beats } = heard.value as { beats?: number };
    if (beats === undefined) return;
    const said = room.said.get(sessionId) ?? new Set();
    room.said.set(sessionId, said.add(beats));
  }

  #patched(room: AgreedRoom, bytes: Uint8Array, at: string): void {
    // Before the first full state there is nothing to go on with.
    if (room.decoder === null) return;
    room.decoder.decode(bytes, { offset: 1 });
    this.#agreed(room, at);
  }

  #full(room: AgreedRoom, frame: Uint8Array, at: string): void {
    const decoder = new Decoder(new LedState());
    decoder.decode(frame, { offset: 1 });
    const { state } = room.decoder ?? {};
    if (state === undefined) {
      room.decoder = decoder;
      this.#agreed(room, at);
      return;
    }
    const [whole, followed] = [wordsOf(decoder.state), wordsOf(state)];
    hold(
      whole === followed,
      "X50",
      () => `${at}: the whole state is ${whole}, by the patches it is ${followed}`,
    );
  }

  #agreed(room: AgreedRoom, at: string): void {
    const { state } = room.decoder as Decoder<LedState>;
    const { version, shots, deposits } = state;
    hold(
      version > room.version || room.states.size === 0,
      "X50",
      () => `${at}: its state goes from ${room.version} to ${version}`,
    );
    room.version = version;
    room.states.set(version, { words: wordsOf(state), at: room.states.size });
    this.#ledger.depositedTo(room.roomId, deposits);
    for (const [sessionId, count] of shots.entries()) {
      const taken = room.fires.get(sessionId) ?? 0;
      hold(count <= taken, "X50", () => `${at}: ${sessionId} has ${count} shots, ${taken} were taken`);
      this.#ledger.firedTo(sessionId, count);
    }
  }

  // ── what others see of it ────────────────────────────────────────────────────────────────────────────────────────

  /** A client's state is one that was agreed. Null: nobody knows what was. */
  stateAt(roomId: string, who: string, state: LedState): number | null {
    const room = this.#rooms.get(roomId);
    if (room === undefined) return null;
    const known = room.states.get(state.version);
    const seen = wordsOf(state);
    hold(known?.words === seen, "X50", () => `${who} sees ${seen}; agreed is ${known?.words}`);
    return known.at;
  }

  holdSaid(roomId: string, sessionId: string, number: number): void {
    const room = this.#rooms.get(roomId);
    if (room === undefined) return;
    hold(
      room.said.get(sessionId)?.has(number) === true,
      "X50",
      () => `${sessionId} is told ${number} of ${roomId}, which is not agreed`,
    );
  }

  /** What the next leader goes on with beside the state. */
  restored(roomId: string, cached: object, version: number): void {
    this.#coverage.hit("ledRestores");
    const room = this.#rooms.get(roomId);
    if (room === undefined) return;
    const what = JSON.stringify(cached);
    hold(room.cached.has(what), "X50", () => `${roomId} goes on with ${what}, which nobody agreed on`);
    hold(
      room.states.has(version),
      "X50",
      () => `${roomId} goes on with state ${version}, which nobody agreed on`,
    );
  }
}

function words(isTaken: boolean): string {
  return isTaken ? "taken" : "refused";
}

/** The state of such a room as one client has it, over all its connections. */
export class LedView {
  readonly #laws: LedLaws;
  readonly #roomId: string;
  readonly #who: string;
  readonly #decoder = new Decoder(new LedState());
  /** The how manieth of the agreed states it has seen last. */
  #at = -1;
  #isWhole = false;

  constructor(laws: LedLaws, { roomId, sessionId }: { roomId: string; sessionId: string }) {
    this.#laws = laws;
    this.#roomId = roomId;
    this.#who = sessionId;
  }

  connected(): void {
    this.#isWhole = false;
  }

  /** True: it was a state. */
  frame(bytes: Uint8Array): boolean {
    const code = (bytes[0] ?? 0) & 0x1f;
    if (code === Protocol.ROOM_STATE) {
      // As the stock SDK: who has a state already puts it right by the new one.
      if (this.#decoder.root.refs.size > 1) this.#decoder.decodeResync(bytes, { offset: 1 });
      else this.#decoder.decode(bytes, { offset: 1 });
    } else if (code === Protocol.ROOM_STATE_PATCH) this.#decoder.decode(bytes, { offset: 1 });
    else return false;
    const isPatch = code === Protocol.ROOM_STATE_PATCH;
    hold(!isPatch || this.#isWhole, "X50", () => `${this.#who} gets a patch before the state`);
    this.#isWhole = true;
    const at = this.#laws.stateAt(this.#roomId, this.#who, this.#decoder.state);
    if (at === null) return true;
    const last = this.#at;
    const follows = isPatch ? at === last + 1 : at >= last;
    hold(follows, "X50", () => `${this.#who} sees state ${at} of ${this.#roomId} after ${last}`);
    this.#at = at;
    return true;
  }
}
