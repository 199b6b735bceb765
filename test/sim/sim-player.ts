import { Outbox } from "../../client/outbox.ts";
import {
  decodeResumption,
  decodeSequenced,
  decodeUnnumbered,
  UNANSWERED_MAX,
} from "../../shared/wrapper-protocol.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { EventualLaws } from "./eventual-laws.ts";
import { type LedLaws, LedView } from "./led-laws.ts";
import type { Ledger, SeatAccount } from "./ledger.ts";
import type { OwedMessages } from "./owed-messages.ts";
import {
  type Heard,
  joinedFrame,
  leaveFrame,
  messageFrame,
  readFrame,
  requestFrame,
} from "./player-frames.ts";
import { PlayerSocket } from "./player-socket.ts";
import { type RoomApp, servingSessions } from "./room-app.ts";
import type { Schedule } from "./schedule.ts";
import { findSeat } from "./seat-search.ts";
import type { SimProcess } from "./sim-node.ts";
import type { Trace } from "./trace.ts";
import { hold } from "./violation.ts";

export interface SimPlayerParts {
  readonly name: string;
  readonly kind: "stock" | "wrapper";
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly ledger: Ledger;
  readonly trace: Trace;
  readonly processes: () => readonly SimProcess<RoomApp>[];
  /** Some replica of the room was changed behind the log's back. */
  readonly isTampered: (roomId: string) => boolean;
  /** It was, or nobody gets past it. */
  readonly isTroubled: (roomId: string) => boolean;
  readonly owed: OwedMessages;
  readonly led: LedLaws;
  readonly eventuals: EventualLaws;
  /** Of the rooms of a key. */
  readonly roomNameOf: (key: string) => string;
}

interface Seat {
  readonly roomId: string;
  readonly account: SeatAccount;
  readonly outbox: Outbox;
  readonly pending: Map<number, string>;
  /** Null: the room is none that its leader runs. */
  readonly view: LedView | null;
  readonly plays: readonly string[];
  /** By session id: the last emote of each that this connection has brought. */
  readonly emotes: Map<string, number>;
  token: string | null;
  requestId: number;
  /** The largest time that this player was ever told by the room. */
  clockMs: number;
  /** The room's messages that have come, or are told to be lost; null: the node has not told where they stand. */
  received: number | null;
  /** The last broadcast's number, and all of them. */
  beats: number;
  readonly heard: Set<number>;
  attaches: number;
}

interface Emote {
  readonly from: string;
  readonly number: number;
}

type Phase = "away" | "joining" | "attaching" | "attached" | "waiting";

const fatalReasons: ReadonlySet<string> = new Set([
  ...["SEAT_EXPIRED", "ROOM_NOT_FOUND", "ROOM_QUARANTINED", "TOKEN_REFUSED"],
]);
const plays = ["roll", "slow", "throws", "rejects", "shout", "later", "closure"];
const newsPlays = [...plays, "tally", "tally", "publish", "publish", "emote", "emote", "emote"];
const answerMsMax = 4_000;
const silenceMsMax = 1_500;

/** A player: joins, fires, drops, comes back on another node, leaves; with the stock SDK's habits or the wrapper's. */
export class SimPlayer {
  readonly #parts: SimPlayerParts;
  /** Leaves and drops so often that rooms are made and end all the time. */
  readonly #isFickle: boolean;
  #phase: Phase = "away";
  #seat: Seat | null = null;
  #socket: PlayerSocket | null = null;
  #joins = 0;
  #heardMs = 0;
  #isResting = false;
  /** The present connection was told that it has the seat. */
  #isJoinedHere = false;
  /** Of what the player waits for; answers to earlier ones count for nothing. */
  #turn = 0;

  constructor(parts: SimPlayerParts) {
    this.#parts = parts;
    this.#isFickle = parts.chance.hits(0.3);
  }

  start(): void {
    this.#later(this.#parts.chance.wait(300), () => this.#act());
  }

  /** Nothing new is begun; what was begun is brought to its end. */
  rest(): void {
    this.#isResting = true;
  }

  get isQuiet(): boolean {
    const seat = this.#seat;
    if (seat === null) return this.#phase === "away";
    if (this.#phase !== "attached") return false;
    const waitsFor = [...seat.pending.values()];
    // A handler that was cut short in a replica that all others were replaced by.
    if (
      this.#parts.isTampered(seat.roomId) &&
      waitsFor.length > 0 &&
      waitsFor.every((name) => name === "slow")
    )
      return true;
    return waitsFor.length === 0 && seat.outbox.size === 0;
  }

  get description(): string {
    const seat = this.#seat;
    const open =
      seat === null
        ? ""
        : ` ${seat.account.sessionId} in ${seat.roomId}, waits for [${[...seat.pending.values()].join()}], ${seat.outbox.size} kept`;
    return `${this.#parts.name} (${this.#parts.kind}) is ${this.#phase}${open}`;
  }

  #later(ms: number, run: () => void): void {
    this.#parts.schedule.in(ms, null, run);
  }

  #note(text: string): void {
    this.#parts.trace.note(`${this.#parts.name} ${text}`);
  }

  /** The player's own doings, for ever. */
  #act(): void {
    const { chance } = this.#parts;
    this.#later(chance.wait(this.#phase === "attached" ? 60 : 150), () => this.#act());
    const seat = this.#seat;
    if (this.#phase === "away") {
      if (!this.#isResting) this.#join();
      return;
    }
    if (this.#isSilent()) return this.#giveSocketUp();
    if (seat === null || this.#isResting) return;
    const dice = chance.fraction();
    const mayKeepMore =
      this.#parts.kind === "wrapper" && seat.token !== null && seat.outbox.size < UNANSWERED_MAX;
    const mayPlay = this.#parts.kind === "stock" ? this.#phase === "attached" : mayKeepMore;
    if (dice < (this.#isFickle ? 0.6 : 0.72)) {
      if (mayPlay) this.#fire(seat);
    } else if (dice < (this.#isFickle ? 0.8 : 0.94)) {
      if (mayPlay) this.#play(seat);
    } else if (dice < (this.#isFickle ? 0.955 : 0.975)) {
      if (this.#phase === "attached") this.#drop();
    } else if (this.#phase === "attached" && seat.pending.size === 0 && seat.outbox.size === 0) {
      this.#leave(seat);
    }
  }

  // ── in the room ──────────────────────────────────────────────────────────────────────────────────────────────────

  #fire(seat: Seat): void {
    seat.account.invoked += 1;
    this.#request(seat, "fire", undefined);
  }

  #play(seat: Seat): void {
    const { chance } = this.#parts;
    const name = chance.pick(seat.plays);
    const ms = chance.below(300);
    if (name === "emote") this.#emote(seat);
    else if (name === "shout") this.#command(seat, messageFrame(name, "hello"), null);
    else if (name === "later" || name === "closure") this.#command(seat, messageFrame(name, { ms }), null);
    else this.#request(seat, name, name === "slow" ? { ms: ms / 4 } : undefined);
  }

  /** Also the wrapper does not number it: it is heard at once, or never. */
  #emote(seat: Seat): void {
    const number = this.#parts.eventuals.sends(seat.account.sessionId);
    if (this.#phase === "attached") this.#socket?.tell(messageFrame("emote", { number }));
  }

  #request(seat: Seat, name: string, value: unknown): void {
    const requestId = ++seat.requestId;
    seat.pending.set(requestId, name);
    this.#command(seat, requestFrame(requestId, name, value), requestId);
  }

  #command(seat: Seat, frame: Uint8Array, requestId: number | null): void {
    if (this.#parts.kind === "stock") {
      this.#socket?.tell(frame);
      return;
    }
    const command = seat.outbox.add(frame, requestId);
    if (this.#phase === "attached") this.#socket?.tell(seat.outbox.encode(command));
  }

  #leave(seat: Seat): void {
    this.#parts.coverage.hit("leaves");
    this.#note("leaves");
    this.#socket?.tell(leaveFrame);
    this.#forget(seat);
    const socket = this.#socket;
    this.#socket = null;
    this.#later(500, () => socket?.drop(1000));
  }

  #forget(seat: Seat): void {
    if (this.#parts.kind === "stock") this.#unknown(seat);
    if (seat.outbox.size > 0 || seat.pending.size > 0) seat.account.abandoned = true;
    this.#seat = null;
    this.#phase = "away";
    this.#turn += 1;
  }

  /** What a stock client had in flight when its connection ended was applied, or was not. */
  #unknown(seat: Seat): void {
    const fires = [...seat.pending.values()].filter((name) => name === "fire").length;
    this.#parts.coverage.hit("firesUnknown", fires);
    seat.pending.clear();
  }

  // ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

  #isSilent(): boolean {
    if (this.#socket === null) return false;
    const limitMs = this.#phase === "attached" ? silenceMsMax : answerMsMax;
    return this.#parts.schedule.nowMs - this.#heardMs > limitMs;
  }

  #giveSocketUp(): void {
    this.#note("gives its silent connection up");
    this.#socket?.drop(1006);
    this.#closed(this.#turn, 1006, "silence");
  }

  #drop(): void {
    this.#parts.coverage.hit("drops");
    this.#note("drops");
    this.#socket?.drop(1006);
    this.#closed(this.#turn, 1006, "dropped");
  }

  #join(): void {
    const { chance, name } = this.#parts;
    const process = this.#anyProcess();
    if (process === null) return;
    this.#phase = "joining";
    const turn = ++this.#turn;
    const sessionId = `${name}-${++this.#joins}`;
    const key = `key ${chance.below(3)}`;
    const roomName = this.#parts.roomNameOf(key);
    const back = (run: () => void) =>
      this.#later(chance.wait(5), () => {
        if (turn === this.#turn && this.#phase === "joining") run();
      });
    const fail = (why: string) =>
      back(() => {
        this.#note(`cannot join: ${why}`);
        this.#phase = "away";
      });
    process.onEnd(() => fail("the node ended"));
    this.#later(answerMsMax, () => fail("no answer"));
    this.#parts.schedule.in(chance.wait(5), process, () => {
      const sessions = servingSessions(process);
      if (sessions === null) return fail("the node does not serve");
      findSeat(sessions, { key, sessionId, roomName }).then(
        (roomId) => back(() => this.#reserved(process, { roomId, sessionId, roomName })),
        (error: unknown) => fail(String(error)),
      );
    });
  }

  #reserved(
    process: SimProcess<RoomApp>,
    { roomId, sessionId, roomName }: { roomId: string; sessionId: string; roomName: string },
  ): void {
    const { ledger, kind, led } = this.#parts;
    this.#note(`has seat ${sessionId} in ${roomId}`);
    this.#seat = {
      roomId,
      account: ledger.open({ sessionId, roomId, kind, isInOrder: kind === "stock" || roomName !== "led" }),
      outbox: new Outbox({ commandsMax: UNANSWERED_MAX, bytesMax: 1 << 22 }),
      pending: new Map(),
      emotes: new Map(),
      plays: roomName === "news" ? newsPlays : plays,
      view: roomName === "led" ? new LedView(led, { roomId, sessionId }) : null,
      token: null,
      requestId: 0,
      clockMs: 0,
      received: null,
      beats: 0,
      heard: new Set(),
      attaches: 0,
    };
    this.#connect(process, this.#seat);
  }

  #connect(process: SimProcess<RoomApp>, seat: Seat): void {
    const { schedule, chance, kind } = this.#parts;
    this.#phase = "attaching";
    this.#isJoinedHere = false;
    seat.view?.connected();
    seat.emotes.clear();
    this.#heardMs = schedule.nowMs;
    const turn = ++this.#turn;
    const claim = {
      roomId: seat.roomId,
      sessionId: seat.account.sessionId,
      presentedToken: seat.token,
      wrapper: kind === "wrapper",
      received: seat.received,
    };
    this.#note(`connects to ${process.nodeId}`);
    this.#socket = new PlayerSocket(process, claim, {
      schedule,
      chance,
      listener: {
        frame: (bytes) => {
          if (turn === this.#turn) this.#heard(seat, bytes);
        },
        closed: (code, reason) => this.#closed(turn, code, reason),
      },
    });
  }

  #closed(turn: number, code: number, reason: string): void {
    const seat = this.#seat;
    if (turn !== this.#turn || seat === null) return;
    this.#note(`lost its connection (${code} ${reason})`);
    this.#socket = null;
    this.#turn += 1;
    if (this.#parts.kind === "stock") this.#unknown(seat);
    // Only who never held the token may be told that it is not the seat's.
    hold(
      reason !== "TOKEN_REFUSED",
      "X12",
      () => `${seat.account.sessionId} shows the token that it was given last, and is refused`,
    );
    if (seat.token === null || fatalReasons.has(reason) || code === 4000) {
      this.#note(`gives seat ${seat.account.sessionId} up`);
      if (seat.token !== null) this.#parts.coverage.hit("seatsExpired");
      return this.#forget(seat);
    }
    if (this.#isFickle && this.#parts.chance.hits(0.2)) {
      this.#note("does not come back");
      return this.#forget(seat);
    }
    this.#phase = "waiting";
    this.#comeBack(this.#turn);
  }

  #comeBack(turn: number): void {
    this.#later(10 + this.#parts.chance.wait(120), () => {
      const seat = this.#seat;
      if (turn !== this.#turn || seat === null) return;
      const process = this.#anyProcess();
      if (process === null) this.#comeBack(turn);
      else this.#connect(process, seat);
    });
  }

  #anyProcess(): SimProcess<RoomApp> | null {
    const alive = this.#parts.processes().filter((process) => process.isAlive);
    return alive.length === 0 ? null : this.#parts.chance.pick(alive);
  }

  // ── what it hears ────────────────────────────────────────────────────────────────────────────────────────────────

  #heard(seat: Seat, bytes: Uint8Array): void {
    this.#heardMs = this.#parts.schedule.nowMs;
    const sequenced = decodeSequenced(bytes);
    if (sequenced !== null) {
      hold(this.#parts.kind === "wrapper", "X10", () => "a stock client is told what only the wrapper knows");
      seat.outbox.acknowledge(sequenced.sequence);
      const resumption = decodeResumption(sequenced.frame);
      if (resumption !== null) seat.received = resumption.received;
      if (this.#phase === "attaching" && this.#isJoinedHere) this.#attached(seat);
      return;
    }
    if (seat.view?.frame(bytes) === true) this.#parts.coverage.hit("ledStatesSeen");
    const heard = readFrame(decodeUnnumbered(bytes) ?? bytes);
    if (heard.type === "message" && heard.name === "emote")
      return this.#parts.eventuals.heard(seat.account.sessionId, heard.value as Emote, seat.emotes);
    switch (heard.type) {
      case "joined":
        return this.#joined(seat, heard.token);
      case "response":
        return this.#answered(seat, heard);
      case "message":
        return this.#message(seat, heard);
      case "request":
      case "other":
        return;
    }
  }

  #joined(seat: Seat, token: string): void {
    const { coverage, kind } = this.#parts;
    seat.token = token;
    this.#parts.ledger.given(seat.account.sessionId, token);
    seat.attaches += 1;
    this.#isJoinedHere = true;
    coverage.hit(seat.attaches === 1 ? "joins" : "reattachments");
    this.#note(`is attached for the ${seat.attaches}. time`);
    this.#socket?.tell(joinedFrame);
    if (kind === "stock") this.#phase = "attached";
  }

  #attached(seat: Seat): void {
    this.#phase = "attached";
    const frames = seat.outbox.resend();
    this.#parts.coverage.hit("commandsResent", frames.length);
    for (const frame of frames) this.#socket?.tell(frame);
  }

  #answered(seat: Seat, { requestId, status, value }: Extract<Heard, { type: "response" }>): void {
    const { coverage, ledger } = this.#parts;
    const name = seat.pending.get(requestId);
    if (name === undefined) {
      // It was told before: a reply is kept until the wrapper's next requests push it out.
      coverage.hit("repliesRemembered");
      return;
    }
    seat.pending.delete(requestId);
    seat.outbox.answered(requestId);
    const isFailure = name === "throws" || name === "rejects";
    // What was done to one replica behind the log's back its players may hear of before anybody knows.
    const isCutShort = name === "slow" && status !== 0 && this.#parts.isTampered(seat.roomId);
    hold(
      (status !== 0) === isFailure || isCutShort,
      "X13",
      () => `request "${name}" of ${seat.account.sessionId} has status ${status}: ${JSON.stringify(value)}`,
    );
    if (name === "throws") coverage.hit("throwsInRooms");
    if (name === "rejects") coverage.hit("rejectionsInRooms");
    if (name !== "fire") return;
    coverage.hit("firesAnswered");
    const { shots } = value as { shots: number };
    this.#note(`shot ${shots}`);
    ledger.answered(seat.account, shots);
  }

  /** A stock client that comes back hears what nobody had sent it before anything newer. */
  #holdOwed(seat: Seat, number: number): void {
    const { kind, owed, isTroubled } = this.#parts;
    seat.heard.add(number);
    const epoch = this.#socket?.epoch ?? null;
    if (kind !== "stock" || epoch === null || isTroubled(seat.roomId)) return;
    const { sessionId } = seat.account;
    const lacking = owed.lacking(sessionId, epoch, number, seat.heard);
    hold(
      lacking.length === 0,
      "X53",
      () => `${sessionId} is told ${number} in epoch ${epoch}, and was never told ${lacking.join()}`,
    );
  }

  #message(seat: Seat, { name, value }: Extract<Heard, { type: "message" }>): void {
    this.#parts.coverage.hit("broadcasts");
    const { clockMs, beats } = value as { clockMs: number; beats?: number };
    if (seat.received !== null) seat.received += 1;
    if (beats !== undefined) {
      hold(
        beats > seat.beats || this.#parts.isTampered(seat.roomId),
        "Y55",
        () => `${seat.account.sessionId} is told beat ${beats} after ${seat.beats}`,
      );
      seat.beats = beats;
      this.#holdOwed(seat, beats);
      this.#parts.led.holdSaid(seat.roomId, seat.account.sessionId, beats);
    }
    // A replica that was tampered with may stand still before it is found.
    hold(
      clockMs >= seat.clockMs || this.#parts.isTampered(seat.roomId),
      "X11",
      () => `"${name}" sets the clock of ${seat.account.sessionId} back from ${seat.clockMs} to ${clockMs}`,
    );
    seat.clockMs = clockMs;
  }
}
