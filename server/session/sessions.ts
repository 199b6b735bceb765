import { encodeAck } from "../../shared/wrapper-protocol.ts";
import { Attached } from "./attached.ts";
import { AttachedClients } from "./attached-clients.ts";
import type { AuthOutcome } from "./auth-outcome.ts";
import { DivergenceWatches } from "./divergence/divergence-watches.ts";
import { EffectRunner } from "./effect-runner.ts";
import { Eventuals } from "./eventuals.ts";
import { LeadRunner } from "./lead-runner.ts";
import { abnormalClosure, type LiveSocket } from "./live-socket.ts";
import { checkPlainData } from "./plain-data.ts";
import { type ArgumentOf, Proposer } from "./proposer.ts";
import { RestWatch } from "./rest-watch.ts";
import { RoomArrivals } from "./room-arrivals.ts";
import { groupOfKey, groupOfRoom, roomIdFor } from "./room-id.ts";
import { RoomMarks } from "./room-mark.ts";
import type { RoomReplica } from "./room-replica.ts";
import { noRoomWatch } from "./room-watch.ts";
import { foreignRoom, isRefusal, SessionError, unlessRefused } from "./session-error.ts";
import type { SessionGroups } from "./session-groups.ts";
import { SessionMachine } from "./session-machine.ts";
import { sessionMenu } from "./session-menu.ts";
import type { SessionsOptions } from "./sessions-options.ts";
import { Sweeper } from "./sweeper.ts";

type RandomBytes = (bytes: number) => Uint8Array;

/** How often a leader looks for seats of lost nodes and rooms that are gone. */
const sweepIntervalMs = 250;
const retryDetachMs = 100;

/** All rooms of this node, and the way from a player's wish to a command in the log. */
export class Sessions {
  readonly nodeId: string;
  readonly machines: readonly SessionMachine[];
  /** Compares this node's replicas with the others'. */
  readonly divergences: DivergenceWatches;
  /** Those of this node. */
  readonly clients: AttachedClients;
  readonly eventuals: Eventuals;
  readonly #options: SessionsOptions;
  readonly #rooms = new Map<string, RoomReplica>();
  readonly #waitingSockets = new Map<number, LiveSocket>();
  readonly #proposer: Proposer;
  readonly #marks: RoomMarks;
  readonly #sweeper: Sweeper;
  readonly #effects: EffectRunner;
  readonly #restWatch: RestWatch;
  readonly #leads: LeadRunner;
  #groups: SessionGroups | null = null;
  readonly #arrivals = new RoomArrivals((act, ms) => this.later(act, ms));
  readonly #timers = new Set<() => void>();
  #stopped = false;
  #attachId = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.clients = new AttachedClients(() => options.clock.now().monotonicMs);
    this.#marks = options.marks ?? new RoomMarks();
    this.machines = Array.from({ length: options.groups }, (_, group) => this.#machine(group));
    this.#sweeper = this.#makeSweeper();
    const { nodeId, log, clock } = options;
    const groups = () => this.#bound;
    this.#proposer = new Proposer({
      ...{ machines: this.machines, groups },
      groupOf: (roomId) => this.groupOf(roomId),
      notServed: (roomId) => this.notServed(roomId),
    });
    this.eventuals = new Eventuals({
      ...{ nodeId, log, machines: this.machines, groups },
      soon: (act) => this.later(act, 0),
    });
    this.#effects = new EffectRunner({
      ...{ nodeId, log, machines: this.machines, groups },
      soon: (act) => this.later(act, 0),
      propose: (roomId, done) =>
        this.#proposer.toRoom(roomId, "effectDone", (sequence) => ({ ...done, sequence, roomId })),
    });
    const nowMs = () => clock.now().monotonicMs;
    this.#restWatch = new RestWatch({ nowMs, log, rooms: () => this.#rooms.values() });
    this.#leads = new LeadRunner({
      ...{ nodeId, log, machines: this.machines, groups },
      soon: (act) => this.later(act, 0),
      watch: options.watch ?? noRoomWatch,
      beginRun: (group, run) => this.#proposer.outcome(group, "beginRun", run),
      step: (group, piece) => this.#proposer.outcome(group, "step", piece),
    });
    this.divergences = new DivergenceWatches({
      ...{ nodeId, log, machines: this.machines, nowMs, groups },
    });
  }

  /** The groups are running: from now on there is somewhere to propose to. */
  bind(groups: SessionGroups): void {
    this.#groups = groups;
  }

  get rooms(): ReadonlyMap<string, RoomReplica> {
    return this.#rooms;
  }

  room(roomId: string): RoomReplica | undefined {
    return this.#rooms.get(roomId);
  }

  /** This node's replica of the room takes no part just now; others' may. */
  standsStill(roomId: string): boolean {
    const group = this.groupOf(roomId);
    return group !== null && this.machines[group]?.standing(roomId) !== undefined;
  }

  /** Why a room that is not among `rooms`, or stands still, cannot be had here. */
  notServed(roomId: string): SessionError {
    const group = this.groupOf(roomId);
    const machine = group === null ? undefined : this.machines[group];
    if (machine === undefined) return foreignRoom(roomId);
    const { refused, message } = machine.notServed(roomId);
    return new SessionError(refused, message);
  }

  groupOf(roomId: string): number | null {
    return groupOfRoom(roomId, this.machines.length);
  }

  /** The room as of now: a replica that merely lags is waited for before a room or seat is called unknown (design 5.6). */
  async freshRoom(roomId: string): Promise<RoomReplica | undefined> {
    const group = this.groupOf(roomId);
    if (group === null) return undefined;
    await this.caughtUp(group);
    return this.room(roomId);
  }

  /** A room that a switch brings to this node's code is waited for, `mostMs` at most; any other is as it is. */
  async untilHere(roomId: string, mostMs: number): Promise<void> {
    const group = this.groupOf(roomId);
    const odd = () => this.machines[group ?? -1]?.odd.get(roomId);
    if (group === null || !odd()?.foreign) return;
    // Whoever comes was sent on by the switch, perhaps, which this node may not have applied yet.
    await this.caughtUp(group).catch(() => {});
    if (odd()?.isComing) await this.#arrivals.until(roomId, mostMs);
  }

  /** Everything that was committed in the group before this call is applied here. */
  caughtUp(group: number): Promise<void> {
    return this.#bound.barrier(group);
  }

  /**
   * The room of a filter key, made if there is none (`fresh`: in any case).
   * @param random chance; whoever may ask again for the same room brings bytes that come again
   * @throws SessionError NOT_PLAIN_DATA, ROOM_CREATE_FAILED with onCreate's words, ROOMS_TOO_MANY, OVERLOADED, NO_LEADER
   */
  async allocate(
    wish: { key: string; roomName: string; options: unknown; fresh: boolean; exclude: string | null },
    random: RandomBytes = this.#options.random,
  ): Promise<string> {
    checkPlainData(wish.options, "options");
    const key = wish.fresh ? `${wish.key}\n${tokenOf(random)}` : wish.key;
    const group = groupOfKey(key, this.machines.length);
    const roomId = roomIdFor(group, random);
    const result = await this.#proposer.toDirectory(group, "allocate", (sequence) => ({
      ...wish,
      key,
      sequence,
      roomId,
      seed: random(12),
      code: this.#options.code ?? "",
    }));
    return (unlessRefused(result) as { roomId: string }).roomId;
  }

  /**
   * @param seat `mayRepeat`: whoever has it already, or has it reserved, gets it once more
   * @returns false if the room is full, locked or going away
   * @throws SessionError NOT_PLAIN_DATA
   */
  async reserve(
    roomId: string,
    seat: { sessionId: string; options: unknown; auth: unknown; seconds: number; mayRepeat?: boolean },
  ): Promise<boolean> {
    checkPlainData(seat.options, "options");
    checkPlainData(seat.auth, "auth");
    const result = await this.#proposer.toRoom(roomId, "reserve", (sequence) => ({
      mayRepeat: false,
      ...seat,
      sequence,
      roomId,
    }));
    return unlessRefused(result) as boolean;
  }

  /**
   * Attaches a client's socket to its seat.
   * @throws SessionError SEAT_EXPIRED, TOKEN_REFUSED, ROOM_NOT_FOUND, or what onJoin throws
   */
  async attach(
    roomId: string,
    socket: LiveSocket,
    seat: {
      sessionId: string;
      presentedToken: string | null;
      wrapper: boolean;
      skipHandshake: boolean;
      auth: AuthOutcome;
      received?: number | null;
    },
  ): Promise<Attached> {
    const attachId = ++this.#attachId;
    this.#waitingSockets.set(attachId, socket);
    try {
      const result = await this.#proposer.toRoom(roomId, "attach", (sequence) => ({
        received: null,
        ...seat,
        sequence,
        roomId,
        attachId,
        token: tokenOf(this.#options.random),
      }));
      const { epoch, joined } = unlessRefused(result) as { epoch: number; joined: Promise<void> | null };
      await joined;
      return new Attached(this, { roomId, sessionId: seat.sessionId, epoch, socket });
    } finally {
      this.#waitingSockets.delete(attachId);
    }
  }

  /** Detaches the seat, whatever it takes: it must not look taken for ever. */
  detachSurely(roomId: string, sessionId: string, epoch: number, code: number): void {
    this.#detach(roomId, sessionId, epoch, code).catch(() => {
      this.later(() => this.detachSurely(roomId, sessionId, epoch, code), retryDetachMs);
    });
  }

  async #detach(roomId: string, sessionId: string, epoch: number, code: number): Promise<void> {
    const detach = (sequence: number) => ({ sequence, roomId, sessionId, epoch, code });
    const result = await this.#proposer.toRoom(roomId, "detach", detach);
    if (isRefusal(result) && result.refused === "ROOM_FROZEN") unlessRefused(result);
  }

  /** Runs a method of the room on every replica: the way for changes from outside (design 5.4). */
  async call(roomId: string, method: string, data: unknown[]): Promise<unknown> {
    checkPlainData(data, "data");
    const result = await this.#proposer.toRoom(roomId, "call", (sequence) => ({
      sequence,
      roomId,
      method,
      data,
    }));
    return await (unlessRefused(result) as unknown);
  }

  /** See switchRoom. @returns why it was not even asked for; null: as far as this node can say, nothing stands against it */
  async switchCode(roomId: string, to: string): Promise<string | null> {
    const group = this.groupOf(roomId);
    if (group === null) throw foreignRoom(roomId);
    return (await this.#proposer.outcome(group, "switchCode", { roomId, to }))?.message ?? null;
  }

  /** A client's frame on its way into the log; the caller numbers it. Null: refused now (OVERLOADED), nothing was sent. */
  message(frame: Omit<ArgumentOf<"message">, "roomId"> & { roomId: string }): Promise<unknown> | null {
    const group = this.groupOf(frame.roomId);
    if (group === null) return null;
    const command = sessionMenu.encode("message", frame, this.#bound.level(group));
    if (!this.#bound.accepts(group, command.length)) return null;
    return this.#bound.propose(group, command);
  }

  nowMs(): number {
    return this.#options.clock.now().monotonicMs;
  }

  /** From now on this node takes care of what nobody asks for: its earlier starts' seats, lost nodes' seats, gone rooms. */
  begin(): void {
    this.#sweepIn(0);
  }

  /** Nothing is begun any more by itself; what is under way is not called back. */
  stop(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#stopped = true;
    this.#effects.stop();
    this.#leads.stop();
  }

  /** Calls `act` once, `ms` from now, unless this node stops before. */
  later(act: () => void, ms: number): void {
    if (this.#stopped) return;
    const cancel = this.#options.clock.setTimer(() => {
      this.#timers.delete(cancel);
      act();
    }, ms);
    this.#timers.add(cancel);
  }

  /** What is done every `sweepIntervalMs` by itself. */
  sweep(): void {
    this.#sweeper.sweep();
    this.#effects.sweep();
    this.#leads.sweep();
    this.divergences.tick();
    this.#restWatch.tick();
    this.#options.swept?.();
  }

  // -----------------------------------------------------------------------------------------------------------------

  get #bound(): SessionGroups {
    if (this.#groups === null)
      throw new SessionError("NO_LEADER", "this node's groups are not running yet: try again");
    return this.#groups;
  }

  #makeSweeper(): Sweeper {
    const { nodeId, bootCount, isLost, leaderlessMsMax = 1_000, log } = this.#options;
    return new Sweeper({
      ...{ nodeId, bootCount, isLost, leaderlessMsMax, log, machines: this.machines, marks: this.#marks },
      isLeader: (group) => this.#bound.isLeader(group),
      leaderlessMs: (group) => this.#bound.leaderlessMs(group),
      caughtUp: (group) => this.caughtUp(group),
      ended: (group) => this.divergences.ended(group),
      lost: (group) => this.divergences.lost(group),
      forget: (group, roomId) => this.#forget(group, roomId),
      nodeLost: (group, lost) => this.#proposer.unnumbered(group, "nodeLost", lost),
      nodeFound: (group, found) => this.#proposer.unnumbered(group, "nodeFound", found),
      propose: (group, quarantine) => this.#proposer.unnumbered(group, "quarantine", quarantine),
    });
  }

  #machine(group: number): SessionMachine {
    const { nodeId, bootCount, programs, log, watch, checkpointTaken, pictureDifference } = this.#options;
    const { code = "" } = this.#options;
    return new SessionMachine({
      group,
      checkpointTaken,
      pictureDifference,
      watch: watch ?? noRoomWatch,
      marks: this.#marks,
      nodeId,
      bootCount,
      code,
      programs,
      log,
      encodeAck,
      leads: (term) => {
        const lead = this.#bound.lead(group);
        return lead.leaderId === nodeId && lead.term === term;
      },
      effectOpened: (roomId, effect) => this.#effects.opened({ group, roomId, effect }),
      takeSocket: (attachId) => {
        const socket = this.#waitingSockets.get(attachId) ?? null;
        this.#waitingSockets.delete(attachId);
        return socket;
      },
      orphaned: (roomId, sessionId, epoch) => {
        // The client gave up before its attach was applied: the seat must not look taken.
        this.later(() => this.detachSurely(roomId, sessionId, epoch, abnormalClosure), 0);
      },
      noticed: (notice) => this.divergences.noticed(group, notice),
      drained: () => {
        this.divergences.drained(group);
        this.#effects.drained(group);
        this.#leads.drained(group);
      },
      isLacking: (nodeId) => this.divergences.isLacking(group, nodeId),
      heard: (from, body) => {
        if (!this.eventuals.heard(group, from, body)) this.divergences.heard(group, from, body);
      },
      roomAdded: (replica) => this.#roomAdded(replica),
      roomRemoved: (replica) => {
        this.#rooms.delete(replica.roomId);
        // A replica that differs has ended by itself: the room goes on, and so do its numbers.
        if (!this.standsStill(replica.roomId)) this.#proposer.roomRemoved(replica.roomId);
      },
    });
  }

  #roomAdded(replica: RoomReplica): void {
    const { roomId, origins } = replica;
    this.#rooms.set(roomId, replica);
    this.#arrivals.came(roomId);
    this.#proposer.roomAdded(roomId, origins.lastOf(this.#options));
  }

  #sweepIn(ms: number): void {
    this.later(() => {
      this.sweep();
      this.#sweepIn(sweepIntervalMs);
    }, ms);
  }

  async #forget(group: number, roomId: string): Promise<void> {
    await this.#proposer.toDirectory(group, "forget", (sequence) => ({ sequence, roomId }));
  }
}

function tokenOf(random: RandomBytes): string {
  return Buffer.from(random(15)).toString("base64url");
}
