import type { Endpoint } from "./endpoints.ts";

/** An attachment that held this long is no part of the trouble before it. */
export const stableMs = 1_000;
const roundDelayMs = 20;
const delayMsMax = 1_000;

/**
 * One room's way from a node that is gone to the next: where to try, and when. The first try is at once; each
 * further node of the first round follows after some ms, later rounds back off. Delays are stochastic, so that
 * the players of a dead node do not arrive at the next one in step.
 */
export class Reattachment {
  readonly from: Endpoint;
  /** When the last frame came from there, on the monotonic clock. */
  readonly heardMs: number;
  readonly #deadlineMs: number;
  readonly #random: () => number;
  #attempts = 0;

  constructor(given: {
    readonly from: Endpoint;
    readonly heardMs: number;
    readonly nowMs: number;
    readonly moveMsMax: number;
    readonly random: () => number;
  }) {
    this.from = given.from;
    this.heardMs = given.heardMs;
    this.#deadlineMs = given.nowMs + given.moveMsMax;
    this.#random = given.random;
  }

  /** The trouble goes on from another node: the same time limit, the same back-off. */
  again(begun: { readonly from: Endpoint; readonly heardMs: number }): Reattachment {
    const next = new Reattachment({ ...begun, nowMs: this.#deadlineMs, moveMsMax: 0, random: this.#random });
    next.#attempts = this.#attempts;
    return next;
  }

  /** Null if the time is over. `others` is nearest first, with the node that failed last. */
  next(
    others: readonly Endpoint[],
    nowMs: number,
  ): { readonly to: Endpoint; readonly delayMs: number } | null {
    const to = others[this.#attempts % others.length];
    if (to === undefined || nowMs >= this.#deadlineMs) return null;
    const round = Math.floor(this.#attempts / others.length);
    const boundMs = Math.min(delayMsMax, roundDelayMs * 2 ** Math.min(round, 10));
    const delayMs = this.#attempts === 0 ? 0 : boundMs * (0.5 + this.#random() / 2);
    this.#attempts += 1;
    return { to, delayMs: Math.min(delayMs, this.#deadlineMs - nowMs) };
  }
}
