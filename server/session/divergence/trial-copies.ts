import type { Checkpoint } from "../../storage/storage.ts";
import { Healing } from "./healing.ts";
import type { OddReplica } from "./odd-replica.ts";
import type { PeerWord } from "./peer-words.ts";

interface TrialCopiesParts {
  /** This node's version of the game's code. */
  readonly code: string;
  readonly others: () => readonly string[];
  readonly nextRequest: () => number;
  readonly tell: (nodeId: string, word: PeerWord) => void;
  readonly nowMs: () => number;
}

interface Asked {
  readonly healing: Healing;
  readonly refusals: string[];
  readonly settle: (copied: Checkpoint | Error) => void;
}

/** Copies of rooms that run under another code: of what this node's code is to take over, before it is agreed that it does. */
export class TrialCopies {
  readonly #parts: TrialCopiesParts;
  readonly #asked = new Set<Asked>();

  constructor(parts: TrialCopiesParts) {
    this.#parts = parts;
  }

  /** The room as one of its nodes has it now. Rejects with what each of the others says if none gives it. */
  take(odd: OddReplica): Promise<Checkpoint> {
    const { nowMs, ...parts } = this.#parts;
    const fromMs = nowMs();
    const healing = new Healing({ ...parts, odd, fromMs, isTrial: true });
    return new Promise((resolve, reject) => {
      const settle = (copied: Checkpoint | Error) =>
        copied instanceof Error ? reject(copied) : resolve(copied);
      this.#asked.add({ healing, refusals: [], settle });
      healing.tick(fromMs);
    });
  }

  /** A few times a second. */
  tick(): void {
    for (const asked of this.#asked) {
      asked.healing.tick(this.#parts.nowMs());
      this.#look(asked);
    }
  }

  heard(from: string, word: Extract<PeerWord, { type: "copyChunk" | "copyRefused" }>): void {
    for (const asked of this.#asked) {
      const { healing, refusals } = asked;
      if (word.type === "copyChunk") healing.received(from, word, this.#parts.nowMs());
      else if (healing.refused(from, word, this.#parts.nowMs())) refusals.push(`${from}: ${word.reason}`);
      this.#look(asked);
    }
  }

  #look(asked: Asked): void {
    const { healing, refusals, settle } = asked;
    const { complete, isWaiting, odd } = healing;
    if (complete === null && !isWaiting) return;
    this.#asked.delete(asked);
    const why = refusals.join("; ") || odd.divergence.waitsFor || "no other node has answered";
    settle(complete ?? new Error(why));
  }
}
