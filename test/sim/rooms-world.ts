import { defineRoom, matchMaker } from "@colyseus/core";
import { ColyseusPrograms } from "../../server/colyseus/colyseus-programs.ts";
import { ColyseusRoom } from "../../server/colyseus/colyseus-room.ts";
import { replicated } from "../../server/colyseus/replicated.ts";
import { keeperGroups } from "../../server/colyseus/room-node.ts";
import { TestudoDriver } from "../../server/colyseus/testudo-driver.ts";
import { currentWorld } from "../../server/session/sandbox.ts";
import { Corruption } from "./corruption.ts";
import { EventualLaws } from "./eventual-laws.ts";
import { LedLaws } from "./led-laws.ts";
import { Ledger } from "./ledger.ts";
import { ReplicaBook } from "./machine-watch.ts";
import { Restlessness } from "./restlessness.ts";
import { RoomApp, servingSessions } from "./room-app.ts";
import { RoomPoison } from "./room-poison.ts";
import { RoomTimes } from "./room-times.ts";
import type { AppSetup } from "./sim-app.ts";
import { SimKeys } from "./sim-keys.ts";
import { SimLedRoom } from "./sim-led-room.ts";
import { nodePresence, presenceBy, SimNewsRoom } from "./sim-news-room.ts";
import { SimProcess } from "./sim-node.ts";
import { SimPlayer } from "./sim-player.ts";
import { listenToRooms, SimRoom } from "./sim-room.ts";
import { Stranger } from "./stranger.ts";
import { hold } from "./violation.ts";
import type { World, WorldParts } from "./world.ts";

/** Of the nodes, behind those of the rooms. */
export const groupsBeside = keeperGroups;

/** Of the runs; in the others the keeper sleeps. */
const keysShare = 0.3;

/** Of the runs; in them the rooms of one key are run by their leader. */
const ledShare = 0.4;
const ledKey = "key 1";
/** Of the runs; in them the other rooms ask the server's presence, listen there, and hear what is in no log. */
const newsShare = 0.3;

let isSetUp = false;

/** Colyseus is one for all simulated nodes and runs. */
export async function setUpRooms(): Promise<void> {
  if (isSetUp) return;
  isSetUp = true;
  await matchMaker.setup(nodePresence, new TestudoDriver(new ColyseusPrograms().listings), "");
  const ordinary = defineRoom(replicated(SimRoom));
  ordinary.name = "sim";
  matchMaker.addRoomType(ordinary);
  const news = defineRoom(replicated(SimNewsRoom, { messages: { emote: "eventual" } }));
  news.name = "news";
  matchMaker.addRoomType(news);
  const led = defineRoom(replicated(SimLedRoom, { run: "leader", cacheEveryMs: 300 }));
  led.name = "led";
  matchMaker.addRoomType(led);
}

/** Players of both kinds, in rooms that do what rooms do. */
export class RoomsWorld implements World<RoomApp> {
  readonly #parts: WorldParts<RoomApp>;
  readonly #ledger = new Ledger();
  readonly #timers = new RoomTimes();
  readonly #book: ReplicaBook;
  readonly #poison: RoomPoison;
  readonly #led: LedLaws;
  readonly #hasNews: boolean;
  readonly #eventuals: EventualLaws;
  readonly #players: readonly SimPlayer[];
  /** At each effect, by its key. */
  readonly #attempts = new Map<string, number>();
  readonly #stranger: Stranger;
  readonly #corruption: Corruption;
  readonly #keys: SimKeys;
  readonly #restlessness: Restlessness;

  constructor(parts: WorldParts<RoomApp>) {
    const { chance, chanceApart, coverage, cluster } = parts;
    this.#parts = parts;
    this.#poison = new RoomPoison(parts);
    this.#eventuals = new EventualLaws(coverage);
    this.#led = new LedLaws(this.#ledger, coverage);
    this.#book = new ReplicaBook(coverage, this.#poison.poison, this.#led);
    const isLed = chanceApart.hits(ledShare);
    this.#hasNews = chanceApart.hits(newsShare);
    const ordinary = this.#hasNews ? "news" : "sim";
    presenceBy(() => {
      const { owner } = parts.schedule;
      if (!this.#hasNews || !(owner instanceof SimProcess) || currentWorld() !== null) return null;
      return (owner.app as RoomApp).presence;
    });
    this.#players = Array.from({ length: 3 + chance.below(4) }, (_, at) => {
      const kind = chance.hits(0.5) ? "stock" : "wrapper";
      const processes = () => cluster.processes;
      const isTampered = (roomId: string) => this.#book.tampered.has(roomId);
      return new SimPlayer({
        ...parts,
        ledger: this.#ledger,
        name: `p${at + 1}`,
        kind,
        processes,
        isTampered,
        isTroubled: (roomId) => isTampered(roomId) || this.#book.poison.rooms.has(roomId),
        owed: this.#book.owed,
        led: this.#led,
        eventuals: this.#eventuals,
        roomNameOf: (key) => (isLed && key === ledKey ? "led" : ordinary),
      });
    });
    this.#stranger = new Stranger({ ...parts, ledger: this.#ledger, processes: () => cluster.processes });
    this.#corruption = new Corruption(parts, this.#book);
    this.#keys = new SimKeys({ ...parts, processes: () => cluster.processes });
    this.#restlessness = new Restlessness(parts);
    const watched = this.#book.watched.bind(this.#book);
    listenToRooms({
      fired: watched((_: string, sessionId: string, shots: number) => this.#ledger.fired(sessionId, shots)),
      deposited: watched((roomId: string, total: number) => this.#ledger.deposited(roomId, total)),
      time: watched(this.#timers.time.bind(this.#timers)),
      // A replica that differs may catch up with many commands at once.
      stepped: watched((room: object, roomId: string) => {
        if (!this.#book.tampered.has(roomId)) this.#timers.stepped(room, roomId);
      }),
      looksUp: (key) => this.#looksUp(key),
      said: watched((_: string, number: number, sessionIds: readonly string[]) =>
        this.#book.said(sessionIds, number),
      ),
      created: () => coverage.hit("roomsCreated"),
      disposed: () => coverage.hit("roomsDisposed"),
      counted: watched((roomId: string, call: number, tally: number) => {
        if (!this.#book.tampered.has(roomId)) this.#book.presence.counted(roomId, call, tally);
      }),
      heard: watched((roomId: string, number: number, message: string) => {
        if (!this.#book.tampered.has(roomId)) this.#book.presence.heard(roomId, number, message);
      }),
      ledRestored: watched(this.#led.restored.bind(this.#led)),
      poisoned: () => this.#poison.poison.swallow(),
    });
  }

  app(setup: AppSetup): RoomApp {
    const watchdog = this.#poison.watchdog(setup.options.id);
    const watched = { ...setup, parts: { ...setup.parts, watchdog } };
    const holders = (roomId: string) => this.#holders(roomId);
    const looks = { ...this.#parts, book: this.#book, times: this.#timers, holders };
    return new RoomApp(watched, looks, this.#hasNews);
  }

  /** Nodes that have a replica of the room just now. */
  #holders(roomId: string): readonly string[] {
    const has = ({ app }: { readonly app: RoomApp }) => app.rooms.sessions?.room(roomId) !== undefined;
    return this.#parts.cluster.processes.filter(has).map(({ nodeId }) => nodeId);
  }

  start(): void {
    for (const player of this.#players) player.start();
    this.#stranger.start();
    this.#depositSometimes();
    this.#poison.start();
    this.#corruption.start();
    if (this.#parts.chance.hits(keysShare)) this.#keys.start();
    this.#restlessness.start();
  }

  /** Server code that changes a room from outside, on any node, through the log. */
  #depositSometimes(): void {
    const { chance, schedule, cluster, coverage, trace } = this.#parts;
    schedule.in(chance.wait(150), null, () => {
      this.#depositSometimes();
      const process = chance.pick(cluster.nodeIds.map((id) => cluster.process(id)));
      const sessions = process?.isPaused === false ? servingSessions(process) : null;
      const roomIds = [...(sessions?.rooms.keys() ?? [])];
      if (process === null || sessions === null || roomIds.length === 0) return;
      const roomId = chance.pick(roomIds);
      schedule.in(0, process, () => {
        this.#ledger.depositing(roomId);
        sessions.call(roomId, "deposit", [1]).then(
          (total) => {
            coverage.hit("depositsAnswered");
            // Behind the apply that it is the result of.
            schedule.in(0, null, () => this.#ledger.depositAnswered(roomId, total as number));
            this.#lookFor(roomId, total as number);
          },
          (error: unknown) => trace.note(`a deposit in ${roomId} is unanswered: ${String(error)}`),
        );
      });
    });
  }

  /** Whoever was told that a deposit is done finds it in the room, on whatever node it looks next. */
  #lookFor(roomId: string, total: number): void {
    const { chance, schedule, cluster, coverage, trace } = this.#parts;
    const process = cluster.process(chance.pick(cluster.nodeIds));
    if (process === null) return;
    schedule.in(0, process, () => {
      servingSessions(process)
        ?.freshRoom(roomId)
        .then(
          (replica) => {
            // A replica that differs, or stands still, answers nobody. And the room may have ended since.
            if (servingSessions(process)?.standsStill(roomId) !== false) return;
            if (!(replica?.program instanceof ColyseusRoom)) return;
            const { deposits } = replica.program.room as SimRoom;
            coverage.hit("depositsSeen");
            hold(
              deposits >= total,
              "X16",
              () =>
                `room ${roomId} on ${process.nodeId} has ${deposits} deposits, ${total} were acknowledged`,
            );
          },
          (error: unknown) => trace.note(`${process.nodeId} is not caught up: ${String(error)}`),
        );
    });
  }

  /** Takes up to a second: many a leader does not see the end of it. Each attempt says which one it is. */
  #looksUp(key: string): Promise<number> {
    const { coverage, schedule } = this.#parts;
    const attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempt);
    coverage.hit(attempt === 1 ? "effectsRun" : "effectsRunAgain");
    const number = Number(/\d+/.exec(key.slice(key.indexOf(":")))?.[0]);
    const ms = (137 * (number + attempt)) % 1_000;
    return new Promise((resolve) => schedule.in(ms, null, () => resolve(attempt)));
  }

  rest(): void {
    this.#stranger.rest();
    for (const player of this.#players) player.rest();
    this.#poison.rest();
    this.#corruption.rest();
    this.#keys.rest();
    this.#restlessness.rest();
  }

  unrest(): string | null {
    const restless = this.#players.find((player) => !player.isQuiet);
    const troubled = this.#poison.unrest() ?? this.#restlessness.unrest() ?? this.#corruption.unrest();
    const unheard = this.#unheard();
    return troubled ?? restless?.description ?? this.#keys.unrest() ?? unheard ?? this.#heldByEarlierStart();
  }

  /** A room that has not heard all that was published. */
  #unheard(): string | null {
    const [first] = this.#parts.cluster.processes;
    const { tampered, presence } = this.#book;
    const roomIds = [...(first?.app.rooms.sessions?.rooms.keys() ?? [])];
    return presence.unrest(roomIds.filter((roomId) => !tampered.has(roomId)));
  }

  /** A seat that nobody's connection can end any more, and no node. */
  #heldByEarlierStart(): string | null {
    const bootCounts = new Map<string, number>();
    const { processes } = this.#parts.cluster;
    for (const { nodeId, node } of processes) bootCounts.set(nodeId, node.identity.bootCount);
    for (const { app } of processes) {
      for (const { roomId, seats } of app.rooms.sessions?.rooms.values() ?? []) {
        for (const [sessionId, { attachment }] of seats) {
          if (attachment === null || bootCounts.get(attachment.nodeId) === attachment.bootCount) continue;
          return `seat ${sessionId} of ${roomId} is attached to ${attachment.nodeId}'s start ${attachment.bootCount}, which is over`;
        }
      }
    }
    return null;
  }

  propose({ rooms, node }: RoomApp, group: number): Promise<unknown> {
    const machines = rooms.sessions?.machines;
    const machine = group === machines?.length ? rooms.keeper.machine : machines?.[group];
    hold(machine !== undefined, "X7", () => `${node.options.id} has no group ${group}`);
    return node.engine.propose(group, machine.tickCommand());
  }

  compareFrom(indexes: readonly number[]): void {
    for (const { app } of this.#parts.cluster.processes) {
      for (const [group, watch] of app.watches.entries()) watch.compareFrom = indexes[group] as number;
      if (app.keeperWatch !== null) app.keeperWatch.compareFrom = indexes.at(-1) as number;
    }
  }

  compare(): void {
    for (const { app } of this.#parts.cluster.processes) {
      for (const [group, watch] of app.watches.entries()) {
        const status = app.node.groups()[group];
        if (status !== undefined) watch.compareRooms(status.appliedIndex);
      }
      app.keeperWatch?.compareAt(app.node.groups().at(-1)?.appliedIndex ?? 0);
    }
  }

  close(): void {
    this.#poison.close();
    this.#keys.close();
    this.#ledger.close();
  }

  end(): void {
    presenceBy(() => null);
    listenToRooms(null);
  }
}
