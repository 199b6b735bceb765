import type { Coverage } from "./coverage.ts";
import { hold } from "./violation.ts";

/** What players say that is in no log. */
export class EventualLaws {
  /** By session id: how many its player has sent. */
  readonly #sent = new Map<string, number>();
  readonly #coverage: Coverage;

  constructor(coverage: Coverage) {
    this.#coverage = coverage;
  }

  /** @returns its number, of that player's */
  sends(sessionId: string): number {
    const number = (this.#sent.get(sessionId) ?? 0) + 1;
    this.#sent.set(sessionId, number);
    return number;
  }

  /** One client hears it, in one of its connections, of which `last` is what it has heard from each. */
  heard(who: string, { from, number }: { from: string; number: number }, last: Map<string, number>): void {
    this.#coverage.hit(from === who ? "emotesHeard" : "othersEmotesHeard");
    const before = last.get(from) ?? 0;
    hold(number > before, "X55", () => `${who} hears emote ${number} of ${from} after ${before}`);
    const sent = this.#sent.get(from) ?? 0;
    hold(number <= sent, "X55", () => `${who} hears emote ${number} of ${from}, who has sent ${sent}`);
    last.set(from, number);
  }
}
