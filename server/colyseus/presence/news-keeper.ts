import type { Presence } from "@colyseus/core";
import { pack } from "msgpackr";
import { failureWords } from "../../session/failure.ts";
import { sessionLimits } from "../../session/limits.ts";
import { checkPlainData } from "../../session/plain-data.ts";
import type { RoomReplica } from "../../session/room-replica.ts";
import type { SessionMachine } from "../../session/session-machine.ts";
import { ColyseusRoom } from "../colyseus-room.ts";
import type { NewsBatch, NewsItem } from "./room-news.ts";
import { isLogged, isShared } from "./shared-presence.ts";

export interface NewsKeeperParts {
  readonly machines: readonly SessionMachine[];
  readonly presence: () => Presence;
  /** Null: another node leads the group, or none. */
  readonly leadTerm: (group: number) => number | null;
  /** Into the room's log. Rejects if that cannot be done now. */
  readonly tell: (roomId: string, batch: NewsBatch) => Promise<unknown>;
  /** Calls `act` once, `ms` from now, unless this node stops before. */
  readonly later: (act: () => void, ms: number) => void;
  readonly log: Record<"warn" | "error", (fields: object, message: string) => void>;
}

interface Waiting {
  readonly item: NewsItem;
  readonly bytes: number;
}

interface KeptRoom {
  readonly roomId: string;
  readonly group: number;
  /** What ends each channel's real subscription. */
  readonly open: Map<string, () => void>;
  /** Closed because too much waited: each goes on behind that, once the room has heard it. */
  readonly cut: Set<string>;
  readonly waiting: Waiting[];
  bytes: number;
  isTelling: boolean;
  /** Of what has come since the first one that found no place. */
  lost: number;
}

const tendMs = 250;
/** Of one entry: a message of the largest size, or many small ones. */
const batchBytesMax = 56 * 1024;

/**
 * Hears what rooms have subscribed to, where this node leads: each message becomes an entry of the room's log. A later leader
 * subscribes anew; where the presence numbers what is published it goes on behind what the room has heard.
 */
export class NewsKeeper {
  readonly #parts: NewsKeeperParts;
  readonly #rooms = new Map<string, KeptRoom>();
  #isTending = false;
  #stopped = false;

  constructor(parts: NewsKeeperParts) {
    this.#parts = parts;
  }

  /** From now on, until this node stops. */
  begin(): void {
    this.tend();
    this.#parts.later(() => this.begin(), tendMs);
  }

  /** Soon: a room has subscribed to something, in the middle of an apply. */
  subscribed(): void {
    if (this.#isTending) return;
    this.#isTending = true;
    this.#parts.later(() => {
      this.#isTending = false;
      this.tend();
    }, 0);
  }

  stop(): void {
    this.#stopped = true;
    for (const kept of this.#rooms.values()) this.#drop(kept);
  }

  /** Each room of this node's lead is heard for what it wants to hear, and no other. */
  tend(): void {
    if (this.#stopped) return;
    const led = new Set<string>();
    for (const [group, machine] of this.#parts.machines.entries()) {
      if (this.#parts.leadTerm(group) === null) continue;
      for (const replica of machine.servingRooms()) {
        const channels = channelsOf(replica);
        if (channels.size === 0) continue;
        led.add(replica.roomId);
        this.#keep(this.#kept(replica.roomId, group), channels);
      }
    }
    for (const kept of this.#rooms.values()) if (!led.has(kept.roomId)) this.#drop(kept);
  }

  #kept(roomId: string, group: number): KeptRoom {
    let kept = this.#rooms.get(roomId);
    if (kept === undefined) {
      const open = new Map<string, () => void>();
      kept = { roomId, group, open, cut: new Set(), waiting: [], bytes: 0, isTelling: false, lost: 0 };
      this.#rooms.set(roomId, kept);
    }
    return kept;
  }

  #keep(kept: KeptRoom, channels: ReadonlyMap<string, number | null>): void {
    for (const [channel, close] of kept.open)
      if (!channels.has(channel)) {
        kept.open.delete(channel);
        close();
      }
    if (kept.waiting.length === 0) kept.cut.clear();
    for (const [channel, position] of channels)
      if (!kept.open.has(channel) && !kept.cut.has(channel)) this.#open(kept, channel, position);
    void this.#tell(kept);
  }

  #open(kept: KeptRoom, channel: string, after: number | null): void {
    const { log } = this.#parts;
    const presence = this.#parts.presence();
    const { roomId } = kept;
    const heard = (message: unknown, position?: unknown) => {
      if (kept.open.get(channel) !== close) return;
      this.#heard(kept, { channel, position: typeof position === "number" ? position : null, message });
    };
    const close = () => {
      settledQuietly(async () => await presence.unsubscribe(channel, heard));
    };
    kept.open.set(channel, close);
    const begin = async () => {
      if (!isShared(presence)) throw new Error("this server's presence is not one that all nodes share");
      if (!isLogged(presence)) {
        await presence.subscribe(channel, heard);
        return;
      }
      const lost = () => {
        if (kept.open.get(channel) === close) kept.open.delete(channel);
      };
      const position = await presence.subscribeFrom(channel, after, heard, lost);
      if (after === null && kept.open.get(channel) === close)
        this.#enqueue(kept, { item: { channel, position, begins: true }, bytes: channel.length });
    };
    begin().catch((error: unknown) => {
      const isOurs = kept.open.get(channel) === close;
      if (isOurs) kept.open.delete(channel);
      close();
      if (isOurs && (error as { code?: unknown }).code === "WATCH_TOO_OLD") {
        const facts = { event: "news-lost", roomId, channel, after };
        log.error(facts, "what was published for a room while nobody listened for it is not known any more");
        this.#open(kept, channel, null);
        return;
      }
      log.warn({ roomId, channel, error: failureWords(error) }, "a room's subscription will be tried again");
    });
  }

  #drop(kept: KeptRoom): void {
    this.#rooms.delete(kept.roomId);
    for (const close of kept.open.values()) close();
    kept.open.clear();
    kept.waiting.length = 0;
  }

  #heard(kept: KeptRoom, item: NewsItem): void {
    const { roomId } = kept;
    const { channel, message } = item;
    const { newsBytesMax } = sessionLimits;
    let bytes: number;
    try {
      checkPlainData(message, "message");
      bytes = pack(item).length;
      if (bytes > newsBytesMax) throw new Error(`it has ${bytes} bytes, at most ${newsBytesMax}`);
    } catch (error) {
      const facts = { event: "news-refused", roomId, channel, error: failureWords(error) };
      this.#parts.log.error(
        facts,
        "a message that was published for a room cannot be agreed, and is left out",
      );
      return;
    }
    this.#enqueue(kept, { item, bytes });
  }

  #enqueue(kept: KeptRoom, waiting: Waiting): void {
    const { newsWaitingMax, newsWaitingBytesMax } = sessionLimits;
    const isFull = kept.waiting.length >= newsWaitingMax || kept.bytes + waiting.bytes > newsWaitingBytesMax;
    if (isFull) this.#overflow(kept, waiting.item);
    else {
      kept.waiting.push(waiting);
      kept.bytes += waiting.bytes;
      void this.#tell(kept);
    }
  }

  #overflow(kept: KeptRoom, { channel, position }: NewsItem): void {
    if (position !== null) {
      // What was published is kept where it was: it is heard again from here on.
      const close = kept.open.get(channel);
      kept.open.delete(channel);
      kept.cut.add(channel);
      close?.();
      return;
    }
    kept.lost += 1;
    if (kept.lost > 1) return;
    const { newsWaitingMax, newsWaitingBytesMax } = sessionLimits;
    const most = `${newsWaitingMax} messages or ${newsWaitingBytesMax} bytes`;
    this.#parts.log.error(
      { event: "news-overflow", roomId: kept.roomId, channel },
      `more than ${most} wait for a room's log: what is published for it now is left out; publish less, or less often`,
    );
  }

  /** One batch at a time, so that the order is kept whatever becomes of one. */
  async #tell(kept: KeptRoom): Promise<void> {
    if (kept.isTelling) return;
    kept.isTelling = true;
    try {
      while (kept.waiting.length > 0) {
        const term = this.#parts.leadTerm(kept.group);
        if (term === null) return;
        const batch = batchOf(kept.waiting);
        await this.#parts.tell(kept.roomId, { term, items: batch.map(({ item }) => item) }).catch(unlessTold);
        if (kept.waiting[0] !== batch[0]) return;
        kept.waiting.splice(0, batch.length);
        for (const { bytes } of batch) kept.bytes -= bytes;
      }
      this.#toldAll(kept);
    } catch {
      // Refused just now, or nobody knows: it is tried again when it is tended to.
    } finally {
      kept.isTelling = false;
    }
  }

  #toldAll(kept: KeptRoom): void {
    if (kept.lost > 0)
      this.#parts.log.error(
        { event: "news-lost", roomId: kept.roomId, lost: kept.lost },
        "so many messages that were published for a room were left out; it hears what comes now",
      );
    kept.lost = 0;
    if (kept.cut.size > 0) this.subscribed();
  }
}

function channelsOf({ program }: RoomReplica): ReadonlyMap<string, number | null> {
  return program instanceof ColyseusRoom ? program.newsChannels : none;
}

const none: ReadonlyMap<string, number | null> = new Map();

function batchOf(waiting: readonly Waiting[]): readonly Waiting[] {
  let bytes = 0;
  const end = waiting.findIndex((each, at) => {
    bytes += each.bytes;
    return at > 0 && bytes > batchBytesMax;
  });
  return end < 0 ? [...waiting] : waiting.slice(0, end);
}

/** It was agreed, and its result is known no more: that is as good. */
function unlessTold(error: unknown): void {
  if ((error as { code?: unknown }).code !== "APPLIED_RESULT_FORGOTTEN") throw error;
}

function settledQuietly(act: () => Promise<unknown>): void {
  act().catch(() => {});
}
