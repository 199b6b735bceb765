import {
  type AuthContext,
  ErrorCode,
  generateId,
  type IRoomCache,
  matchMaker,
  ServerError,
} from "@colyseus/core";
import { isTransient, SessionError } from "../session/session-error.ts";
import type { Sessions } from "../session/sessions.ts";
import { serverError, unavailable } from "./attach-socket.ts";
import { isReplicated } from "./replicated.ts";
import type { TestudoDriver } from "./testudo-driver.ts";
import { WayOut } from "./way-out.ts";

export type Options = Record<string, unknown>;

/** What a room and its seat are named by where the same call may come again; else chance names them. */
export interface RepeatIds {
  readonly sessionId: string;
  readonly bytes: (count: number) => Uint8Array;
}

interface SeatReservation {
  readonly name: string;
  readonly sessionId: string;
  readonly roomId: string;
  readonly processId: string;
  readonly publicAddress?: string;
}

interface Asker {
  /** Of a client; server code has none. */
  readonly context?: AuthContext | undefined;
  readonly ids?: RepeatIds;
}

type Act = (nameOrId: string, options: Options, asker: Asker) => Promise<SeatReservation>;

/** Those that would make a plain room here, or look for one that is about to end. */
const seekingMethods: readonly string[] = ["create", "join", "joinOrCreate"];

/** Rounds of looking for a room with a free seat before the client is told to try again. */
const roundsMax = 8;
/** How long server code waits for a room. */
const createSoonMs = 1_500;
/** The channel on which in-process `matchMaker.createRoom` of a replicated room reaches the log. */
export const creatorId = "testudo";

const full = (roomId: string) =>
  new ServerError(ErrorCode.MATCHMAKE_INVALID_ROOM_ID, `room "${roomId}" is full or locked`);

/** Matchmaking for replicated rooms: rooms are allocated, and seats reserved, through the log. */
export class Matchmaking {
  readonly #sessions: Sessions;
  readonly #driver: TestudoDriver;
  readonly #wayOut: WayOut;

  /** @param wayOut by default this node never drains */
  constructor(
    sessions: Sessions,
    driver: TestudoDriver,
    wayOut: WayOut = new WayOut({ door: "open", elsewhere: () => [] }),
  ) {
    this.#sessions = sessions;
    this.#driver = driver;
    this.#wayOut = wayOut;
    driver.freshenBy(async (roomId) => {
      // A room that stands still is not listed here, and will not be.
      if (!sessions.standsStill(roomId)) await sessions.freshRoom(roomId);
    });
  }

  /** Takes the place of `matchMaker.controller.invokeMethod` for replicated rooms. */
  intercept(): () => void {
    const { controller } = matchMaker;
    const stock = controller.invokeMethod;
    const invoke: typeof stock = async (method, name, options = {}, auth) => {
      const act = this.#methods[method];
      const isOurs =
        method === "joinById" || method === "reconnect"
          ? await this.knows(name)
          : isReplicated(matchMaker.getRoomClass(name));
      if (act === undefined || !isOurs) {
        if (seekingMethods.includes(method) && this.#wayOut.isDraining)
          throw new ServerError(unavailable, `this node stops, and takes no new "${name}": ask another one`);
        return await stock.call(controller, method, name, options, auth).catch((error: unknown) => {
          // What driver and presence throw has words for codes, which would go out as a success.
          throw typeof (error as { code?: unknown }).code === "string" ? told(error) : error;
        });
      }
      if (typeof options !== "object" || options === null || Array.isArray(options))
        throw new ServerError(ErrorCode.MATCHMAKE_UNHANDLED, "join options must be an object");
      try {
        return (await act(name, options as Options, { context: auth })) as never;
      } catch (error) {
        throw told(error);
      }
    };
    controller.invokeMethod = invoke;
    return () => {
      if (controller.invokeMethod === invoke) controller.invokeMethod = stock;
    };
  }

  readonly #methods: Record<string, Act | undefined> = {
    joinOrCreate: async (name, options, { context, ids }) => {
      const auth = await authenticate(name, options, context);
      return await this.#seek(name, options, auth, { orCreate: true, ids });
    },
    join: async (name, options, { context, ids }) => {
      const auth = await authenticate(name, options, context);
      return await this.#seek(name, options, auth, { orCreate: false, ids });
    },
    create: async (name, options, { context, ids }) => {
      const auth = await authenticate(name, options, context);
      const listing = await this.create(name, options, ids);
      return (await this.#reserve(listing, options, auth, ids)) ?? raise(full(listing.roomId));
    },
    joinById: async (roomId, options, { context, ids }) => {
      const listing = await this.#listing(roomId);
      const auth = await authenticate(listing.name, options, context);
      return (await this.#reserve(listing, options, auth, ids)) ?? raise(full(roomId));
    },
    reconnect: async (roomId, options) => {
      const listing = await this.#listing(roomId);
      const token = options["reconnectionToken"];
      if (typeof token !== "string")
        throw new ServerError(
          ErrorCode.MATCHMAKE_UNHANDLED,
          "'reconnectionToken' must be provided for reconnection.",
        );
      // A replica that differs, or stands still, does not know which tokens are good by now.
      if (this.#sessions.standsStill(roomId)) throw this.#sessions.notServed(roomId);
      const sessionId = await this.#sessionOf(roomId, token);
      if (sessionId === undefined)
        throw new ServerError(ErrorCode.MATCHMAKE_EXPIRED, "reconnection token invalid or expired.");
      return this.#reservation(listing, { sessionId, isOfRoom: false });
    },
  };

  /** A replicated room created by server code: `matchMaker.createRoom(name, options)`. */
  async create(name: string, options: Options, ids?: RepeatIds): Promise<IRoomCache> {
    return await this.#listing(await this.#allocate(name, options, { fresh: true, exclude: null }, ids));
  }

  /** What a room asks for, with ids that come again: the seat that they were given before, or a new one. */
  async seat(
    method: "create" | "join" | "joinOrCreate" | "joinById",
    nameOrId: string,
    options: Options,
    ids: RepeatIds,
  ): Promise<SeatReservation> {
    const act = this.#methods[method] as Act;
    return await act(nameOrId, options, { ids }).catch((error: unknown) => raise(toldUnlessTransient(error)));
  }

  /** @throws Error in Colyseus's words if no seat is free */
  async seatIn(
    { roomId }: { readonly roomId: string },
    options: Options,
    auth: unknown,
    ids: Pick<RepeatIds, "sessionId">,
  ): Promise<SeatReservation> {
    const listing = await this.#listing(roomId);
    return (
      (await this.#reserve(listing, options, auth, ids)) ?? raise(new Error(`${roomId} is already full.`))
    );
  }

  async seatsIn(
    { roomId }: { readonly roomId: string },
    seats: readonly { readonly sessionId: string; readonly options: Options; readonly auth: unknown }[],
  ): Promise<boolean[]> {
    const listing = await this.#listing(roomId);
    const given: boolean[] = [];
    for (const { options, auth, sessionId } of seats)
      given.push((await this.#reserve(listing, options, auth, { sessionId })) !== null);
    return given;
  }

  /**
   * For `matchMaker.createRoom`, which waits 2 s for another process and then makes the room by itself, as this one must
   * not be made. One that comes to be later stays empty, and ends.
   */
  async createSoon(name: string, options: Options): Promise<IRoomCache> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const why = `room "${name}" was not agreed within ${createSoonMs} ms: try again`;
      timer = setTimeout(() => reject(new SessionError("NO_LEADER", why)), createSoonMs);
    });
    return await Promise.race([this.create(name, options), late]).finally(() => clearTimeout(timer));
  }

  async #seek(
    name: string,
    options: Options,
    auth: unknown,
    { orCreate, ids }: { orCreate: boolean; ids: RepeatIds | undefined },
  ): Promise<SeatReservation> {
    const given = ids === undefined ? null : await this.#given(name, ids);
    if (given !== null) return given;
    /** Rooms without a seat for this client; the last one of them that the key stood for is not to be had again. */
    const without = new Set<string>();
    let exclude: string | null = null;
    for (let round = 0; round < roundsMax; round++) {
      let listing: IRoomCache | undefined = await matchMaker.findOneRoomAvailable(name, options);
      if (listing && without.has(listing.roomId)) listing = undefined;
      if (listing === undefined || listing === null) {
        if (!orCreate) {
          if (round > 0) break;
          // Perhaps this node only lags behind: ask again once everything committed is here.
          await Promise.all(this.#sessions.machines.map((_, group) => this.#sessions.caughtUp(group)));
          continue;
        }
        const roomId = await this.#allocate(name, options, { fresh: false, exclude });
        listing = await this.#find(roomId);
        // The key's room may have ended, or failed to begin, and not be forgotten yet; and a private one is by invitation.
        if (listing === undefined || listing.private) {
          exclude = roomId;
          continue;
        }
      }
      const reserved = await this.#reserve(listing, options, auth, ids).catch(nullIfFrozen);
      if (reserved !== null) return reserved;
      without.add(listing.roomId);
      exclude = listing.roomId;
    }
    if (orCreate)
      throw new ServerError(
        ErrorCode.MATCHMAKE_UNHANDLED,
        `no seat could be had in ${roundsMax} tries: try again`,
      );
    throw new ServerError(ErrorCode.MATCHMAKE_INVALID_CRITERIA, "no rooms found with provided criteria");
  }

  async #allocate(
    name: string,
    options: Options,
    how: { fresh: boolean; exclude: string | null },
    ids?: RepeatIds,
  ): Promise<string> {
    const handler = matchMaker.getHandler(name);
    const filters = handler.getFilterOptions(options) as Record<string, unknown>;
    const key = JSON.stringify([name, ...Object.entries(filters).sort(([a], [b]) => (a < b ? -1 : 1))]);
    return await this.#sessions.allocate({ key, roomName: name, options, ...how }, ids?.bytes);
  }

  /** The seat that the same call got when it was asked before; null: none, as far as is agreed. */
  async #given(name: string, { sessionId }: RepeatIds): Promise<SeatReservation | null> {
    await Promise.all(this.#sessions.machines.map((_, group) => this.#sessions.caughtUp(group)));
    for (const { roomId, birth, seats, program } of this.#sessions.rooms.values())
      if (birth.roomName === name && (seats.has(sessionId) || program.hasReservation(sessionId)))
        return this.#reservation(await this.#listing(roomId), { sessionId, isOfRoom: true });
    return null;
  }

  /** Null: no seat there (full, locked, or on its way out). */
  async #reserve(
    listing: IRoomCache,
    options: Options,
    auth: unknown,
    ids?: Pick<RepeatIds, "sessionId">,
  ): Promise<SeatReservation | null> {
    const sessionId = ids?.sessionId ?? generateId();
    const seconds =
      this.#sessions.room(listing.roomId) === undefined
        ? 15
        : matchMaker.getLocalRoomById(listing.roomId)?.seatReservationTimeout;
    try {
      const reserved = await this.#sessions.reserve(listing.roomId, {
        sessionId,
        options,
        auth,
        seconds: seconds ?? 15,
        mayRepeat: ids !== undefined,
      });
      return reserved ? this.#reservation(listing, { sessionId, isOfRoom: ids !== undefined }) : null;
    } catch (error) {
      if (
        error instanceof SessionError &&
        (error.code === "ROOM_NOT_FOUND" ||
          error.code === "ROOM_QUARANTINED" ||
          error.code === "ROOM_STANDS_STILL" ||
          error.code === "SEATS_TOO_MANY")
      )
        return null;
      throw error;
    }
  }

  /** The seat can be taken on any node: as a rule the client goes on talking to the one that it asked. */
  #reservation(
    listing: IRoomCache,
    { sessionId, isOfRoom }: { readonly sessionId: string; readonly isOfRoom: boolean },
  ): SeatReservation {
    // What a room gives away comes from its leader, and its client is elsewhere.
    const publicAddress = isOfRoom ? null : (this.#wayOut.next() ?? matchMaker.publicAddress);
    const own = { name: listing.name, sessionId, roomId: listing.roomId, processId: matchMaker.processId };
    return publicAddress ? { ...own, publicAddress } : own;
  }

  /** It is a replicated room's, whether this node has it or not. */
  async knows(roomId: string): Promise<boolean> {
    if (this.#sessions.room(roomId) !== undefined || this.#sessions.standsStill(roomId)) return true;
    const listing = await this.#find(roomId);
    if (listing !== undefined) return isReplicated(matchMaker.getRoomClass(listing.name));
    return this.#sessions.notServed(roomId).code !== "ROOM_NOT_FOUND";
  }

  async #listing(roomId: string): Promise<IRoomCache> {
    return (await this.#find(roomId)) ?? raise(this.#notFound(roomId));
  }

  #notFound(roomId: string): Error {
    const why = this.#sessions.notServed(roomId);
    if (why.code !== "ROOM_NOT_FOUND") return serverError(why) as ServerError;
    return new ServerError(ErrorCode.MATCHMAKE_INVALID_ROOM_ID, `room "${roomId}" not found`);
  }

  async #find(roomId: string): Promise<IRoomCache | undefined> {
    return (await this.#driver.findOne({ roomId })) as IRoomCache | undefined;
  }

  async #sessionOf(roomId: string, token: string): Promise<string | undefined> {
    const find = () =>
      [...(this.#sessions.room(roomId)?.seats.values() ?? [])].find((seat) => seat.accepts(token))?.sessionId;
    const known = find();
    if (known !== undefined) return known;
    await this.#sessions.freshRoom(roomId);
    return find();
  }
}

/** As the stock matchmaker would say it. */
function told(error: unknown): ServerError {
  const { code, message } = serverError(error) as { code?: unknown; message?: string };
  const number = typeof code === "number" ? code : ErrorCode.MATCHMAKE_UNHANDLED;
  return new ServerError(number, message ?? String(error));
}

function toldUnlessTransient(error: unknown): Error {
  return isTransient(error) ? (error as Error) : told(error);
}

/** The static onAuth, as the stock matchmaker calls it: on the node that was asked, before anything is proposed. */
async function authenticate(name: string, options: Options, context?: AuthContext): Promise<unknown> {
  const roomClass = matchMaker.getRoomClass(name) as unknown as {
    onAuth?: (token: string | undefined, options: Options, context: AuthContext) => unknown;
  };
  if (roomClass.onAuth === undefined || context === undefined) return undefined;
  const result = await roomClass.onAuth(context.token, options, context);
  if (result === false || result === null || result === undefined)
    throw new ServerError(ErrorCode.AUTH_FAILED, "onAuth failed");
  return result === true ? undefined : result;
}

/** Whoever seeks a room, and not this one, finds another. */
function nullIfFrozen(error: unknown): null {
  if (error instanceof SessionError && error.code === "ROOM_FROZEN") return null;
  throw error;
}

function raise(error: Error): never {
  throw error;
}
