import type { Lead, StepPiece } from "../../session/led-program.ts";
import { sessionLimits } from "../../session/limits.ts";

interface StepSenderHost {
  readonly roomId: string;
  /** Another leader has begun, or nobody knows what became of a step: the instance has no future. */
  lost(): void;
  /** It is behind no longer. */
  free(): void;
}

/** Steps on their way through the log, in order; so many at once, and the room's time stands still while it has to wait. */
export class StepSender {
  run = 0;
  readonly #lead: Lead;
  readonly #host: StepSenderHost;
  #number = 0;
  #inFlight = 0;
  readonly #waiting: StepPiece[] = [];
  /** For how long its time has stood still. */
  #heldMs = 0;
  #heldSinceMs: number | null = null;

  constructor(lead: Lead, host: StepSenderHost) {
    this.#lead = lead;
    this.#host = host;
  }

  begin(run: number): void {
    this.run = run;
  }

  get isBehind(): boolean {
    return this.#waiting.length > 0 || this.#inFlight >= sessionLimits.stepPiecesInFlightMax;
  }

  /** The room's time: the machine's, but for the times when it was behind. */
  nowMs(): number {
    return (this.#heldSinceMs ?? performance.now()) - this.#heldMs;
  }

  send(pieces: readonly Uint8Array[]): void {
    const { roomId } = this.#host;
    for (const [at, bytes] of pieces.entries()) {
      const isLast = at === pieces.length - 1;
      this.#waiting.push({ roomId, run: this.run, number: ++this.#number, bytes, isLast });
    }
    this.#pump();
  }

  #pump(): void {
    while (this.#waiting.length > 0 && this.#inFlight < sessionLimits.stepPiecesInFlightMax) {
      const piece = this.#waiting.shift() as StepPiece;
      this.#inFlight++;
      this.#lead.step(piece).then(
        (refused) => {
          if (refused !== null) return this.#host.lost();
          const wasBehind = this.isBehind;
          this.#inFlight--;
          this.#pump();
          if (wasBehind && !this.isBehind) this.#host.free();
        },
        () => this.#host.lost(),
      );
    }
    if (this.isBehind) this.#heldSinceMs ??= performance.now();
    else if (this.#heldSinceMs !== null) {
      this.#heldMs += performance.now() - this.#heldSinceMs;
      this.#heldSinceMs = null;
    }
  }
}
