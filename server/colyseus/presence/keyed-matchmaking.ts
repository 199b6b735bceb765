import { type IRoomCache, matchMaker } from "@colyseus/core";
import type { EffectCall } from "../../session/room-program.ts";
import { isTransient } from "../../session/session-error.ts";
import type { Sessions } from "../../session/sessions.ts";
import type { Matchmaking, Options } from "../matchmaking.ts";
import { isReplicated } from "../replicated.ts";
import type { CallMatchmaking } from "../room-calls.ts";
import { KeyedIds } from "./keyed-ids.ts";

interface Parts {
  readonly sessions: Sessions;
  readonly matchmaking: Matchmaking;
  /** The cluster's: the same on every node that may come to run a call again. */
  readonly secret: string;
}

interface SeatWish {
  readonly sessionId: string;
  readonly options: Options;
  readonly auth: unknown;
}

/** What room code gives is as its types say, or fails. */
type Call = (args: never, ids: KeyedIds) => unknown;
type AnyCall = (...args: unknown[]) => unknown;

const retryMs = 100;

/**
 * `matchMaker` for rooms, on the leader's node. Each call may come again, from the next leader, with the same key: replicated
 * rooms and their seats are made once for each key; others are made as Colyseus makes them, on this node.
 */
export class KeyedMatchmaking implements CallMatchmaking {
  readonly #parts: Parts;
  readonly #calls: Readonly<Record<string, Call>>;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#calls = this.#keyedCalls();
  }

  async ask(name: string, args: unknown[], { key, signal }: EffectCall): Promise<unknown> {
    const call = Object.hasOwn(this.#calls, name) ? this.#calls[name] : undefined;
    for (;;) {
      try {
        const ids = new KeyedIds(this.#parts.secret, key);
        const value: unknown = await (call === undefined
          ? stockCall(name)(...args)
          : call(args as never, ids));
        return value instanceof Map ? [...value] : value;
      } catch (error) {
        // Nobody knows whether it was agreed; asked again, it comes to the same.
        if (call === undefined || !isTransient(error) || signal.aborted) throw error;
        await new Promise<void>((resolve) => this.#parts.sessions.later(resolve, retryMs));
      }
    }
  }

  #keyedCalls(): Record<string, Call> {
    const { matchmaking } = this.#parts;
    const seat =
      (method: "create" | "join" | "joinOrCreate"): Call =>
      ([name, options = {}]: [string, Options?], ids) =>
        isOurs(name) ? matchmaking.seat(method, name, options, ids) : matchMaker[method](name, options);
    return {
      createRoom: ([name, options = {}]: [string, Options?], ids) =>
        isOurs(name) ? matchmaking.create(name, options, ids) : matchMaker.createRoom(name, options),
      create: seat("create"),
      join: seat("join"),
      joinOrCreate: seat("joinOrCreate"),
      joinById: async ([roomId, options = {}]: [string, Options?], ids) =>
        (await matchmaking.knows(roomId))
          ? await matchmaking.seat("joinById", roomId, options, ids)
          : await matchMaker.joinById(roomId, options),
      reserveSeatFor: async ([room, options, auth]: [IRoomCache, Options, { sessionId?: string }?], ids) =>
        (await matchmaking.knows(room.roomId))
          ? await matchmaking.seatIn(room, options, auth, { sessionId: auth?.sessionId ?? ids.sessionId })
          : await matchMaker.reserveSeatFor(room, options, auth),
      reserveMultipleSeatsFor: async ([room, seats]: [IRoomCache, SeatWish[]]) =>
        (await matchmaking.knows(room.roomId))
          ? await matchmaking.seatsIn(room, seats)
          : await matchMaker.reserveMultipleSeatsFor(room, seats as never),
    };
  }
}

function isOurs(name: string): boolean {
  return isReplicated(matchMaker.getRoomClass(name));
}

function stockCall(name: string): AnyCall {
  const [owner, method]: [unknown, string] = name.startsWith("stats.")
    ? [matchMaker.stats, name.slice("stats.".length)]
    : [matchMaker, name];
  return (owner as Record<string, AnyCall>)[method] as AnyCall;
}
