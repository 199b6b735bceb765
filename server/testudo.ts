import { matchMaker, type ServerOptions, subscribeIPC } from "@colyseus/core";
import { type AdminHandler, makeAdminHandler } from "./admin/admin-handler.ts";
import { drainRoutes } from "./admin/drain-routes.ts";
import { keeperRoutes } from "./admin/keeper-routes.ts";
import { makeOperatorHandler } from "./admin/operator-handler.ts";
import { operatorRoutes } from "./admin/operator-routes.ts";
import { roomsRoutes } from "./admin/rooms-routes.ts";
import { realClock } from "./cluster/clock.ts";
import { Drain } from "./cluster/drain.ts";
import { type HandedDisk, readDisk, writeDisk } from "./cluster/handed-disk.ts";
import { failHard, type Log, makeLog } from "./cluster/log.ts";
import { memoryNodeParts } from "./cluster/memory-parts.ts";
import { NodeError } from "./cluster/node-error.ts";
import { type NodeCode, realNodeParts } from "./cluster/node-parts.ts";
import type { NodeOptions } from "./cluster/options.ts";
import { usesPresence } from "./colyseus/check-room-class.ts";
import { ClusterRooms } from "./colyseus/cluster-rooms.ts";
import { swapping } from "./colyseus/code-swap.ts";
import { checkColyseus } from "./colyseus/colyseus-version.ts";
import { NodeCodes, ownCode } from "./colyseus/fingerprint/node-codes.ts";
import { creatorId, Matchmaking } from "./colyseus/matchmaking.ts";
import { NodeCounts } from "./colyseus/node-counts.ts";
import { PlainRooms } from "./colyseus/plain-rooms.ts";
import { requirePreload } from "./colyseus/preload/require-preload.ts";
import { KeyedMatchmaking } from "./colyseus/presence/keyed-matchmaking.ts";
import { NewsKeeper } from "./colyseus/presence/news-keeper.ts";
import { newsMethod } from "./colyseus/presence/room-news.ts";
import { notShared } from "./colyseus/presence/room-presence.ts";
import { adoptPresence } from "./colyseus/presence/server-presence.ts";
import { isShared } from "./colyseus/presence/shared-presence.ts";
import { TestudoPresence } from "./colyseus/presence/testudo-presence.ts";
import { RealtimeListing } from "./colyseus/realtime-listing.ts";
import { wrapMonitorCalls } from "./colyseus/remote-room-call.ts";
import { isReplicated } from "./colyseus/replicated.ts";
import { checkpointsOf, type LostRoom, untilAtRest, withoutLostRooms } from "./colyseus/room-handover.ts";
import { RoomNode } from "./colyseus/room-node.ts";
import { RoomPlacement } from "./colyseus/room-placement.ts";
import { RoomShadow } from "./colyseus/room-shadow.ts";
import { waitOutside } from "./colyseus/test-waits.ts";
import { TestudoDriver } from "./colyseus/testudo-driver.ts";
import { TestudoTransport } from "./colyseus/testudo-transport.ts";
import { watchUnkept } from "./colyseus/unkept-players.ts";
import { publicAddress, WayOut } from "./colyseus/way-out.ts";
import { wholeCluster } from "./colyseus/whole-cluster.ts";
import type { Kv } from "./menu/kv.ts";
import type { Locks } from "./menu/locks.ts";
import { inMacrotask } from "./session/macrotask.ts";
import { SessionError } from "./session/session-error.ts";
import type { Sessions } from "./session/sessions.ts";
import { MemoryDisk } from "./storage/memory-storage.ts";

/** A node of the cluster with Colyseus on it, for `defineServer({ ...testudo.serverOptions, rooms })`. */
export class Testudo {
  readonly roomNode: RoomNode;
  readonly log: Log;
  /** What a node in memory has instead of a data folder. */
  readonly disk = new MemoryDisk();
  readonly #transport: TestudoTransport;
  readonly #presence: TestudoPresence;
  readonly #driver: TestudoDriver;
  readonly #lobby: RealtimeListing;
  readonly #plainRooms: PlainRooms;
  readonly #placement: RoomPlacement;
  readonly #drain: Drain;
  readonly #handlers: AdminHandler[] = [];
  #counts: NodeCounts | null = null;
  #news: NewsKeeper | null = null;
  #ownCode: NodeCode | null = null;
  #codes: NodeCodes | null = null;
  #cluster: ClusterRooms | null = null;
  #draining: Promise<unknown> | null = null;
  #stopping: Promise<void> | null = null;
  #letGoOfMatchmaking: () => void = () => {};
  #askedToEnd: (timeoutMs: number | null) => void = () => void this.leave();

  /** @throws Error if the preload is missing */
  constructor(options: NodeOptions) {
    requirePreload();
    this.log = makeLog({ node: options.id, level: options.logLevel });
    checkColyseus((fields, message) => this.log.warn(fields, message));
    const fail = failHard({ node: options.id, log: this.log });
    wholeCluster.isOneProcess = options.memory;
    const parts = options.memory ? memoryNodeParts(options, this.disk) : realNodeParts(options, this.log);
    const code = () => this.#code();
    this.roomNode = new RoomNode({ options, log: this.log, fail, parts: { ...parts, code } });
    const { roomNode } = this;
    const { node } = roomNode;
    const { listings } = roomNode.programs;
    this.#driver = new TestudoDriver(listings);
    this.#presence = new TestudoPresence({
      keys: roomNode.keeper.presence,
      otherCounts: () => this.#counts?.others() ?? {},
      otherChannels: () => this.#counts?.otherChannels() ?? [],
      stop: () => this.leave(),
      warn: (message, error) => this.log.warn({ error: String(error) }, message),
    });
    this.#plainRooms = new PlainRooms(listings, (error) =>
      this.log.warn({ error: String(error) }, "a plain room failed while it was ended"),
    );
    this.#placement = new RoomPlacement({
      isDraining: () => node.door === "closing",
      // Asked over a presence that others do not hear, they would never answer.
      takers: () => (isShared(matchMaker.presence) ? (this.#counts?.takers() ?? []) : []),
      isKnown: (processId) => processId in (this.#counts?.others() ?? {}),
      warn: (message) => this.log.warn(message),
    });
    this.#drain = this.#makeDrain();
    this.#lobby = new RealtimeListing(
      (roomId) => listings.get(roomId) ?? this.#cluster?.get(roomId),
      (message) => this.#presence.publish(lobbyChannel, message),
    );
    listings.onTouched((roomId) => this.#lobby.touch(roomId));
    this.#transport = new TestudoTransport({
      host: options.host,
      port: options.port,
      sessions: () => roomNode.servingSessions,
      isServing: (group) => roomNode.node.engine.isServing(group),
      isDraining: () => node.door === "closing" && node.elsewhere().length > 0 && this.#roomsOnlyHere === 0,
      failed: (error) => fail(portError(error, options)),
    });
    this.#ask();
    const draining = {
      node,
      left: () => this.#drain.left,
      begin: (timeoutMs: number | null) => this.#askedToEnd(timeoutMs),
    };
    const routes = [
      ...operatorRoutes(node),
      ...roomsRoutes(roomNode),
      ...drainRoutes(draining),
      ...keeperRoutes(roomNode.keeper),
    ];
    this.handleFirst(makeOperatorHandler({ secret: options.secret, routes }));
    this.handleFirst(
      makeAdminHandler({
        node,
        rooms: () => roomNode.rooms(),
        divergences: () => roomNode.divergences(),
        eventuals: () => roomNode.eventuals(),
        roomFailures: () => roomNode.roomFailures(),
        codes: () => this.#codes?.status() ?? [],
      }),
    );
  }

  /** Keys and values that all nodes share: see Kv. Only once the server listens. */
  get kv(): Kv {
    return this.roomNode.keeper.kv;
  }

  /** Locks that all nodes share: see Locks. Only once the server listens. */
  get locks(): Locks {
    return this.roomNode.keeper.locks;
  }

  get serverOptions(): ServerOptions {
    return {
      driver: this.#driver,
      presence: this.#presence,
      transport: this.#transport,
      publicAddress: "",
      greet: false,
      // A node that stops does not end its rooms: they go on elsewhere. See `stop`.
      gracefullyShutdown: false,
      selectProcessIdToCreateRoom: this.#placement.select,
      beforeListen: () => this.#startUnlessStopped(),
    };
  }

  /** A stop that comes first is no failure: `listen` then goes no further, and the process ends with the stop. */
  async #startUnlessStopped(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      if (this.#stopping === null) throw error;
      await new Promise<never>(() => {});
    }
  }

  async #start(): Promise<void> {
    this.#takePresence();
    await this.#placement.take();
    wrapMonitorCalls();
    const lost = this.roomNode.node.options.memory ? await this.#startInMemory() : [];
    const sessions = await this.roomNode.start();
    this.#codes = new NodeCodes({ ...this.#code(), node: sessions.nodeId }, this.roomNode.node.gossip);
    this.#codes.begin(this.log);
    swapping.by?.serving(lost, () => this.#handOver());
    const { by } = swapping;
    if (by !== null) watchUnkept(sessions, (players) => by.unkept(players));
    sessions.begin();
    this.#counts = new NodeCounts(this.roomNode.node, sessions, () => this.#presence.ownChannels());
    this.#counts.begin();
    // Other processes are this node's peers: whether they live is the cluster's business.
    matchMaker.setHealthChecksEnabled(false);
    const driver = await this.#takeDriver();
    const matchmaking = new Matchmaking(sessions, driver, new WayOut(this.roomNode.node));
    this.#letGoOfMatchmaking = matchmaking.intercept();
    const { programs, node } = this.roomNode;
    const { secret } = node.options;
    programs.calls.begin(new KeyedMatchmaking({ sessions, matchmaking, secret }));
    this.#hear(sessions);
    await subscribeIPC(this.#presence, `p:${creatorId}`, (_method, args) =>
      matchmaking.createSoon(args[0] as string, { ...(args[1] as object) }),
    );
    await this.roomNode.hears;
  }

  /** Only once the game is loaded. */
  #code(): NodeCode {
    this.#ownCode ??= ownCode(this.roomNode.node.options, this.log);
    return this.#ownCode;
  }

  /** @returns rooms of the code before that this code cannot bring back */
  async #startInMemory(): Promise<readonly LostRoom[]> {
    this.log.info({ event: "in-memory" }, inMemory);
    for (const { klass } of Object.values(matchMaker.getAllHandlers()))
      if (isReplicated(klass)) waitOutside(klass);
    const handed = await swapping.by?.loaded();
    if (!handed) return [];
    const { nodeId } = handed.identity;
    const shadow = new RoomShadow({ nodeId, log: this.log });
    const { kept, lost } = await inMacrotask(() => withoutLostRooms(handed, shadow));
    await writeDisk(kept, this.disk);
    return lost;
  }

  /** Stops, and leaves everything to the process that takes this one's place. */
  async #handOver(): Promise<HandedDisk> {
    const { roomNode } = this;
    const machines = roomNode.sessions?.machines ?? [];
    await untilAtRest(machines);
    this.#news?.stop();
    await roomNode.stop(() => this.#transport.shutdown());
    const fresh = await inMacrotask(() => checkpointsOf(machines));
    const handed = await readDisk(this.disk, roomNode.node.options.id);
    const groups = new Map(
      [...handed.groups].map(([group, contents]) => {
        const checkpoints = fresh.get(group) ?? contents.checkpoints;
        return [group, { ...contents, checkpoints }] as const;
      }),
    );
    return { ...handed, groups };
  }

  /** Its own, or the one that the user has given the server instead. @throws SessionError NOT_SUPPORTED */
  #takePresence(): void {
    const { presence } = matchMaker;
    for (const { klass } of Object.values(matchMaker.getAllHandlers()))
      if (isReplicated(klass) && usesPresence(klass) && !isShared(presence)) throw notShared(klass.name);
    adoptPresence(presence, this.#presence);
  }

  /** Its own, or one that the user has made. @throws SessionError NOT_SUPPORTED */
  async #takeDriver(): Promise<TestudoDriver> {
    const { driver } = matchMaker;
    if (!(driver instanceof TestudoDriver)) throw foreignDriver(driver.constructor.name);
    const { node, programs } = this.roomNode;
    const { id, peers, publicUrl } = node.options;
    const { table } = node.gossip;
    const cluster = new ClusterRooms({
      ...{ nodeId: id, table, presence: this.#presence },
      // Whoever asks a node that is alone has come to the right one.
      publicAddress: Object.keys(peers).length === 0 ? null : publicAddress(publicUrl),
    });
    node.onPeerLost(({ nodeId, bootId }) => table.forget(nodeId, bootId));
    cluster.onTouched((roomId) => this.#lobby.touch(roomId));
    this.#cluster = cluster;
    await driver.join(programs.listings, cluster);
    return driver;
  }

  #hear(sessions: Sessions): void {
    const { programs, node } = this.roomNode;
    const news = new NewsKeeper({
      machines: sessions.machines,
      presence: () => matchMaker.presence,
      leadTerm: (group) => {
        const { leaderId, term } = node.engine.talk.lead(group);
        return leaderId === sessions.nodeId ? term : null;
      },
      tell: (roomId, batch) => sessions.call(roomId, newsMethod, [batch]),
      later: (act, ms) => sessions.later(act, ms),
      log: this.log,
    });
    programs.onSubscribed(() => news.subscribed());
    news.begin();
    this.#news = news;
  }

  #makeDrain(): Drain {
    const { node } = this.roomNode;
    return new Drain({
      clock: realClock,
      log: this.log.child({ part: "drain" }),
      clients: () => this.roomNode.sessions?.clients ?? null,
      begin: async () => {
        await Promise.all([node.drain(), this.#placement.close()]);
      },
      isSomewhereElse: () => node.elsewhere().length > 0,
      plainRooms: this.#plainRooms,
      roomsOnlyHere: () => this.#roomsOnlyHere,
      leads: () => node.groups().filter(({ role }) => role === "leader").length,
    });
  }

  /** In a deploy, on the last node with old code. */
  get #roomsOnlyHere(): number {
    const { node, sessions } = this.roomNode;
    if (!node.isLastOfItsCode) return 0;
    // One that has ended counts until that is agreed: nobody else could say so.
    const counts = sessions?.machines.map(({ rooms, ended }) => rooms.size + ended.size) ?? [];
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** How an operator's command ends the process; by default only this node ends. */
  onAskedToEnd(end: (timeoutMs: number | null) => void): void {
    this.#askedToEnd = end;
  }

  /** Hands over the lead, and waits until clients are at other nodes and plain rooms have ended. By then all is served. */
  async drain(timeoutMs = this.roomNode.node.options.drainTimeoutMs): Promise<void> {
    const { life, options } = this.roomNode.node;
    if (!life.serves) return;
    const plainRoomsMsMin = options.stopTimeoutMs / 2;
    this.#draining ??= this.#drain.run({ timeoutMs, plainRoomsMsMin });
    await this.#draining;
  }

  /** A drain that is under way ends now. */
  hurry(): void {
    this.#drain.hurry();
  }

  /** Drains, then stops. */
  async leave(): Promise<void> {
    await this.drain();
    await this.stop();
  }

  /** Sends the clients that are left to other nodes, hands over the lead, closes everything. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { roomNode } = this;
    this.#news?.stop();
    await roomNode.stop(() => this.#transport.shutdown());
    // The rooms go on elsewhere; Colyseus here has them no more.
    for (const replica of [...(roomNode.sessions?.rooms.values() ?? [])]) replica.discard();
    // In memory another node may follow in this process.
    this.#letGoOfMatchmaking();
  }

  /** Answers requests before Colyseus sees them: asked in the order of their adding, until one returns true. */
  handleFirst(handler: AdminHandler): void {
    this.#handlers.push(handler);
  }

  #ask(): void {
    const server = this.#transport.server as unknown as { emit(event: string, ...args: unknown[]): boolean };
    const emit = server.emit.bind(server);
    server.emit = (event, ...args) => {
      const isAnswered =
        event === "request" &&
        this.#handlers.some((handler) => handler(...(args as Parameters<AdminHandler>)));
      return isAnswered || emit(event, ...args);
    };
  }
}

const inMemory =
  "everything is in memory: a cluster of this node alone, of which nothing outlives the process; room code that does not come back is not ended";

/** Where Colyseus's `subscribeLobby` listens. */
const lobbyChannel = "$lobby";

function foreignDriver(name: string): SessionError {
  return new SessionError(
    "NOT_SUPPORTED",
    `${name} cannot list replicated rooms, which are of no process: leave \`driver\` out beside testudo(), which lists plain rooms, too`,
  );
}

function portError(error: Error, { port, host }: NodeOptions): Error {
  if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return error;
  return new NodeError(
    "PORT_IN_USE",
    `port ${port} on ${host} is in use: stop what listens there, or choose another with --port`,
  );
}
