import { matchMaker } from "@colyseus/core";
import { codeOf } from "../cluster/doors.ts";
import type { Fail, Log } from "../cluster/log.ts";
import { TestudoNode } from "../cluster/node.ts";
import { type NodeParts, realNodeParts } from "../cluster/node-parts.ts";
import type { NodeOptions } from "../cluster/options.ts";
import type { Machine } from "../group/machine.ts";
import { Keeper } from "../menu/keeper.ts";
import type { KeeperMachine } from "../menu/keeper-machine.ts";
import type { DivergenceCounts } from "../session/divergence/divergence-book.ts";
import { savedDifference } from "../session/divergence/room-difference.ts";
import type { Verdict } from "../session/divergence/verdict.ts";
import type { EventualCounts } from "../session/eventuals.ts";
import { mayTryReconnect } from "../session/live-socket.ts";
import { RoomMarks } from "../session/room-mark.ts";
import { noRoomWatch } from "../session/room-watch.ts";
import { unpackRoom } from "../session/saved-room.ts";
import { refuseInside } from "../session/session-error.ts";
import type { SessionMachine } from "../session/session-machine.ts";
import { Sessions } from "../session/sessions.ts";
import { type CodeSwitched, CodeSwitches } from "./code-switches.ts";
import { ColyseusPrograms } from "./colyseus-programs.ts";
import { engineWords } from "./fingerprint/engine.ts";
import { replicatedOptions } from "./replicated.ts";
import type { ExportRecord } from "./room-export/export-record.ts";
import { takeExport } from "./room-export/take-export.ts";
import { type RoomFailures, roomFailures } from "./room-failures.ts";
import { RoomShadow } from "./room-shadow.ts";
import { absentRooms, type RoomStatus, roomStatus } from "./room-status.ts";
import { RoomUpgrades } from "./room-upgrades.ts";
import { testudoVersion } from "./testudo-version.ts";
import { UpgradeTrial } from "./upgrade-trial.ts";

export interface RoomNodeSetup {
  readonly options: NodeOptions;
  readonly log: Log;
  /** Ends the process (design 4.4); see failHard. */
  readonly fail: Fail;
  /** By default the machine's own clock, chance, disk and network. */
  readonly parts?: NodeParts;
  /** What stands between a group and its machine: for a simulator that looks on. By default nothing. */
  readonly watch?: (group: number, machine: SessionMachine) => Machine;
  readonly watchKeeper?: (group: number, machine: KeeperMachine) => Machine;
}

/** The keeper's group, behind those of the rooms. */
export const keeperGroups = 1;

/** A node with the session layer and Colyseus's rooms on it: everything but the clients' transport. */
export class RoomNode {
  readonly node: TestudoNode;
  readonly programs = new ColyseusPrograms();
  /** Keys and the like, which belong to no room. */
  readonly keeper: Keeper;
  readonly #setup: RoomNodeSetup;
  readonly #parts: NodeParts;
  #sessions: Sessions | null = null;
  #switches: CodeSwitches | null = null;
  #upgrades: RoomUpgrades | null = null;
  #isRemoved = false;
  #begun: Promise<void> = Promise.resolve();

  constructor(setup: RoomNodeSetup) {
    const { options, log, fail } = setup;
    this.#setup = setup;
    this.#parts = setup.parts ?? realNodeParts(options, log);
    this.keeper = new Keeper({
      clock: this.#parts.clock,
      newId: () => Buffer.from(this.#parts.randomBytes(12)).toString("hex"),
      failed: (error) => log.error({ error: String(error) }, "what listens to the keeper has thrown"),
      guard: refuseInside,
    });
    this.node = new TestudoNode({
      options,
      log,
      fail,
      removed: (error) => {
        this.#isRemoved = true;
        void this.stop().then(() => fail(error), fail);
      },
      parts: this.#parts,
      machineFor: (group) => this.#machine(group),
      groupsBeside: keeperGroups,
    });
  }

  /** Null until this node's groups run. */
  get sessions(): Sessions | null {
    return this.#sessions;
  }

  /** Clients may be served: null before, and once the node stops. */
  get servingSessions(): Sessions | null {
    return this.node.life.serves ? this.#sessions : null;
  }

  /** Opens disk and links, and waits until the cluster is founded and every group has a leader. */
  async start(): Promise<Sessions> {
    await this.node.start();
    try {
      await this.node.ready();
    } catch (error) {
      // The process is about to end, and says why itself.
      if (this.#isRemoved) await new Promise<never>(() => {});
      throw error;
    }
    this.#begun = this.keeper.begin().catch((error) => this.#setup.fail(error));
    return this.#session();
  }

  /** Resolves once whoever listens is told all that is said in channels from then on. Only after `start`. */
  get hears(): Promise<void> {
    return this.#begun;
  }

  /** Sends the clients to other nodes, hands over the lead, closes everything; `closing` once the clients were told. */
  async stop(closing: () => void = () => {}): Promise<void> {
    this.#sessions?.stop();
    for (const replica of this.#sessions?.rooms.values() ?? [])
      replica.sockets.closeAll(mayTryReconnect, "this node stops");
    closing();
    await this.node.stop();
  }

  /** This node's replicas, for operators. */
  rooms(): RoomStatus[] {
    const machines = [...(this.#sessions?.machines ?? []).entries()];
    return machines.flatMap(([group, machine]) => [
      ...[...machine.rooms.values()].map((replica) =>
        roomStatus(replica, group, machine.standing(replica.roomId)),
      ),
      ...absentRooms(machine, group, (odd) => this.#upgrades?.whyNot(odd) ?? null),
    ]);
  }

  /** Replicas of this node that were found to differ from the others'. */
  divergences(): DivergenceCounts {
    return this.#sessions?.divergences.counts ?? { count: 0, healed: 0, newest: [] };
  }

  /** For operators: see DivergenceWatches. @throws SessionError */
  async thaw(roomId: string, holder: string): Promise<Verdict> {
    return await this.#session().divergences.thaw(roomId, holder);
  }

  /** One room's history, for operators: see takeExport. @throws {ExportError} */
  async exportRoom(roomId: string): Promise<AsyncGenerator<ExportRecord>> {
    const { node } = this;
    const about = {
      clusterId: node.founding?.clusterId ?? "",
      nodeId: node.options.id,
      takenAtMs: Math.floor(this.#parts.clock.now().wallMs),
      engine: engineWords(),
      testudo: testudoVersion(),
    };
    const { storage } = this.#parts;
    return await takeExport({ sessions: this.#session(), engine: node.engine, storage, about }, roomId);
  }

  /** For operators: see CodeSwitches. Null: all of them. @throws SessionError */
  async switchCode(roomId: string | null): Promise<CodeSwitched[]> {
    this.#session();
    const switches = this.#switches as CodeSwitches;
    return roomId === null ? await switches.all() : [await switches.one(roomId)];
  }

  /** Messages that are in no log. */
  eventuals(): EventualCounts {
    return this.#sessions?.eventuals.counts ?? { run: 0, dropped: 0 };
  }

  roomFailures(): RoomFailures {
    return roomFailures(this.#sessions?.machines ?? []);
  }

  #machine(group: number): Machine {
    const machines = this.#session().machines;
    if (group === machines.length)
      return this.#setup.watchKeeper?.(group, this.keeper.machine) ?? this.keeper.machine;
    const machine = machines[group];
    if (machine === undefined) throw new Error(`there is no group ${group}`);
    return this.#setup.watch?.(group, machine) ?? machine;
  }

  #sameCode(): ReadonlySet<string> {
    const { node } = this;
    const { id } = node.options;
    const code = codeOf(node.gossip.of(id));
    const others = node.elsewhere().filter((other) => codeOf(node.gossip.of(other.node)) === code);
    return new Set([...(node.door === "open" ? [id] : []), ...others.map((other) => other.node)]);
  }

  #session(): Sessions {
    if (this.#sessions !== null) return this.#sessions;
    const { node } = this;
    const { options, log } = this.#setup;
    const { clock, randomBytes, watchdog } = this.#parts;
    const sessionLog = log.child({ part: "session" });
    const shadow = new RoomShadow({ nodeId: options.id, log: sessionLog });
    const watch = watchdog ?? noRoomWatch;
    const marks = new RoomMarks(watchdog?.found ?? [], (mark) => watchdog?.remove(mark));
    const sessions = new Sessions({
      nodeId: options.id,
      checkpointTaken: options.shadowRestore ? (replica, bytes) => shadow.compare(replica, bytes) : undefined,
      pictureDifference: options.shadowRestore ? savedDifference : undefined,
      bootCount: node.identity.bootCount,
      code: this.#parts.code?.().code ?? options.code,
      groups: node.founding === null ? options.groups : node.founding.groups - keeperGroups,
      programs: this.programs,
      isLost: (nodeId) => node.isLost(nodeId),
      log: sessionLog,
      watch,
      marks,
      swept: () => this.#upgrades?.sweep(),
      leaderlessMsMax: options.leaderlessMs,
      random: (bytes) => randomBytes(bytes),
      clock,
    });
    sessions.bind({
      propose: (group, command, how) => node.engine.propose(group, command, how),
      accepts: (group, commandBytes) => node.engine.accepts(group, commandBytes),
      barrier: (group) => node.engine.barrier(group),
      isLeader: (group) => node.engine.isLeader(group),
      leaderlessMs: (group) => {
        const sinceMs = node.engine.leaderlessSinceMs(group);
        return sinceMs === null ? null : clock.now().monotonicMs - sinceMs;
      },
      lead: (group) => node.engine.talk.lead(group),
      configuration: (group) => node.engine.talk.configuration(group),
      level: (group) => node.engine.level(group),
      tell: (group, to, body) => node.engine.talk.tell(group, to, body),
      isBusy: (to) => node.engine.talk.isBusy(to),
    });
    const keeperGroup = sessions.machines.length;
    this.keeper.bind({
      propose: (command, how) => node.engine.propose(keeperGroup, command, how),
      read: (how) => node.engine.read(keeperGroup, how),
      talk: {
        self: node.options.id,
        members: () => [node.options.id, ...node.engine.talk.others(keeperGroup)],
        tell: (to, body) => node.engine.talk.tell(keeperGroup, to, body),
      },
      get level() {
        return node.engine.level(keeperGroup);
      },
    });
    this.programs.bind(sessions);
    this.#sessions = sessions;
    const failure = (checkpoint: Uint8Array) => cannotBeSwitched(checkpoint) ?? shadow.failure(checkpoint);
    const trial = new UpgradeTrial({ sessions, watch, marks, failure });
    this.#switches = new CodeSwitches({ sessions, trial });
    this.#upgrades = new RoomUpgrades({
      ...{ sessions, trial, switches: this.#switches, log: sessionLog },
      sameCode: () => this.#sameCode(),
      configuration: (group) => node.engine.talk.configuration(group),
      upgradeOf: (roomName) => replicatedOptions(matchMaker.getRoomClass(roomName)).upgrade ?? "end",
    });
    return sessions;
  }
}

/** Null: it can, as far as its class goes. */
function cannotBeSwitched(checkpoint: Uint8Array): string | null {
  const { run } = replicatedOptions(matchMaker.getRoomClass(unpackRoom(checkpoint).birth.roomName));
  return run === "leader" ? "its code runs on its leader's node alone: it ends under its own code" : null;
}
