import assert from "node:assert/strict";
import { type IRoomCache, type LocalDriver, matchMaker, type Room } from "@colyseus/core";
import type { RoomEnvironment, RoomProgram, RoomPrograms, SavedProgram } from "../session/room-program.ts";
import type { RoomWorld } from "../session/room-world.ts";
import { currentWorld, outsideWorld } from "../session/sandbox.ts";
import type { Seat } from "../session/seat.ts";
import type { Sessions } from "../session/sessions.ts";
import { ColyseusRoom, discardStockRoom } from "./colyseus-room.ts";
import { rememberHandlers } from "./late-handlers.ts";
import { LeaderInstance } from "./led/leader-instance.ts";
import { LedProgram } from "./led/led-program.ts";
import { ledBase } from "./led/led-room.ts";
import type { NewLedInstance } from "./led/led-room-data.ts";
import type { LoggedClient } from "./logged-client.ts";
import { checkMessageTypes } from "./message-consistency.ts";
import { wrapOwnRemoteCalls } from "./remote-room-call.ts";
import { replicatedOptions } from "./replicated.ts";
import { RoomCalls } from "./room-calls.ts";
import { RoomListings } from "./room-listings.ts";
import { partsOf } from "./room-parts.ts";
import { checkPlugins, pluginFunctions } from "./room-plugins.ts";
import { restoreRoom } from "./room-restore.ts";
import { checkStreams } from "./room-views.ts";
import { offerSeam, type Seam, seamIn } from "./seam.ts";

/** A replica, as the programs need it. */
type Environment = RoomEnvironment & {
  readonly world: RoomWorld;
  readonly seats: ReadonlyMap<string, Seat>;
};

const listingsOf = new WeakMap<Seam, LocalDriver>();

/** The listings of the node whose room is being applied now, or null outside every apply. */
export function appliedListings(): LocalDriver | null {
  const seam = seamIn(currentWorld());
  return seam === undefined ? null : (listingsOf.get(seam) ?? null);
}

/** Makes replicated rooms out of the room classes that are registered with Colyseus's matchmaker. */
export class ColyseusPrograms implements RoomPrograms {
  /** What this node lists: derived from what was applied. */
  readonly listings = new RoomListings();
  /** Answers what rooms ask of `this.presence` and `matchMaker`. */
  readonly calls = new RoomCalls();
  #sessions: Sessions | null = null;
  #subscribed: () => void = () => {};

  bind(sessions: Sessions): void {
    this.#sessions = sessions;
  }

  /** @param subscribed is called, in the middle of an apply, when a room of this node's lead has subscribed to something */
  onSubscribed(subscribed: () => void): void {
    this.#subscribed = subscribed;
  }

  async create(environment: RoomEnvironment): Promise<RoomProgram> {
    const { room, seam } = await this.#birth(environment as Environment, { isRestored: false });
    if (ledBase(room) !== undefined)
      return this.#led(environment as Environment, { room, seam, saved: null });
    const program = new ColyseusRoom(room, seam, environment as Environment);
    this.#created(environment, seam, program.room);
    try {
      checkPlugins(program.room);
      checkMessageTypes(program.room, seam.options.messages);
      checkStreams(program.room);
      program.checkSavable();
    } catch (error) {
      program.discard();
      throw error;
    }
    return program;
  }

  async restore(
    environment: RoomEnvironment,
    saved: SavedProgram,
    seats: ReadonlyMap<string, Seat>,
  ): Promise<RoomProgram> {
    const { room, seam } = await this.#birth(environment as Environment, { isRestored: true });
    const { program: bytes, upgradeFrom } = saved;
    if (ledBase(room) !== undefined)
      return this.#led(environment as Environment, { room, seam, saved: bytes });
    const program = new ColyseusRoom(room, seam, environment as Environment);
    const { world } = environment;
    try {
      this.#created(environment, seam, program.room);
      const parts = partsOf(program.room);
      await restoreRoom(
        { program, room: program.room, parts, seam, timers: world.timers, seats, upgradeFrom },
        bytes,
      );
      if (currentWorld() !== world) throw new Error(`room ${room.roomId} was given up`);
    } catch (error) {
      program.discard();
      throw error;
    }
    return program;
  }

  /** None of its own code runs here, nor has it timers here. */
  #led(
    environment: Environment,
    { room, seam, saved }: { room: Room; seam: Seam; saved: Uint8Array | null },
  ): RoomProgram {
    environment.world.timers.clearAll();
    environment.world.isLed = true;
    environment.created();
    const newInstance: NewLedInstance = (replica, lead) => new LeaderInstance(replica, lead);
    try {
      return new LedProgram({ room, seam, environment, newInstance }, saved);
    } catch (error) {
      discardStockRoom(room);
      throw error;
    }
  }

  #created(environment: RoomEnvironment, seam: Seam, room: Room): void {
    seam.creating = false;
    wrapOwnRemoteCalls(room);
    const own = Object.entries(room).filter(([, value]) => typeof value === "function");
    seam.functions = new Map([...own, ...pluginFunctions(room)]);
    rememberHandlers(room);
    environment.created();
  }

  /** The stock matchmaker creates the room, onCreate included: here it is deterministic, because everything around it is. */
  async #birth(
    environment: Environment,
    { isRestored }: { isRestored: boolean },
  ): Promise<{ room: Room; seam: Seam }> {
    const { birth } = environment;
    const seam: Seam = {
      environment,
      room: environment,
      options: replicatedOptions(matchMaker.getRoomClass(birth.roomName)),
      sessions: () => {
        assert(this.#sessions !== null, "the session layer is not bound yet");
        return this.#sessions;
      },
      call: (name, argument, call) => this.calls.run(name, argument, call),
      subscribed: () => this.#subscribed(),
      leaves: [],
      afterPatch: [],
      lastClients: () => [],
      clockOrdinal: 0,
      creating: true,
      isRestored,
      functions: new Map(),
      catches: false,
      restoring: null,
    };
    listingsOf.set(seam, this.listings);
    this.listings.remove(birth.roomId);
    offerSeam(seam);
    let listing: IRoomCache;
    try {
      listing = await matchMaker.handleCreateRoom(
        birth.roomName,
        structuredClone(birth.options ?? {}) as object,
        undefined,
        birth.roomId,
      );
    } finally {
      offerSeam(null);
    }
    const room = seam.room as Room;
    if (currentWorld() !== environment.world) {
      // onCreate waited for something outside the log, and has come back long after the room was given up.
      discardStockRoom(room);
      this.listings.remove(birth.roomId);
      throw new Error(`room ${birth.roomId} was given up: its onCreate went on outside of the log`);
    }
    if (listing.roomId !== birth.roomId || room.roomId !== birth.roomId) {
      discardStockRoom(room);
      throw new Error(
        "a replicated room must not change its roomId in onCreate: ids are agreed before it runs",
      );
    }
    leaveCounting(room, seam);
    // However it ends, also without a word to its code.
    partsOf(room)._events.once("dispose", () => this.listings.remove(birth.roomId));
    return { room, seam };
  }
}

/** Colyseus counts a process's own rooms and clients: see NodeCounts. A client's events come where it is attached. */
function leaveCounting(room: Room, seam: Seam): void {
  const local = outsideWorld(() => matchMaker.stats.local);
  const events = partsOf(room)._events;
  const handler = matchMaker.getHandler(room.roomName);
  const isNews = ({ node }: LoggedClient) => node === seam.environment.nodeId && seam.restoring === null;
  local.roomCount--;
  events.once("dispose", () => {
    local.roomCount++;
  });
  events.removeAllListeners("join");
  events.removeAllListeners("leave");
  events.on("join", (client: LoggedClient) => {
    if (isNews(client)) handler.emit("join", room, client as never);
  });
  events.on("leave", (client: LoggedClient, willDispose: boolean) => {
    if (isNews(client)) handler.emit("leave", room, client as never, willDispose);
  });
}
