import { Protocol } from "@colyseus/core";
import { decode, encode, type Iterator } from "@colyseus/schema";
import { pack, unpack } from "msgpackr";

/** What a client of Colyseus's protocol reads, as far as a simulated player cares. */
export type Heard =
  | { readonly type: "joined"; readonly token: string }
  | {
      readonly type: "response";
      readonly requestId: number;
      readonly status: number;
      readonly value: unknown;
    }
  /** What players ask; see LedLaws. */
  | { readonly type: "request"; readonly name: string }
  | { readonly type: "message"; readonly name: string; readonly value: unknown }
  | { readonly type: "other"; readonly code: number };

export const joinedFrame = Uint8Array.of(Protocol.JOIN_ROOM);
export const leaveFrame = Uint8Array.of(Protocol.LEAVE_ROOM);

export function requestFrame(requestId: number, name: string, value: unknown): Uint8Array {
  return frame(Protocol.ROOM_REQUEST, name, value, requestId);
}

export function messageFrame(name: string, value: unknown): Uint8Array {
  return frame(Protocol.ROOM_DATA, name, value, null);
}

function frame(code: number, name: string, value: unknown, requestId: number | null): Uint8Array {
  const head = Buffer.alloc(64);
  const it: Iterator = { offset: 1 };
  head[0] = code;
  if (requestId !== null) encode.number(head as never, requestId, it);
  encode.string(head as never, name, it);
  const header = head.subarray(0, it.offset);
  return Uint8Array.from(value === undefined ? header : Buffer.concat([header, pack(value)]));
}

export function readFrame(bytes: Uint8Array): Heard {
  const code = (bytes[0] ?? 0) & 0x1f;
  const buffer = Buffer.from(bytes);
  const it: Iterator = { offset: 1 };
  switch (code) {
    case Protocol.JOIN_ROOM: {
      const length = buffer[1] ?? 0;
      return { type: "joined", token: buffer.toString("utf8", 2, 2 + length) };
    }
    case Protocol.ROOM_RESPONSE: {
      const requestId = decode.number(buffer as never, it);
      const status = buffer[it.offset++] ?? -1;
      const value: unknown = buffer.length > it.offset ? unpack(buffer.subarray(it.offset)) : undefined;
      return { type: "response", requestId, status, value };
    }
    case Protocol.ROOM_REQUEST:
      decode.number(buffer as never, it);
      return { type: "request", name: decode.string(buffer as never, it) };
    case Protocol.ROOM_DATA: {
      const name = String(
        decode.stringCheck(buffer as never, it)
          ? decode.string(buffer as never, it)
          : decode.number(buffer as never, it),
      );
      const value: unknown = buffer.length > it.offset ? unpack(buffer.subarray(it.offset)) : undefined;
      return { type: "message", name, value };
    }
    default:
      return { type: "other", code };
  }
}
