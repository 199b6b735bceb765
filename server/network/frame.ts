import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { readMessage, writeMessage } from "./codec.ts";
import { codecLimits } from "./codec-limits.ts";
import { FrameError } from "./frame-error.ts";
import type { PeerMessage } from "./peer-message.ts";

/** First byte of every frame. */
export const frameVersion = 1;

const messageBytesMin = 2;

const { frameBytesMax, frameMessagesMax } = codecLimits;

/** Gathers messages into frames: `[version][uint32 LE count][messages]`. */
export class FrameWriter {
  readonly #writer = new ByteWriter(frameBytesMax);
  #messages = 0;
  /** Frames that were full before `take`. */
  #full: Uint8Array<ArrayBuffer>[] = [];
  #fullBytes = 0;

  /** Bytes gathered since the last `take`. */
  get bytes(): number {
    return this.#fullBytes + this.#writer.length;
  }

  /** @throws FRAME_TOO_LONG if the message alone is longer than a frame; what was gathered before stays */
  add(message: PeerMessage): void {
    if (this.#messages === frameMessagesMax) this.#finish();
    const start = this.#writer.length;
    try {
      this.#append(message);
    } catch (error) {
      this.#writer.truncate(start);
      if (!(error instanceof FrameError) || this.#messages === 0) throw error;
      // Too long beside the others perhaps, but not alone.
      this.#finish();
      try {
        this.#append(message);
      } catch (again) {
        this.#writer.truncate(0);
        throw again;
      }
    }
    this.#messages++;
  }

  /** All frames since the last call, in order; usually one or none. */
  take(): readonly Uint8Array<ArrayBuffer>[] {
    if (this.#messages > 0) this.#finish();
    const frames = this.#full;
    this.#full = [];
    this.#fullBytes = 0;
    return frames;
  }

  #append(message: PeerMessage): void {
    if (this.#messages === 0) {
      this.#writer.byte(frameVersion);
      this.#writer.uint32(0);
    }
    writeMessage(this.#writer, message);
    if (this.#writer.length > frameBytesMax) {
      const found = `${this.#writer.length} bytes`;
      throw new FrameError("FRAME_TOO_LONG", { offset: 0, found, allowed: `at most ${frameBytesMax}` });
    }
  }

  #finish(): void {
    this.#writer.uint32At(1, this.#messages);
    const frame = this.#writer.take();
    this.#full.push(frame);
    this.#fullBytes += frame.length;
    this.#messages = 0;
  }
}

/** All messages in one frame, if they fit. @throws FRAME_TOO_LONG */
export function encodeFrame(messages: readonly PeerMessage[]): Uint8Array<ArrayBuffer> {
  const writer = new FrameWriter();
  for (const message of messages) writer.add(message);
  const [frame, ...more] = writer.take();
  if (frame === undefined || more.length > 0) {
    const found = `${messages.length} messages in ${more.length + (frame ? 1 : 0)} frames`;
    throw new FrameError("FRAME_TOO_LONG", { offset: 0, found, allowed: "one frame" });
  }
  return frame;
}

/**
 * All messages of a frame, or none. Byte arrays in them are views on `bytes`.
 * @throws FrameError
 */
export function decodeFrame(bytes: Uint8Array): PeerMessage[] {
  if (bytes.length > frameBytesMax) {
    const found = `${bytes.length} bytes`;
    throw new FrameError("FRAME_TOO_LONG", { offset: 0, found, allowed: `at most ${frameBytesMax}` });
  }
  const reader = new ByteReader(bytes);
  const version = reader.byte("version");
  if (version !== frameVersion) {
    reader.fail("FRAME_VERSION", {
      back: 1,
      found: `frame version ${version}`,
      allowed: String(frameVersion),
    });
  }
  const count = reader.uint32("message count");
  if (count === 0) reader.fail("FRAME_GARBLED", { back: 4, found: "0 messages", allowed: "at least 1" });
  if (count > frameMessagesMax) {
    reader.fail("FRAME_TOO_LONG", {
      back: 4,
      found: `${count} messages`,
      allowed: `at most ${frameMessagesMax}`,
    });
  }
  if (count * messageBytesMin > reader.left) {
    const found = `${count} messages in ${reader.left} bytes`;
    reader.fail("FRAME_GARBLED", { back: 4, found, allowed: `at least ${messageBytesMin} bytes each` });
  }
  const messages: PeerMessage[] = [];
  for (let index = 0; index < count; index++) messages.push(readMessage(reader));
  reader.end();
  return messages;
}
