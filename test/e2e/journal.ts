/** What the load process writes, a JSON line each: see load.ts. Times are the machine's wall clock, ms. */
export type Line =
  | {
      readonly type: "joined";
      readonly player: string;
      readonly kind: "stock" | "wrapper";
      readonly sessionId: string;
      readonly roomId: string;
    }
  | { readonly type: "invoke"; readonly player: string; readonly n: number; readonly atMs: number }
  | {
      readonly type: "ok";
      readonly player: string;
      readonly n: number;
      readonly atMs: number;
      readonly shots: number;
    }
  /** The request was rejected: it may or may not have been applied. */
  | {
      readonly type: "unknown";
      readonly player: string;
      readonly n: number;
      readonly atMs: number;
      readonly error: string;
    }
  /** The match clock, or this player's shots, went back. */
  | {
      readonly type: "lower";
      readonly player: string;
      readonly what: string;
      readonly before: number;
      readonly after: number;
    }
  /** The player is attached again after a drop. */
  | {
      readonly type: "moved";
      readonly player: string;
      readonly atMs: number;
      readonly url: string;
      /** From the last frame before to the first state behind. */
      readonly gapMs: number;
      /** Asked to by its node, which served meanwhile. */
      readonly planned: boolean;
    }
  /** The game was told of an error. */
  | { readonly type: "error"; readonly player: string; readonly what: string }
  /** The player has lost its seat for good. */
  | { readonly type: "left"; readonly player: string; readonly code: number; readonly reason: string };

/** All that one player did. */
export interface Player {
  readonly name: string;
  readonly kind: "stock" | "wrapper";
  readonly sessionId: string;
  readonly invoked: number;
  readonly ok: number;
  readonly unknown: number;
  /** The replies in the order of the requests. */
  readonly shots: readonly number[];
}

/** The load process's own record, which survives whatever happens to the nodes. */
export class Journal {
  readonly lines: readonly Line[];

  constructor(text: string) {
    // The last line may be half written.
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    this.lines = whole
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Line);
  }

  ofType<T extends Line["type"]>(type: T): Extract<Line, { type: T }>[] {
    return this.lines.filter((line): line is Extract<Line, { type: T }> => line.type === type);
  }

  players(): Player[] {
    return this.ofType("joined").map(({ player: name, kind, sessionId }) => {
      const own = this.lines.filter((line) => line.player === name);
      const ok = own.filter((line) => line.type === "ok").sort((a, b) => a.n - b.n);
      return {
        name,
        kind,
        sessionId,
        invoked: own.filter(({ type }) => type === "invoke").length,
        ok: ok.length,
        unknown: own.filter(({ type }) => type === "unknown").length,
        shots: ok.map(({ shots }) => shots),
      };
    });
  }

  /** Requests that had been sent and not been answered at this moment. */
  inFlight(atMs: number): number {
    let count = 0;
    for (const line of this.lines) {
      if (line.type === "invoke" && line.atMs <= atMs) count++;
      if ((line.type === "ok" || line.type === "unknown") && line.atMs <= atMs) count--;
    }
    return count;
  }
}
