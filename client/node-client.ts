import type { SDKTypes } from "@colyseus/core";
import { type ClientOptions, ColyseusSDK, type Room, type SeatReservation } from "@colyseus/sdk";
import { ENDPOINTS_PATH, RECEIVED_QUERY, WRAPPER_QUERY } from "../shared/wrapper-protocol.ts";
import { type Endpoint, readEndpoints } from "./endpoints.ts";
import type { AttachedSeat } from "./room-nodes.ts";

/** No answer came: not a refusal, another node may well answer. */
class UnansweredError extends Error {
  readonly code = "UNANSWERED";
}

type RootSchema<State> = new () => State;
type MakeRoom = <State>(at: Endpoint, name: string, rootSchema?: RootSchema<State>) => Room<unknown, State>;
/** How a latency is measured; the SDK does not export it by name. */
export type LatencyOptions = NonNullable<Parameters<ColyseusSDK["getLatency"]>[0]>;
type Fetch = NonNullable<ClientOptions["fetchFn"]>;

/** What a node says of the cluster: its endpoints, or that it is a plain Colyseus server. */
export type Discovery =
  | { readonly type: "testudo"; readonly endpoints: Endpoint[] }
  | { readonly type: "plain" };

/** A gateway's word for it, or the node's own, that it cannot serve now (no leader, draining). */
const unavailableStatuses: readonly unknown[] = [502, 503, 504];

/** Whether another node may do what this one did not; a refusal by a live node is final. */
export function mayAnswerElsewhere(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const { code, name } = error as { code?: unknown; name?: unknown };
  // The answer's body broke off.
  if (name === "TimeoutError" || name === "AbortError" || name === "TypeError") return true;
  return code === "UNANSWERED" || unavailableStatuses.includes(code);
}

/** The stock SDK's client of one node, with a time limit on its answers. */
export class NodeClient extends ColyseusSDK<SDKTypes> {
  readonly endpoint: Endpoint;
  readonly #answerMs: number;
  readonly #fetch: Fetch;
  readonly #makeRoom: MakeRoom;
  /** Whether sockets carry numbered commands. */
  numbered = false;

  constructor(given: {
    readonly endpoint: Endpoint;
    readonly options: ClientOptions;
    readonly answerMs: number;
    readonly makeRoom: MakeRoom;
  }) {
    const { endpoint, options, answerMs, makeRoom } = given;
    const fetch: Fetch = boundedFetch(
      options.fetchFn ?? ((url, init) => globalThis.fetch(url, init)),
      answerMs,
    );
    super(endpoint.url, { ...options, fetchFn: fetch });
    this.endpoint = endpoint;
    this.#answerMs = answerMs;
    this.#fetch = fetch;
    this.#makeRoom = makeRoom;
  }

  /** @throws an error of which `mayAnswerElsewhere` is true if this node cannot say. */
  async discover(): Promise<Discovery> {
    const answer = await this.#fetch(this.getHttpEndpoint(ENDPOINTS_PATH), {});
    if (answer.status >= 500) throw Object.assign(new Error(answer.statusText), { code: 503 });
    if (!answer.ok) return { type: "plain" };
    // A plain server may answer any path with its page.
    const text = await answer.text();
    const endpoints = text.trimStart().startsWith("{") ? readEndpoints(JSON.parse(text)) : null;
    return endpoints === null ? { type: "plain" } : { type: "testudo", endpoints };
  }

  /** @throws MatchMakeError, or an error of which `mayAnswerElsewhere` is true. */
  async reserve(method: string, roomName: string, options: object): Promise<SeatReservation> {
    const http = this.http as unknown as {
      post(path: string, options: object): Promise<{ data: SeatReservation }>;
    };
    const { data } = await http.post(`/matchmake/${method}/${roomName}`, {
      headers: { Accept: "application/json", "Content-Type": "application/json" },
      body: options,
    });
    return data;
  }

  async measureMs(how: LatencyOptions): Promise<number> {
    return await this.getLatency({ timeout: this.#answerMs, ...how });
  }

  /** The way into a room whose seat is known to every node. */
  socketUrl({ roomId, sessionId, received }: AttachedSeat): string {
    // Any node serves the room, so no process is named.
    const seat = { name: "", processId: "testudo", roomId, sessionId };
    return this.buildEndpoint(
      seat,
      received === null ? { sessionId } : { sessionId, [RECEIVED_QUERY]: received },
    );
  }

  protected override createRoom<State>(name: string, rootSchema?: RootSchema<State>): Room<never, State> {
    return this.#makeRoom(this.endpoint, name, rootSchema) as Room<never, State>;
  }

  protected override buildEndpoint(seat: SeatReservation, options: object = {}): string {
    return super.buildEndpoint(seat, this.numbered ? { ...options, [WRAPPER_QUERY]: 1 } : options);
  }
}

function boundedFetch(fetch: Fetch, answerMs: number): Fetch {
  return async (url, init) => {
    const limit = AbortSignal.timeout(answerMs);
    const signal = init?.signal ? AbortSignal.any([init.signal, limit]) : limit;
    try {
      return await fetch(url, { ...init, signal });
    } catch (error) {
      if (init?.signal?.aborted) throw error; // the caller's own wish
      const why = limit.aborted ? `no answer within ${answerMs} ms` : String((error as Error).message);
      // The SDK passes on the code and the message of what fetch throws.
      throw new UnansweredError(`${String(url)}: ${why}`);
    }
  };
}
