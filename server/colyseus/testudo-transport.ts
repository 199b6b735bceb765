import { WebSocketTransport } from "@colyseus/ws-transport";
import { RECEIVED_QUERY, WRAPPER_QUERY } from "../../shared/wrapper-protocol.ts";
import { sessionLimits } from "../session/limits.ts";
import { mayTryReconnect } from "../session/live-socket.ts";
import { groupOfRoom } from "../session/room-id.ts";
import type { Sessions } from "../session/sessions.ts";
import { markWrapper } from "./attach-socket.ts";
import { plainRoom } from "./plain-rooms.ts";

export interface TestudoTransportOptions {
  readonly host: string;
  readonly port: number;
  /** Null until the groups run. */
  readonly sessions: () => Sessions | null;
  readonly isServing: (group: number) => boolean;
  /** Whoever comes back is to come back elsewhere. */
  readonly isDraining: () => boolean;
  /** The port cannot be had, or the like. */
  readonly failed: (error: Error) => void;
}

/** By Colyseus's WebSocketServer, which is all that a connection is told of. */
const optionsOf = new WeakMap<object, TestudoTransportOptions>();

/** How long an upgrade for a room that is not here yet is held. */
const waitMsMax = 2_000;
const roomPath = /^\/[\w-]+\/([\w-]+)$/;

/** Bytes around a client's frame: the wrapper's own header, and a little room to tell "too long" in words. */
const headroomBytes = 8 * 1024;

/**
 * Colyseus's WebSocket transport at this node's address. A socket for a room or seat that this replica does not know is
 * held until everything committed is applied here; only then is it unknown (design 5.6).
 */
export class TestudoTransport extends WebSocketTransport {
  readonly #options: TestudoTransportOptions;

  constructor(options: TestudoTransportOptions) {
    super({
      maxPayload: sessionLimits.frameBytesMax + headroomBytes,
      beforeUpgrade: (request) => gate(request, options),
    });
    this.#options = options;
    optionsOf.set(this.wss, options);
  }

  /** `this` is Colyseus's WebSocketServer here: the base class hands the method over as a listener. */
  protected override onConnection(
    ...[socket, request, upgrade]: Parameters<WebSocketTransport["onConnection"]>
  ): Promise<void> {
    const url = new URL(request.url ?? "/", "ws://node");
    const query = url.searchParams;
    // A seat that was reserved before is taken here: who joins has no second try.
    if (query.has("reconnectionToken") && optionsOf.get(this)?.isDraining() === true && !isPlain(url)) {
      // A refused upgrade would be an error to the game; after this the SDK tries again.
      socket.on("error", () => {});
      socket.close(mayTryReconnect, "this node stops: go on elsewhere");
      return Promise.resolve();
    }
    if (query.has(WRAPPER_QUERY)) markWrapper(socket, count(query.get(RECEIVED_QUERY)));
    return super.onConnection.call(this, socket, request, upgrade);
  }

  /** Without arguments: where the node's options say. */
  override listen(port?: number, hostname?: string, backlog?: number, listening?: () => void): this {
    this.server?.on("error", this.#options.failed);
    return super.listen(port ?? this.#options.port, hostname ?? this.#options.host, backlog, listening);
  }
}

function isPlain({ pathname }: URL): boolean {
  const roomId = roomPath.exec(pathname)?.[1];
  return roomId !== undefined && plainRoom(roomId) !== undefined;
}

/** Null: what is no count says nothing. */
function count(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

const later = (why: string) => new Response(why, { status: 503, headers: { "retry-after": "1" } });

async function gate(
  request: Request,
  { sessions, isServing }: TestudoTransportOptions,
): Promise<Response | undefined> {
  const url = new URL(request.url);
  const roomId = roomPath.exec(url.pathname)?.[1];
  if (roomId === undefined || plainRoom(roomId) !== undefined) return undefined;
  const here = sessions();
  if (here === null) return later("this node is still joining its cluster");
  const group = groupOfRoom(roomId, here.machines.length);
  if (group === null) return undefined;
  if (!isServing(group)) return later("this replica is still catching up");
  if (here.standsStill(roomId)) await Promise.race([here.untilHere(roomId, waitMsMax), timeout(waitMsMax)]);
  if (here.standsStill(roomId)) return later(here.notServed(roomId).message);
  const sessionId = url.searchParams.get("sessionId") ?? "";
  const token = url.searchParams.get("reconnectionToken");
  if (isKnown(here, roomId, sessionId, token)) return undefined;
  const caughtUp = await Promise.race([here.caughtUp(group).then(() => true), timeout(waitMsMax)]).catch(
    () => false,
  );
  return caughtUp ? undefined : later("no leader answers at the moment");
}

function isKnown(sessions: Sessions, roomId: string, sessionId: string, token: string | null): boolean {
  const room = sessions.room(roomId);
  if (room === undefined) return false;
  return token === null
    ? room.program.hasReservation(sessionId)
    : (room.seats.get(sessionId)?.accepts(token) ?? false);
}

function timeout(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(resolve, ms, false).unref());
}
