import { hold } from "./violation.ts";

/** What is known of the fires of one seat. */
export interface SeatAccount {
  readonly sessionId: string;
  readonly roomId: string;
  readonly kind: "stock" | "wrapper";
  /** Its answers come in the order in which they were given; else those of an earlier connection may come later. */
  readonly isInOrder: boolean;
  readonly told: Set<number>;
  /** Sent, or kept to be sent. */
  invoked: number;
  answered: number;
  shotsMax: number;
  /** The wrapper gave the seat up with commands unanswered: whether those were applied is unknown. */
  abandoned: boolean;
}

/** What players asked for and were told, against what the rooms did. */
export class Ledger {
  readonly #seats = new Map<string, SeatAccount>();
  /** Shots that were applied, by seat, and by whom last. */
  readonly #applied = new Map<string, number>();
  /** What was brought into rooms from outside, by room. */
  readonly #deposits = new Map<string, { invoked: number; answered: number; applied: number }>();
  readonly #tokens = new Map<string, string[]>();

  /** A seat's client was given a token. */
  given(sessionId: string, token: string): void {
    const tokens = this.#tokens.get(sessionId);
    if (tokens === undefined) this.#tokens.set(sessionId, [token]);
    else tokens.push(token);
  }

  /** In the order in which they were given. */
  tokensOf(sessionId: string): readonly string[] {
    return this.#tokens.get(sessionId) ?? [];
  }

  open(account: Pick<SeatAccount, "sessionId" | "roomId" | "kind" | "isInOrder">): SeatAccount {
    const opened = {
      ...account,
      told: new Set<number>(),
      invoked: 0,
      answered: 0,
      shotsMax: 0,
      abandoned: false,
    };
    this.#seats.set(account.sessionId, opened);
    return opened;
  }

  fired(sessionId: string, shots: number): void {
    const applied = this.#applied.get(sessionId) ?? 0;
    hold(shots <= applied + 1, "X9", () => `seat ${sessionId} jumps from ${applied} to ${shots} shots`);
    this.#applied.set(sessionId, Math.max(applied, shots));
  }

  /** Several of them at once. */
  firedTo(sessionId: string, shots: number): void {
    this.#applied.set(sessionId, Math.max(this.#applied.get(sessionId) ?? 0, shots));
  }

  answered(account: SeatAccount, shots: number): void {
    const { sessionId, kind, isInOrder, told } = account;
    account.answered += 1;
    hold(
      isInOrder ? shots > account.shotsMax : !told.has(shots),
      "X9",
      () => `seat ${sessionId} is told ${shots} shots after ${account.shotsMax}`,
    );
    told.add(shots);
    account.shotsMax = Math.max(account.shotsMax, shots);
    hold(
      shots <= account.invoked,
      "X9",
      () => `seat ${sessionId} is told ${shots} shots of ${account.invoked}`,
    );
    hold(
      kind === "stock" || !isInOrder || shots === account.answered,
      "X10",
      () => `answer ${account.answered} to ${sessionId} says ${shots} shots`,
    );
    const applied = this.#applied.get(sessionId) ?? 0;
    hold(shots <= applied, "X9", () => `seat ${sessionId} is told ${shots} shots, ${applied} were applied`);
  }

  #depositsOf(roomId: string): { invoked: number; answered: number; applied: number } {
    let deposits = this.#deposits.get(roomId);
    if (deposits === undefined) {
      deposits = { invoked: 0, answered: 0, applied: 0 };
      this.#deposits.set(roomId, deposits);
    }
    return deposits;
  }

  depositing(roomId: string): void {
    this.#depositsOf(roomId).invoked += 1;
  }

  deposited(roomId: string, total: number): void {
    const deposits = this.#depositsOf(roomId);
    hold(
      total <= deposits.applied + 1,
      "X9",
      () => `room ${roomId} jumps from ${deposits.applied} to ${total} deposits`,
    );
    deposits.applied = Math.max(deposits.applied, total);
  }

  /** Several of them at once. */
  depositedTo(roomId: string, total: number): void {
    const deposits = this.#depositsOf(roomId);
    deposits.applied = Math.max(deposits.applied, total);
  }

  depositAnswered(roomId: string, total: number): void {
    const deposits = this.#depositsOf(roomId);
    deposits.answered += 1;
    hold(
      total <= deposits.applied,
      "X9",
      () => `room ${roomId} is said to have ${total} deposits, it has ${deposits.applied}`,
    );
  }

  /** At the end, when nothing is under way any more. */
  close(): void {
    for (const [roomId, { invoked, answered, applied }] of this.#deposits) {
      const isWithin = answered <= applied && applied <= invoked;
      hold(
        isWithin,
        "X9",
        () => `room ${roomId} has ${applied} deposits; ${answered} answered, ${invoked} made`,
      );
    }
    for (const { sessionId, kind, invoked, answered, abandoned } of this.#seats.values()) {
      const applied = this.#applied.get(sessionId) ?? 0;
      const isWithin = answered <= applied && applied <= invoked;
      hold(
        isWithin,
        "X9",
        () => `seat ${sessionId} (${kind}) has ${applied} shots; ${answered} answered, ${invoked} fired`,
      );
      if (kind === "stock" || abandoned) continue;
      hold(
        applied === invoked && answered === invoked,
        "X10",
        () => `the wrapper's seat ${sessionId} has ${applied} shots of ${invoked}, ${answered} answered`,
      );
    }
  }
}
