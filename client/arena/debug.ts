import type { Gap } from "./gap-meter.ts";
import type { ArenaConnection } from "./session.ts";

/**
 * `window.testudo`: what the page knows, for tests and for the curious. Reading it changes nothing, and each field is
 * as of now.
 */
export interface TestudoWindow {
  /** The client library's own room: `roomId`, `sessionId`, `state`. */
  readonly room: ArenaConnection;
  readonly sessionId: string;
  /** The node that the seat is attached to; "" while it is unknown. */
  readonly node: string;
  /** The match clock of the newest patch, in ms, unsmoothed. */
  readonly clockMs: number;
  /** Patches so far. */
  readonly patches: number;
  /** Points of the own ship. */
  readonly score: number;
  /** Shots that this page fired, and those of them that were confirmed, or left in doubt by a closed connection. */
  readonly shots: number;
  readonly acknowledged: number;
  readonly unknown: number;
  /** Why the last one was left in doubt; null if none was. */
  readonly doubt: string | null;
  /** Confirmed and missing in the match; in the match and never fired. */
  readonly shotsLost: number;
  readonly shotsDoubled: number;
  /** Shots of the own seat as the match counts them. */
  readonly shotsInMatch: number;
  /** The longest time without a patch around any failover, around the last one, and all: in ms, null before the first. */
  readonly worstGapMs: number | null;
  readonly lastGapMs: number | null;
  readonly gaps: readonly Gap[];
  /** Falls of nodes that this page has seen. */
  readonly serversKilled: number;
  /** To the attached node and back, in ms. */
  readonly roundTripMs: number | null;
  /** Frames drawn so far. */
  readonly frames: number;
}

declare global {
  interface Window {
    testudo?: TestudoWindow;
  }
}
