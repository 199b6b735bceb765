import { Protocol } from "@colyseus/core";
import { sessionLimits } from "../session/limits.ts";

const codeMask = 0x1f;
const inputCodes: readonly number[] = [Protocol.ROOM_INPUT_RELIABLE, Protocol.ROOM_INPUT_UNRELIABLE];

/**
 * What a client has sent while its attach is being agreed. The SDK sends inputs as soon as its socket is open, each only
 * as what has changed since the one before, and counts them: none may be lost.
 */
export class EarlyFrames {
  readonly all: Uint8Array[] = [];
  #messages = 0;
  #inputBytes = 0;

  /** Null: it was kept. Else what there is too much of. */
  add(frame: Uint8Array): string | null {
    const { framesBeforeAttachMax, inputsBeforeAttachMax, inputBytesBeforeAttachMax } = sessionLimits;
    if (inputCodes.includes((frame[0] ?? 0) & codeMask)) {
      this.#inputBytes += frame.length;
      if (this.all.length - this.#messages >= inputsBeforeAttachMax)
        return `more than ${inputsBeforeAttachMax} inputs before the join was answered`;
      if (this.#inputBytes > inputBytesBeforeAttachMax)
        return `more than ${inputBytesBeforeAttachMax} bytes of inputs before the join was answered`;
    } else if (++this.#messages > framesBeforeAttachMax)
      return `more than ${framesBeforeAttachMax} messages before the join was answered`;
    this.all.push(new Uint8Array(frame));
    return null;
  }
}
