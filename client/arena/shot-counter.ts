/** A patch that comes so long after a reply must hold the shot that the reply spoke of. */
const patchMsMax = 1_000;

/** Keeps account of the player's own shots: what was fired, what was confirmed, what the match holds. */
export class ShotCounter {
  #shots = 0;
  #acknowledged = 0;
  #unknown = 0;
  /** Shots that the seat had before this page fired. */
  #before: number | null = null;
  #inMatch = 0;
  #confirmed: { readonly total: number; readonly atMs: number } = { total: 0, atMs: 0 };
  #lost = 0;

  /** Fired by this page. */
  get shots(): number {
    return this.#shots;
  }

  /** Answered with a total: agreed, never to be lost. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Neither confirmed nor refused: the connection closed in between. */
  get unknown(): number {
    return this.#unknown;
  }

  /** Confirmed, and missing in the match later on. */
  get lost(): number {
    return this.#lost;
  }

  /** In the match, and never fired. */
  get doubled(): number {
    return Math.max(0, this.#inMatch - (this.#before ?? 0) - this.#shots);
  }

  fired(): void {
    this.#shots += 1;
  }

  /** @param total the reply's `shots` */
  confirmed(total: number, atMs: number): void {
    this.#acknowledged += 1;
    if (total > this.#confirmed.total) this.#confirmed = { total, atMs };
  }

  failed(): void {
    this.#unknown += 1;
  }

  /** What a patch says of the player's `shots`. */
  observe(shots: number, atMs: number): void {
    this.#before ??= shots;
    this.#inMatch = shots;
    if (atMs - this.#confirmed.atMs >= patchMsMax)
      this.#lost = Math.max(this.#lost, this.#confirmed.total - shots);
  }
}
