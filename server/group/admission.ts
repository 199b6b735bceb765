import type { AppendGate } from "./append-gate.ts";
import type { Applier } from "./applier.ts";
import type { Compactor } from "./compactor.ts";
import type { GroupHost } from "./group-host.ts";
import { ProposalError } from "./proposal-error.ts";

interface AdmissionParts {
  readonly group: number;
  readonly host: GroupHost;
  readonly applier: Applier;
  readonly gate: AppendGate;
  readonly compactor: Compactor;
  readonly isLeader: () => boolean;
}

const logFullEveryMs = 10_000;

/** Whether a group takes anything new just now: its log and what waits to be applied are bounded. */
export class Admission {
  readonly #parts: AdmissionParts;
  #logFullLoggedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Why nothing new is taken just now; null if it is. */
  refusal(): ProposalError | null {
    const { group, host, isLeader } = this.#parts;
    const { retryAfterMs } = host.engine;
    if (this.#isLogFull) {
      this.#warnOfFullLog();
      return new ProposalError("OVERLOADED", `group ${group}'s log has reached its limit`, retryAfterMs);
    }
    return isLeader() ? this.readRefusal() : null;
  }

  /** Why nothing is read just now; null if it is. A full log is no reason: a read needs no entry. */
  readRefusal(): ProposalError | null {
    if (!this.#isBehind) return null;
    const { applier, host } = this.#parts;
    const what = `${applier.queue.length} committed commands wait to be applied`;
    return new ProposalError("OVERLOADED", what, host.engine.retryAfterMs);
  }

  /** A leader does not take what others forward: they are told, and wait. */
  get refusesForwarded(): boolean {
    if (!this.#parts.isLeader()) return false;
    if (this.#isLogFull) this.#warnOfFullLog();
    return this.#isLogFull || this.#isBehind;
  }

  get #isLogFull(): boolean {
    const { applier, host } = this.#parts;
    return applier.logBytes > host.engine.groupLogBytesMax;
  }

  get #isBehind(): boolean {
    const { applier, gate } = this.#parts;
    return gate.isPast(applier.queue);
  }

  #warnOfFullLog(): void {
    const { group, host, applier, compactor } = this.#parts;
    const nowMs = host.now().monotonicMs;
    if (nowMs - this.#logFullLoggedMs < logFullEveryMs) return;
    this.#logFullLoggedMs = nowMs;
    const { index, heldBy } = compactor.floor();
    host.log.warn(
      { group, logBytes: applier.logBytes, floor: index, heldBy },
      "the log has reached its limit; proposals are refused until these parts come to rest",
    );
  }
}
