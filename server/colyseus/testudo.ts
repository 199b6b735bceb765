import { LocalPresence, matchMaker, type ServerOptions, subscribeIPC } from "@colyseus/core";
import { makeAdminHandler } from "../admin/admin-handler.ts";
import type { RoomStatusJson } from "../admin/status.ts";
import { failHard, type Log, makeLog } from "../cluster/log.ts";
import { TestudoNode } from "../cluster/node.ts";
import { NodeError } from "../cluster/node-error.ts";
import type { NodeOptions } from "../cluster/options.ts";
import { mayTryReconnect } from "../session/live-socket.ts";
import { Sessions, sweepIntervalMs } from "../session/sessions.ts";
import { ColyseusPrograms } from "./colyseus-programs.ts";
import { creatorId, Matchmaking } from "./matchmaking.ts";
import { isReplicated } from "./replicated.ts";
import { TestudoDriver } from "./testudo-driver.ts";
import { TestudoTransport } from "./testudo-transport.ts";

type RequestHandler = NonNullable<ReturnType<typeof makeAdminHandler>>;

/** A node of the cluster with Colyseus on it. */
export class Testudo {
  readonly node: TestudoNode;
  readonly log: Log;
  readonly #options: NodeOptions;
  readonly #programs = new ColyseusPrograms();
  readonly #transport: TestudoTransport;
  readonly #presence = new LocalPresence();
  #sessions: Sessions | null = null;
  #sweep: NodeJS.Timeout | null = null;

  constructor(options: NodeOptions) {
    requirePreload();
    this.#options = options;
    this.log = makeLog({ node: options.id, level: options.logLevel });
    const fail = failHard({ node: options.id, log: this.log });
    this.node = new TestudoNode({
      options,
      log: this.log,
      fail,
      machineFor: (group) => this.#machine(group),
    });
    this.#transport = new TestudoTransport({
      host: options.host,
      port: options.port,
      sessions: () => (this.node.life.state === "serving" ? this.#sessions : null),
      isServing: (group) => this.node.engine.isServing(group),
      failed: (error) => fail(portError(error, options)),
    });
  }

  /** For `defineServer({ ...options, rooms })`. */
  get serverOptions(): ServerOptions {
    return {
      driver: new TestudoDriver(this.#programs.listings),
      presence: this.#presence,
      transport: this.#transport,
      publicAddress: "",
      greet: false,
      // A node that stops does not end its rooms: they go on elsewhere. See `stop`.
      gracefullyShutdown: false,
      selectProcessIdToCreateRoom: async (name) =>
        isReplicated(matchMaker.getRoomClass(name)) ? creatorId : matchMaker.processId,
      beforeListen: () => this.start(),
    };
  }

  /** Opens disk and links, and waits until the cluster is founded and every group has a leader. */
  async start(): Promise<void> {
    this.#serveAdmin();
    await this.node.start();
    await this.node.ready();
    const sessions = this.#session();
    const matchmaking = new Matchmaking(sessions);
    matchmaking.intercept();
    await subscribeIPC(this.#presence, `p:${creatorId}`, (_method, args) =>
      matchmaking.create(args[0] as string, { ...(args[1] as object) }),
    );
    await sessions.detachEarlierStarts();
    this.#sweep = setInterval(() => sessions.sweep(), sweepIntervalMs);
  }

  /** Sends the clients to other nodes, hands over the lead, closes everything. */
  async stop(): Promise<void> {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    for (const replica of this.#sessions?.rooms.values() ?? [])
      replica.closeSockets(mayTryReconnect, "this node stops");
    this.#transport.shutdown();
    await this.node.stop();
  }

  /** Answers requests before Colyseus sees them: the first handler that returns true has answered. */
  handleFirst(handler: RequestHandler): void {
    const server = this.#transport.server as unknown as { emit(event: string, ...args: unknown[]): boolean };
    const emit = server.emit.bind(server);
    server.emit = (event, ...args) =>
      event === "request" && handler(...(args as Parameters<RequestHandler>)) ? true : emit(event, ...args);
  }

  rooms(): RoomStatusJson[] {
    const rooms: RoomStatusJson[] = [];
    for (const [group, machine] of (this.#sessions?.machines ?? []).entries()) {
      for (const replica of machine.rooms.values()) {
        rooms.push({
          roomId: replica.roomId,
          name: replica.birth.roomName,
          group,
          seats: replica.seats.size,
          appliedIndex: replica.index,
          stateHash: replica.hashPoint?.hash ?? null,
          hashIndex: replica.hashPoint?.index ?? null,
          atRest: replica.restlessBecause() === null,
          restlessBecause: replica.restlessBecause(),
          pinned: false,
          lastError: replica.lastError,
        });
      }
    }
    return rooms;
  }

  #serveAdmin(): void {
    this.handleFirst(makeAdminHandler({ node: this.node, rooms: () => this.rooms() }));
  }

  #machine(group: number) {
    const machine = this.#session().machines[group];
    if (machine === undefined) throw new Error(`there is no group ${group}`);
    return machine;
  }

  #session(): Sessions {
    if (this.#sessions !== null) return this.#sessions;
    const { node } = this;
    const sessions = new Sessions({
      nodeId: node.options.id,
      bootCount: node.identity.bootCount,
      groups: node.founding?.groups ?? node.options.groups,
      programs: this.#programs,
      isLost: (nodeId) => node.lostPeers().some((lost) => lost.nodeId === nodeId),
      log: this.log.child({ part: "session" }),
      leaderlessMsMax: this.#options.leaderlessMs,
    });
    sessions.bind({
      propose: (group, command) => node.engine.propose(group, command),
      accepts: (group, commandBytes) => node.engine.accepts(group, commandBytes),
      barrier: (group) => node.engine.barrier(group),
      isLeader: (group) => node.engine.isLeader(group),
      leaderlessMs: (group) => {
        const sinceMs = node.engine.leaderlessSinceMs(group);
        return sinceMs === null ? null : performance.now() - sinceMs;
      },
    });
    this.#programs.bind(sessions);
    this.#sessions = sessions;
    return sessions;
  }
}

function requirePreload(): void {
  if ((globalThis as Record<symbol, unknown>)[Symbol.for("testudo.registered")] === true) return;
  throw new Error(
    "Testudo's preload is missing: start Node with `node --import testudo/register …`, so that rooms read the log's time and chance",
  );
}

function portError(error: Error, { port, host }: NodeOptions): Error {
  if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return error;
  return new NodeError(
    "PORT_IN_USE",
    `port ${port} on ${host} is in use: stop what listens there, or choose another with --port`,
  );
}
