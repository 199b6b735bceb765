import type { Log } from "../../server/cluster/log.ts";
import type { TestudoNode } from "../../server/cluster/node.ts";
import { NewsKeeper } from "../../server/colyseus/presence/news-keeper.ts";
import { newsMethod } from "../../server/colyseus/presence/room-news.ts";
import { TestudoPresence } from "../../server/colyseus/presence/testudo-presence.ts";
import { keeperGroups, RoomNode } from "../../server/colyseus/room-node.ts";
import type { Sessions } from "../../server/session/sessions.ts";
import { KeeperWatch } from "./keeper-watch.ts";
import { MachineWatch, type MachineWatchParts } from "./machine-watch.ts";
import type { AppSetup, SimApp } from "./sim-app.ts";
import type { SimProcess } from "./sim-node.ts";

/** Rooms on a simulated node: the session layer and the Colyseus seam. */
export class RoomApp implements SimApp {
  readonly rooms: RoomNode;
  /** By group. */
  readonly watches: MachineWatch[] = [];
  /** Null until the cluster is founded. */
  keeperWatch: KeeperWatch | null = null;
  readonly presence: TestudoPresence;
  readonly #log: Log;
  readonly #hasNews: boolean;
  #news: NewsKeeper | null = null;

  constructor(
    { options, log, fail, parts }: AppSetup,
    looks: Omit<MachineWatchParts, "node" | "bootCount" | "group" | "machine">,
    /** Rooms may listen to what is published. */
    hasNews: boolean,
  ) {
    this.#log = log;
    this.#hasNews = hasNews;
    this.rooms = new RoomNode({
      options: { ...options, groups: options.groups - keeperGroups },
      log,
      fail,
      parts,
      watch: (group, machine) => {
        const { bootCount } = this.node.identity;
        const watch = new MachineWatch({ ...looks, node: options.id, bootCount, group, machine });
        this.watches[group] = watch;
        return watch;
      },
      watchKeeper: (group, machine) => {
        this.keeperWatch = new KeeperWatch({ ...looks, node: options.id, group, machine });
        return this.keeperWatch;
      },
    });
    this.presence = new TestudoPresence({
      keys: this.rooms.keeper.presence,
      otherCounts: () => ({}),
      otherChannels: () => [],
      stop: () => this.stop(),
      warn: (message, error) => log.warn({ error }, message),
    });
  }

  get node(): TestudoNode {
    return this.rooms.node;
  }

  async start(): Promise<void> {
    const sessions = await this.rooms.start();
    sessions.begin();
    if (this.#hasNews) this.#hear(sessions);
  }

  /** As a server does: see Testudo. */
  #hear(sessions: Sessions): void {
    const { node, rooms } = this;
    const news = new NewsKeeper({
      machines: sessions.machines,
      presence: () => this.presence,
      leadTerm: (group) => {
        const { leaderId, term } = node.engine.talk.lead(group);
        return leaderId === sessions.nodeId ? term : null;
      },
      tell: (roomId, batch) => sessions.call(roomId, newsMethod, [batch]),
      later: (act, ms) => sessions.later(act, ms),
      log: this.#log,
    });
    rooms.programs.onSubscribed(() => news.subscribed());
    news.begin();
    this.#news = news;
  }

  stop(): Promise<void> {
    this.#news?.stop();
    return this.rooms.stop();
  }

  /** Its rooms leave Colyseus's books, which all simulated nodes share. */
  discard(): void {
    for (const replica of this.rooms.sessions?.rooms.values() ?? []) replica.discard();
  }
}

/** Where players are served; null: a socket would be refused, or nobody would answer. */
export function servingSessions(process: SimProcess<RoomApp>): Sessions | null {
  return process.isServing ? process.app.rooms.servingSessions : null;
}
