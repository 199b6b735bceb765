/**
 * The client of a Testudo cluster: the stock SDK's, with a list of endpoints, and rooms that move.
 *
 *     const client = new Client<typeof server>(["https://a.example", "https://b.example"]);
 *     const room = await client.joinOrCreate("arena");
 *     room.onFailover(({ from, to, gapMs }) => …);
 */
import type { InferState, SDKTypes } from "@colyseus/core";
import {
  ColyseusSDK,
  type EndpointSettings,
  MatchMakeError,
  type Room,
  type SeatReservation,
  ServerError,
} from "@colyseus/sdk";
import { checkFailoverOptions, type FailoverOptions, type TestudoClientOptions } from "./client-options.ts";
import { type Endpoint, EndpointList, endpointsMax, endpointUrl, settingsUrl } from "./endpoints.ts";
import { FailoverRoom } from "./failover-room.ts";
import { type Attempt, NoNodeAnsweredError } from "./no-node-answered-error.ts";
import { type LatencyOptions, mayAnswerElsewhere, NodeClient } from "./node-client.ts";

export type { FailoverOptions, TestudoClientOptions } from "./client-options.ts";
export type { Endpoint } from "./endpoints.ts";
export { type Failover, FailoverRoom } from "./failover-room.ts";
export { type Attempt, NoNodeAnsweredError } from "./no-node-answered-error.ts";
export { OutboxFullError } from "./outbox.ts";

type RootSchema<State> = new () => State;
/** Clients kept, one a node: more than a list holds, so only nodes that are gone are forgotten. */
const nodesMax = 2 * endpointsMax;
type Kind = "unknown" | "testudo" | "plain";

// biome-ignore lint/suspicious/noExplicitAny: the SDK's own default for what is not named by a type
type Untyped = any;

interface RoomLike {
  state: unknown;
  onJoin?(client: Untyped, options?: Untyped): Untyped;
}

type RoomOf<
  ServerType extends SDKTypes,
  Name extends keyof ServerType["~rooms"],
> = ServerType["~rooms"][Name]["~room"];

/** The SDK's three ways to name what a room is, each with a room that moves. */
interface Join<ServerType extends SDKTypes> {
  <Name extends keyof ServerType["~rooms"], State = InferState<RoomOf<ServerType, Name>, never>>(
    roomName: Name,
    options?: Parameters<RoomOf<ServerType, Name>["onJoin"]>[1],
    rootSchema?: RootSchema<State>,
  ): Promise<FailoverRoom<RoomOf<ServerType, Name>, State>>;
  <RoomType extends RoomLike>(
    roomName: string,
    options?: Parameters<NonNullable<RoomType["onJoin"]>>[1],
    rootSchema?: RootSchema<RoomType["state"]>,
  ): Promise<FailoverRoom<RoomType, RoomType["state"]>>;
  <State = Untyped>(
    roomName: string,
    options?: Untyped,
    rootSchema?: RootSchema<State>,
  ): Promise<FailoverRoom<Untyped, State>>;
}

interface Reconnect<ServerType extends SDKTypes> {
  <Name extends keyof ServerType["~rooms"]>(
    reconnectionToken: string,
    roomName?: Name,
  ): Promise<FailoverRoom<RoomOf<ServerType, Name>>>;
  <RoomType extends RoomLike>(
    reconnectionToken: string,
    rootSchema?: RootSchema<RoomType["state"]>,
  ): Promise<FailoverRoom<RoomType, RoomType["state"]>>;
  <State = Untyped>(
    reconnectionToken: string,
    rootSchema?: RootSchema<State>,
  ): Promise<FailoverRoom<Untyped, State>>;
}

/** The SDK's methods, typed with the rooms that they return here. */
// biome-ignore lint/suspicious/noExplicitAny: the SDK's own defaults
// biome-ignore lint/correctness/noUnusedVariables: merged with the class, which has both
export interface Client<ServerType extends SDKTypes = any, UserData = any> {
  joinOrCreate: Join<ServerType>;
  create: Join<ServerType>;
  join: Join<ServerType>;
  joinById: Join<ServerType>;
  reconnect: Reconnect<ServerType>;
}

/** What a socket's end says when its node is gone, rather than that the seat was refused. */
const goneCodes: readonly unknown[] = [undefined, 1001, 1005, 1006, 4010];

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the interface only narrows what the methods return
export class Client<ServerType extends SDKTypes = Untyped, UserData = Untyped> extends ColyseusSDK<
  ServerType,
  UserData
> {
  readonly #options: FailoverOptions;
  readonly #given: TestudoClientOptions;
  readonly #list: EndpointList;
  readonly #nodes = new Map<string, NodeClient>();
  #kind: Kind = "unknown";
  #discovery: Promise<void> | null = null;

  /**
   * @param endpoints one url or several, nearest first; the cluster tells the others.
   * @throws TypeError that names a wrong option or url, and what is allowed.
   */
  constructor(endpoints: string | EndpointSettings | readonly string[], options: TestudoClientOptions = {}) {
    const failover = checkFailoverOptions(options);
    const list = new EndpointList(
      typeof endpoints === "string" ? [endpoints] : isList(endpoints) ? endpoints : [settingsUrl(endpoints)],
    );
    super(list.all[0]?.url, options);
    this.#options = failover;
    this.#given = options;
    this.#list = list;
  }

  /**
   * As the SDK's own: all are asked, and the nearest that answers is the one. The others stay the ways out, nearest first.
   * @throws NoNodeAnsweredError
   */
  static override async selectByLatency<ServerType extends SDKTypes = Untyped, UserData = Untyped>(
    endpoints: (string | EndpointSettings)[],
    options: TestudoClientOptions = {},
    latencyOptions: LatencyOptions = {},
  ): Promise<Client<ServerType, UserData>> {
    const urls = endpoints.map((one) => (typeof one === "string" ? endpointUrl(one) : settingsUrl(one)));
    const client = new Client<ServerType, UserData>(urls, options);
    const failed = await client.#measure(latencyOptions);
    if (failed.length === client.endpoints.length) throw new NoNodeAnsweredError(failed);
    client.settings = client.#node(client.endpoints[0] as Endpoint).settings;
    return client;
  }

  /** Every node known so far, nearest first; all of them once a room was joined. */
  get endpoints(): readonly Endpoint[] {
    return this.#list.all;
  }

  /** Takes a seat that was reserved by other means, at the first node that answers. */
  override async consumeSeatReservation<State>(seat: SeatReservation, rootSchema?: RootSchema<State>) {
    await this.#discover();
    return await this.#tryNodes((node) => this.#attach(node, seat, rootSchema));
  }

  protected override async createMatchMakeRequest<State>(
    method: string,
    roomName: string,
    options: { reconnectionToken?: string } = {},
    rootSchema?: RootSchema<State>,
  ) {
    if (!roomName) throw new TypeError(`room name: ${JSON.stringify(roomName)}; allowed is any but ""`);
    await this.#discover();
    const reserve = async (node: NodeClient): Promise<SeatReservation> => {
      const seat = await node.reserve(method, roomName, options);
      return method === "reconnect" && options.reconnectionToken !== undefined
        ? { ...seat, reconnectionToken: options.reconnectionToken }
        : seat;
    };
    // A seat is the whole cluster's: if its node is gone before the room is entered, the next one has it too.
    let kept: SeatReservation | null = null;
    return await this.#tryNodes(async (node) => {
      if (kept !== null) {
        try {
          return await this.#attach(node, kept, rootSchema);
        } catch (error) {
          if (mayAnswerElsewhere(error)) throw error;
          kept = null; // it died with its node; this one gives another
        }
      }
      const seat = await reserve(node);
      if (this.#kind === "testudo") kept = seat;
      return await this.#attach(node, seat, rootSchema);
    });
  }

  async #attach<State>(asked: NodeClient, seat: SeatReservation, rootSchema?: RootSchema<State>) {
    const { publicAddress, ...anywhere } = seat;
    const testudo = this.#kind === "testudo";
    const node = testudo && publicAddress ? this.#nodeAt(asked, publicAddress) : asked;
    try {
      const room = await node.consumeSeatReservation<State>(testudo ? anywhere : seat, rootSchema);
      return room as FailoverRoom<Untyped, State>;
    } catch (error) {
      if (!(error instanceof ServerError) || !goneCodes.includes(error.code)) throw error;
      throw Object.assign(new Error(`the socket was closed (${error.code}) before the room was entered`), {
        code: "UNANSWERED",
      });
    }
  }

  /** A node behind a balancer says in its answer where it is itself. */
  #nodeAt(asked: NodeClient, publicAddress: string): NodeClient {
    const endpoint = this.#list.find(`${asked.settings.secure ? "https" : "http"}://${publicAddress}`);
    return endpoint.url === asked.endpoint.url ? asked : this.#node(endpoint);
  }

  async #tryNodes<Result>(one: (node: NodeClient) => Promise<Result>): Promise<Result> {
    const attempts: Attempt[] = [];
    for (const endpoint of this.#list.all) {
      const node = this.#node(endpoint);
      try {
        const result = await one(node);
        this.settings = node.settings; // `client.http` goes where an answer came from
        return result;
      } catch (error) {
        if (!mayAnswerElsewhere(error)) {
          throw error instanceof ServerError ? new MatchMakeError(error.message, error.code) : error;
        }
        attempts.push({ endpoint, error });
      }
    }
    throw new NoNodeAnsweredError(attempts);
  }

  async #discover(): Promise<void> {
    if (this.#kind !== "unknown") return;
    this.#discovery ??= this.#learn().finally(() => {
      this.#discovery = null;
    });
    await this.#discovery;
  }

  async #learn(): Promise<void> {
    const discovery = await this.#tryNodes((node) => node.discover());
    if (discovery.type === "testudo") this.#list.learn(discovery.endpoints);
    if (this.#options.order === "latency") await this.#measure();
    this.#kind = discovery.type;
    for (const node of this.#nodes.values()) node.numbered = discovery.type === "testudo";
  }

  /** @returns those that did not answer */
  async #measure(how: LatencyOptions = {}): Promise<Attempt[]> {
    const latenciesMs = new Map<string, number>();
    const failed: Attempt[] = [];
    const measure = async (endpoint: Endpoint): Promise<void> => {
      try {
        latenciesMs.set(endpoint.url, await this.#node(endpoint).measureMs(how));
      } catch (error) {
        failed.push({ endpoint, error });
      }
    };
    await Promise.all(this.#list.all.map(measure));
    this.#list.measured(latenciesMs);
    return failed;
  }

  #node(endpoint: Endpoint): NodeClient {
    let node = this.#nodes.get(endpoint.url);
    if (node === undefined) {
      if (this.#nodes.size >= nodesMax) this.#nodes.clear();
      node = new NodeClient({
        endpoint,
        options: this.#given,
        answerMs: this.#options.answerMs,
        makeRoom: (at, name, rootSchema) => this.#makeRoom(at, name, rootSchema),
      });
      node.numbered = this.#kind === "testudo";
      this.#nodes.set(endpoint.url, node);
    }
    node.http.options = this.http.options;
    node.http.authToken = this.http.authToken;
    return node;
  }

  #makeRoom<State>(at: Endpoint, name: string, rootSchema?: RootSchema<State>): Room<unknown, State> {
    if (this.#kind !== "testudo") return new FailoverRoom<unknown, State>(name, rootSchema, null);
    return new FailoverRoom<unknown, State>(name, rootSchema, {
      options: this.#options,
      first: this.#list.find(at.url),
      after: (failed) => this.#list.from(failed),
      socketUrl: (to, seat) => this.#node(to).socketUrl(seat),
      refresh: (at) =>
        this.#node(at)
          .discover()
          .then(
            (discovery) => {
              if (discovery.type === "testudo") this.#list.learn(discovery.endpoints);
            },
            () => {},
          ),
    });
  }
}

function isList(endpoints: EndpointSettings | readonly string[]): endpoints is readonly string[] {
  return Array.isArray(endpoints);
}
