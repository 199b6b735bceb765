import { matchMaker, type Presence, ServerError, subscribeIPC } from "@colyseus/core";
import { unavailable } from "./attach-socket.ts";
import { creatorId } from "./matchmaking.ts";
import { isReplicated } from "./replicated.ts";

type Select = typeof matchMaker.selectProcessIdToCreateRoom;

export interface ProcessCount {
  readonly processId: string;
  readonly roomCount: number;
}

interface RoomPlacementParts {
  readonly isDraining: () => boolean;
  /** Other processes that take rooms now. */
  readonly takers: () => readonly ProcessCount[];
  /** Whether another process is of the cluster, as far as this node knows. */
  readonly isKnown: (processId: string) => boolean;
  readonly warn: (message: string) => void;
}

/** What other nodes tell of their rooms is older than what this one has just given them: so long it is counted here. */
const givenMs = 1_000;

/** Where a plain room begins: on the least loaded node, or where the studio's own `selectProcessIdToCreateRoom` says. */
export class RoomPlacement {
  readonly #parts: RoomPlacementParts;
  readonly #given: { readonly processId: string; readonly atMs: number }[] = [];
  #studio: Select | null = null;

  constructor(parts: RoomPlacementParts) {
    this.#parts = parts;
  }

  /** To be given to the server as its `selectProcessIdToCreateRoom`. */
  readonly select: Select = async (name, options) => {
    if (isReplicated(matchMaker.getRoomClass(name))) return creatorId;
    const { takers, isDraining } = this.#parts;
    const { processId, stats } = matchMaker;
    const own = isDraining() ? [] : [{ processId, roomCount: stats.local.roomCount }];
    const chosen = await this.#studio?.(name, options);
    if (this.#studio !== null && chosen === undefined) return undefined as unknown as string;
    // After the studio's own function, which may take its time.
    const all = [...own, ...takers()];
    const one = all.find((each) => each.processId === chosen) ?? this.#leastOf(all);
    if (one === undefined)
      throw new ServerError(
        unavailable,
        `this node stops, and no other one takes a new "${name}": try again`,
      );
    if (chosen !== undefined && chosen !== one.processId) this.#tellUnknown(chosen);
    if (one.processId !== processId) this.#given.push({ processId: one.processId, atMs: performance.now() });
    return one.processId;
  };

  /** Of those that have as few this one, which comes first. */
  #leastOf(all: readonly ProcessCount[]): ProcessCount | undefined {
    const sinceMs = performance.now() - givenMs;
    while ((this.#given[0]?.atMs ?? Number.POSITIVE_INFINITY) < sinceMs) this.#given.shift();
    const load = ({ processId, roomCount }: ProcessCount) =>
      roomCount + this.#given.filter((given) => given.processId === processId).length;
    return [...all].sort((one, other) => load(one) - load(other))[0];
  }

  /** One that drains, or is gone, may well have been chosen. */
  #tellUnknown(processId: string): void {
    const { isKnown, warn } = this.#parts;
    if (processId === matchMaker.processId || isKnown(processId)) return;
    warn(
      `selectProcessIdToCreateRoom chose "${processId}", which is no process of the cluster: the room begins on the least loaded node; choose one of \`await matchMaker.stats.fetchAll()\``,
    );
  }

  /** The studio's own function comes first, but replicated rooms are of no process. */
  async take(): Promise<void> {
    const { selectProcessIdToCreateRoom: given, presence, driver, publicAddress } = matchMaker;
    if (given === this.select) return;
    this.#studio = given;
    await matchMaker.setup(presence, driver, publicAddress, this.select);
  }

  /** From now on this process makes no rooms for others, which may not have heard yet that it is about to end. */
  async close(): Promise<void> {
    const { presence, processId } = matchMaker;
    await refuseRooms(presence, processId).catch((error: unknown) =>
      this.#parts.warn(`other nodes may still ask for rooms here: ${String(error)}`),
    );
  }
}

/** Whoever asked makes the room itself then, as Colyseus does when it gets no answer; but at once, and not after 2 s. */
async function refuseRooms(presence: Presence, processId: string): Promise<void> {
  const channel = `p:${processId}`;
  presence.unsubscribe(channel);
  await subscribeIPC(presence, channel, async (method) => {
    if (method === "healthcheck") return true;
    throw new Error("ipc_timeout");
  });
}
