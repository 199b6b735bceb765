import assert from "node:assert/strict";

/** A client's frame, numbered: by its node within the seat's epoch, or by the client itself over all epochs. */
export interface Message {
  readonly roomId: string;
  readonly sessionId: string;
  readonly epoch: number;
  readonly stream: "epoch" | "client";
  readonly sequence: number;
  readonly frame: Uint8Array;
}

const idBytesMax = 255;
const numbersBytes = 13;
const streams = ["epoch", "client"] as const;

/**
 * A client's frame in the log, the one command that there are many of:
 * `[u8 stream][uint32 LE epoch][float64 LE sequence][u8 length][roomId][u8 length][sessionId][frame]`.
 * Everything in it is the node's own, but for the frame, which has been measured; hence assertions and no schema.
 */
export const messageCodec = Object.freeze({
  /** Leaves `headroom` bytes in front. */
  encode({ roomId, sessionId, epoch, stream, sequence, frame }: Message, headroom: number): Uint8Array {
    assert(Number.isSafeInteger(sequence) && sequence >= 1, "sequences count from 1");
    assert(Number.isInteger(epoch) && epoch >= 0 && epoch < 2 ** 32, "an epoch is a small number");
    const roomBytes = Buffer.byteLength(roomId);
    const sessionBytes = Buffer.byteLength(sessionId);
    assert(roomBytes >= 1 && roomBytes <= idBytesMax, "a room's id has 1 to 255 bytes");
    assert(sessionBytes >= 1 && sessionBytes <= idBytesMax, "a seat's id has 1 to 255 bytes");
    // Not from the pool: a small command must not keep a whole slab alive for as long as the log remembers it.
    const bytes = Buffer.allocUnsafeSlow(
      headroom + numbersBytes + 2 + roomBytes + sessionBytes + frame.length,
    );
    bytes[headroom] = stream === "epoch" ? 0 : 1;
    bytes.writeUInt32LE(epoch, headroom + 1);
    bytes.writeDoubleLE(sequence, headroom + 5);
    let at = headroom + numbersBytes;
    bytes[at++] = roomBytes;
    at += bytes.write(roomId, at, "utf8");
    bytes[at++] = sessionBytes;
    at += bytes.write(sessionId, at, "utf8");
    bytes.set(frame, at);
    return bytes;
  },

  /** The frame is a view of `argument`. @throws RangeError if it is cut short or no such command */
  decode(argument: Uint8Array): Message {
    const bytes = Buffer.from(argument.buffer, argument.byteOffset, argument.length);
    const stream = streams[bytes.readUInt8(0)];
    const epoch = bytes.readUInt32LE(1);
    const sequence = bytes.readDoubleLE(5);
    const roomEnd = numbersBytes + 1 + bytes.readUInt8(numbersBytes);
    const sessionEnd = roomEnd + 1 + bytes.readUInt8(roomEnd);
    if (
      stream === undefined ||
      sessionEnd > bytes.length ||
      !Number.isSafeInteger(sequence) ||
      sequence < 1
    ) {
      throw new RangeError(`a message of ${bytes.length} bytes is cut short or garbled`);
    }
    return {
      stream,
      epoch,
      sequence,
      roomId: bytes.toString("utf8", numbersBytes + 1, roomEnd),
      sessionId: bytes.toString("utf8", roomEnd + 1, sessionEnd),
      frame: argument.subarray(sessionEnd),
    };
  },
});
