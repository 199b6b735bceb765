import { matchMaker, type ServerOptions, subscribeIPC } from "@colyseus/core";
import { type AdminHandler, makeAdminHandler } from "./admin/admin-handler.ts";
import { makeOperatorHandler } from "./admin/operator-handler.ts";
import { operatorRoutes } from "./admin/operator-routes.ts";
import { roomsRoutes } from "./admin/rooms-routes.ts";
import { failHard, type Log, makeLog } from "./cluster/log.ts";
import { NodeError } from "./cluster/node-error.ts";
import type { NodeOptions } from "./cluster/options.ts";
import { checkColyseus } from "./colyseus/colyseus-version.ts";
import { creatorId, Matchmaking } from "./colyseus/matchmaking.ts";
import { NodeCounts } from "./colyseus/node-counts.ts";
import { endPlainRooms } from "./colyseus/plain-rooms.ts";
import { RealtimeListing } from "./colyseus/realtime-listing.ts";
import { isReplicated } from "./colyseus/replicated.ts";
import { requirePreload } from "./colyseus/require-preload.ts";
import { RoomNode } from "./colyseus/room-node.ts";
import { TestudoDriver } from "./colyseus/testudo-driver.ts";
import { TestudoPresence } from "./colyseus/testudo-presence.ts";
import { TestudoTransport } from "./colyseus/testudo-transport.ts";

/** A node of the cluster with Colyseus on it, for `defineServer({ ...testudo.serverOptions, rooms })`. */
export class Testudo {
  readonly roomNode: RoomNode;
  readonly log: Log;
  readonly #transport: TestudoTransport;
  readonly #presence: TestudoPresence;
  readonly #driver: TestudoDriver;
  readonly #handlers: AdminHandler[] = [];
  #counts: NodeCounts | null = null;
  #stopping: Promise<void> | null = null;

  /** @throws Error if the preload is missing */
  constructor(options: NodeOptions) {
    requirePreload();
    this.log = makeLog({ node: options.id, level: options.logLevel });
    checkColyseus((fields, message) => this.log.warn(fields, message));
    const fail = failHard({ node: options.id, log: this.log });
    this.roomNode = new RoomNode({ options, log: this.log, fail });
    const { roomNode } = this;
    const { listings } = roomNode.programs;
    this.#driver = new TestudoDriver(listings);
    this.#presence = new TestudoPresence({
      otherCounts: () => this.#counts?.others() ?? {},
      stop: () => this.stop(),
    });
    new RealtimeListing(listings, (message) => this.#presence.publish(lobbyChannel, message));
    this.#transport = new TestudoTransport({
      host: options.host,
      port: options.port,
      sessions: () => roomNode.servingSessions,
      isServing: (group) => roomNode.node.engine.isServing(group),
      failed: (error) => fail(portError(error, options)),
    });
    this.#ask();
    const { node } = roomNode;
    const routes = [...operatorRoutes(node), ...roomsRoutes(roomNode)];
    this.handleFirst(makeOperatorHandler({ secret: options.secret, routes }));
    this.handleFirst(
      makeAdminHandler({
        node,
        rooms: () => roomNode.rooms(),
        divergences: () => roomNode.divergences(),
        eventuals: () => roomNode.eventuals(),
        roomFailures: () => roomNode.roomFailures(),
      }),
    );
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
      selectProcessIdToCreateRoom: async (name) =>
        isReplicated(matchMaker.getRoomClass(name)) ? creatorId : matchMaker.processId,
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
    const sessions = await this.roomNode.start();
    sessions.begin();
    this.#counts = new NodeCounts(this.roomNode.node, sessions);
    this.#counts.begin();
    // Other processes are this node's peers: whether they live is the cluster's business.
    matchMaker.setHealthChecksEnabled(false);
    const matchmaking = new Matchmaking(sessions, this.#driver);
    matchmaking.intercept();
    await subscribeIPC(this.#presence, `p:${creatorId}`, (_method, args) =>
      matchmaking.createSoon(args[0] as string, { ...(args[1] as object) }),
    );
  }

  /** Ends the plain rooms, sends the clients of the others to other nodes, hands over the lead, closes everything. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { roomNode } = this;
    const { stopTimeoutMs } = roomNode.node.options;
    for (const error of await endPlainRooms(roomNode.programs.listings, stopTimeoutMs / 2))
      this.log.warn({ error: String(error) }, "a plain room failed while it was ended");
    await roomNode.stop(() => this.#transport.shutdown());
    // The rooms go on elsewhere; Colyseus here has them no more.
    for (const replica of [...(roomNode.sessions?.rooms.values() ?? [])]) replica.discard();
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

/** Where Colyseus's `subscribeLobby` listens. */
const lobbyChannel = "$lobby";

function portError(error: Error, { port, host }: NodeOptions): Error {
  if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return error;
  return new NodeError(
    "PORT_IN_USE",
    `port ${port} on ${host} is in use: stop what listens there, or choose another with --port`,
  );
}
