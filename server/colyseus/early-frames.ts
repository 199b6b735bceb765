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
  #inputs = 0;
  #inputBytes = 0;

  /** Null: it was kept. Else what there is too much of. */
  add(frame: Uint8Array): string | null {
    const isInput = inputCodes.includes((frame[0] ?? 0) & codeMask);
    const tooMuch = isInput ? this.#addInput(frame.length) : this.#addMessage();
    if (tooMuch !== null) return `more than ${tooMuch} before the join was answered`;
    this.all.push(new Uint8Array(frame));
    return null;
  }

  #addInput(bytes: number): string | null {
    const { inputsBeforeAttachMax, inputBytesBeforeAttachMax } = sessionLimits;
    if (this.#inputs >= inputsBeforeAttachMax) return `${inputsBeforeAttachMax} inputs`;
    if (this.#inputBytes + bytes > inputBytesBeforeAttachMax)
      return `${inputBytesBeforeAttachMax} bytes of inputs`;
    this.#inputs++;
    this.#inputBytes += bytes;
    return null;
  }

  #addMessage(): string | null {
    const { framesBeforeAttachMax } = sessionLimits;
    if (this.#messages >= framesBeforeAttachMax) return `${framesBeforeAttachMax} messages`;
    this.#messages++;
    return null;
  }
}
