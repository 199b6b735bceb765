import type { AttachedClient, AttachedClients } from "../session/attached-clients.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

export const drainDefaults = Object.freeze({
  lookMs: 50,
  /** Clients are sent on one by one, so that all are under way after about so long. */
  spreadMs: 3_000,
  /** Clients that were sent on and are still here. */
  movesUnderWayMax: 64,
  /** A client that was asked to go and is still here by then is closed. */
  moveMsMax: 5_000,
  /** The stock SDK comes back only to a room that it has been in for 5 s, by its own clock. */
  stockUptimeMs: 5_250,
  /** A client that is closed loses the answers that it waits for: so long a moment without any is waited for. */
  busyMsMax: 1_000,
  /** Clients that this node has given a seat may be on their way to it, and a balancer looks only now and then. */
  lingerMs: 1_000,
  /** No other node has taken clients for so long: a link may fail for a moment. */
  nowhereMsMax: 300,
});

/** What is still here. */
export interface DrainLeft {
  readonly clients: number;
  /** Rooms of this process alone. */
  readonly plainRooms: number;
  /** Groups that this node leads. */
  readonly leads: number;
}

export type DrainEnd =
  /** Nobody is here any more. */
  | "empty"
  /** No other node takes clients: to wait would help nobody. */
  | "nowhere"
  | "late"
  /** It was asked to end at once. */
  | "hurried";

export interface DrainLimits {
  readonly timeoutMs: number;
  /** Plain rooms may save what they have, though nobody waits for clients. */
  readonly plainRoomsMsMin: number;
}

export interface DrainParts {
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
  /** Null: this node does not serve yet. */
  readonly clients: () => AttachedClients | null;
  /** Tells the others that clients go elsewhere from now on, and gives away what this node leads. */
  readonly begin: () => Promise<void>;
  readonly isSomewhereElse: () => boolean;
  readonly plainRooms: {
    readonly count: number;
    /** They may take their time; to be said again, for who has come meanwhile. */
    end(): void;
  };
  readonly leads: () => number;
  /** Rooms that no other node could go on with, since none has their code: whoever plays there stays until they end. */
  readonly roomsOnlyHere: () => number;
}

/** Empties a node that is to end: leads are handed over, then clients go to other nodes, a few at a time. */
export class Drain {
  readonly #parts: DrainParts;
  /** When each was sent on. */
  readonly #sentMs = new Map<AttachedClient, number>();
  /** Since when each could have been closed, and was busy. */
  readonly #busyMs = new Map<AttachedClient, number>();
  #isHurried = false;
  #somewhereElseMs: number;

  constructor(parts: DrainParts) {
    this.#parts = parts;
    this.#somewhereElseMs = this.#nowMs;
  }

  get left(): DrainLeft {
    const { clients, plainRooms, leads } = this.#parts;
    return { clients: clients()?.size ?? 0, plainRooms: plainRooms.count, leads: leads() };
  }

  /** It is not waited any longer. */
  hurry(): void {
    this.#isHurried = true;
  }

  /** Resolves when nobody is left, or it makes no sense to wait; who is left then is for the stop to close. */
  async run(limits: DrainLimits): Promise<DrainEnd> {
    const { clock, log, begin, plainRooms } = this.#parts;
    const begunMs = this.#nowMs;
    const { timeoutMs } = limits;
    const facts = { event: "drain-begun", ...this.left, timeoutMs };
    log.info(facts, `draining: ${describeLeft(this.left)} to go, in at most ${timeoutMs} ms`);
    const begun = begin();
    plainRooms.end();
    await begun;
    const atOnceMax = Math.ceil((this.left.clients * drainDefaults.lookMs) / drainDefaults.spreadMs);
    this.#somewhereElseMs = this.#nowMs;
    const end = await new Promise<DrainEnd>((resolve) => {
      const look = () => {
        plainRooms.end();
        const over = this.#over(this.#nowMs - begunMs, limits);
        if (over !== null) return resolve(over);
        this.#closeLate();
        this.#sendOn(Math.max(atOnceMax, 1));
        clock.setTimer(look, drainDefaults.lookMs);
      };
      look();
    });
    this.#tell(end, Math.round(this.#nowMs - begunMs));
    return end;
  }

  /** Null: it goes on. */
  #over(tookMs: number, { timeoutMs, plainRoomsMsMin }: DrainLimits): DrainEnd | null {
    const { clients, plainRooms } = this.left;
    const left = clients + plainRooms + this.#parts.roomsOnlyHere();
    const isSomewhereElse = this.#parts.isSomewhereElse();
    const lingers =
      isSomewhereElse && !this.#isHurried && tookMs < Math.min(drainDefaults.lingerMs, timeoutMs);
    if (left === 0 && !lingers) return "empty";
    if (this.#isHurried) return "hurried";
    if (isSomewhereElse) this.#somewhereElseMs = this.#nowMs;
    const isNowhere = this.#nowMs - this.#somewhereElseMs >= drainDefaults.nowhereMsMax;
    if (plainRooms > 0 && tookMs < plainRoomsMsMin) return null;
    if (tookMs >= timeoutMs) return "late";
    return isNowhere ? "nowhere" : null;
  }

  #sendOn(atOnceMax: number): void {
    const clients = this.#parts.clients();
    if (clients === null || !this.#parts.isSomewhereElse() || this.#parts.roomsOnlyHere() > 0) return;
    for (const client of this.#sentMs.keys()) if (!clients.has(client)) this.#sentMs.delete(client);
    let sent = 0;
    for (const [client, sinceMs] of clients.all) {
      if (sent >= atOnceMax || this.#sentMs.size >= drainDefaults.movesUnderWayMax) return;
      if (this.#sentMs.has(client)) continue;
      if (!client.movesItself && !this.#mayBeClosed(client, sinceMs)) continue;
      this.#busyMs.delete(client);
      this.#sentMs.set(client, this.#nowMs);
      sent += 1;
      if (client.movesItself) client.ask();
      else client.close(why);
    }
  }

  #mayBeClosed(client: AttachedClient, sinceMs: number): boolean {
    const nowMs = this.#nowMs;
    if (!client.cameBack && nowMs - sinceMs < drainDefaults.stockUptimeMs) return false;
    if (!client.isBusy) return true;
    const busyMs = this.#busyMs.get(client) ?? nowMs;
    this.#busyMs.set(client, busyMs);
    return nowMs - busyMs >= drainDefaults.busyMsMax;
  }

  /** Those that do not know the request, or found no node. */
  #closeLate(): void {
    for (const [client, sentMs] of this.#sentMs)
      if (this.#nowMs - sentMs >= drainDefaults.moveMsMax) client.close(why);
  }

  #tell(end: DrainEnd, tookMs: number): void {
    const { log } = this.#parts;
    const { left } = this;
    const facts = { event: "drain-ended", end, tookMs, ...left };
    if (end === "empty") log.info(facts, `drained in ${tookMs} ms: nobody is left`);
    else log.warn(facts, `ends after ${tookMs} ms of draining, ${ends[end]}: ${describeLeft(left)} left`);
  }

  get #nowMs(): number {
    return this.#parts.clock.now().monotonicMs;
  }
}

const why = "this node stops: go on elsewhere";

const ends: Readonly<Record<Exclude<DrainEnd, "empty">, string>> = {
  nowhere: "since no other node takes clients",
  late: "as long as it may take",
  hurried: "since it was asked again",
};

function describeLeft({ clients, plainRooms, leads }: DrainLeft): string {
  return [counted(clients, "client"), counted(plainRooms, "plain room"), counted(leads, "lead")].join(", ");
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
