/**
 * What can be wrong with bytes from a peer:
 * - `FRAME_TOO_LONG`: more bytes, messages or elements than the limits allow;
 * - `FRAME_GARBLED`: cut short, or a field holds what it must not hold;
 * - `FRAME_VERSION`: written by a version of the format that this node does not read;
 * - `MESSAGE_UNKNOWN`: a message type that this version does not have.
 */
export type FrameErrorCode = "FRAME_TOO_LONG" | "FRAME_GARBLED" | "FRAME_VERSION" | "MESSAGE_UNKNOWN";

/** The only error that decoding throws. Encoding throws it (`FRAME_TOO_LONG`) for what no peer would accept. */
export class FrameError extends Error {
  readonly code: FrameErrorCode;
  /** Where in the bytes, from 0. */
  readonly offset: number;
  readonly found: string;
  readonly allowed: string;

  constructor(
    code: FrameErrorCode,
    { offset, found, allowed }: { offset: number; found: string; allowed: string },
  ) {
    super(`${code} at byte ${offset}: ${found}; allowed: ${allowed}`);
    this.name = "FrameError";
    this.code = code;
    this.offset = offset;
    this.found = found;
    this.allowed = allowed;
  }
}
