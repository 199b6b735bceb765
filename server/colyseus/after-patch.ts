import { getMessageBytes, Protocol, type Room } from "@colyseus/core";
import { outsideLog } from "../session/session-error.ts";
import { returned } from "./lent.ts";
import type { LoggedClient } from "./logged-client.ts";
import { partsOf } from "./room-parts.ts";
import { hearing, seamOfRoom } from "./seam.ts";

// biome-ignore lint/suspicious/noExplicitAny: methods of the stock room are replaced by name, whatever they take
type Callback = (this: any, ...args: any[]) => any;

interface BroadcastOptions {
  readonly afterNextPatch?: boolean;
  readonly except?: unknown;
}

/**
 * What waits for the next patch is part of the room: it is numbered as it goes out, so every replica must have it, also one
 * that is restored meanwhile. The stock room keeps it where no checkpoint finds it.
 */
export function afterPatchMethods(stock: Record<string, Callback>): Record<string, Callback> {
  return {
    broadcastMessageType(
      this: Room,
      type: string | number,
      message: unknown,
      options: BroadcastOptions = {},
    ) {
      const seam = seamOfRoom(this);
      if (hearing(this) !== null) {
        if (options.afterNextPatch === true) throw outsideLog("a message is to wait for the next patch");
        return stock["broadcastMessageType"]?.call(this, type, returned(message), options);
      }
      if (options.afterNextPatch !== true || seam === undefined)
        return stock["broadcastMessageType"]?.call(this, type, message, options);
      const bytes =
        message instanceof Uint8Array
          ? getMessageBytes.raw(Protocol.ROOM_DATA_BYTES, type, undefined, message)
          : getMessageBytes.raw(Protocol.ROOM_DATA, type, message);
      const { except = [] } = options;
      seam.afterPatch.push({
        bytes: new Uint8Array(bytes),
        except: Array.isArray(except) ? [...except] : [except],
      });
    },
    _flushPendingClientFrames(this: Room) {
      const clients: readonly LoggedClient[] = partsOf(this).clients;
      for (const client of clients)
        for (const frame of client._pendingFrames.splice(0)) client.enqueueRaw(frame);
      // Whoever is away now has missed it.
      for (const client of seamOfRoom(this)?.lastClients() ?? []) client._pendingFrames.length = 0;
    },
    _flushAfterPatchBroadcasts(this: Room) {
      const clients: readonly LoggedClient[] = partsOf(this).clients;
      for (const { bytes, except } of seamOfRoom(this)?.afterPatch.splice(0) ?? [])
        for (const client of clients) if (!except.includes(client)) client.enqueueRaw(bytes);
    },
  };
}
