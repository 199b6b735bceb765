import assert from "node:assert";
import type { WebSocket } from "ws";
import { type CloseReason, closeCodes, closeText } from "./close-reason.ts";
import { codecLimits } from "./codec-limits.ts";

/** All WebSockets of a node that are not closed yet, whoever uses them: the last one to see them go. */
export class Sockets {
  readonly #open = new Set<WebSocket>();
  readonly #closeTimeoutMs: number;

  constructor(closeTimeoutMs: number) {
    this.#closeTimeoutMs = closeTimeoutMs;
  }

  track(ws: WebSocket): void {
    this.#open.add(ws);
    ws.once("close", () => this.#open.delete(ws));
    // A socket's error is always followed by its close, and that is where it is handled.
    ws.on("error", () => {});
  }

  /** Tells the other side why; a side that does not answer in time is cut off. */
  close(ws: WebSocket, reason: CloseReason, detail: string): void {
    if (ws.readyState === ws.CONNECTING) {
      ws.terminate();
      return;
    }
    if (ws.readyState === ws.CLOSED) return;
    ws.close(closeCodes[reason], closeText(reason, detail));
    const timer = setTimeout(() => ws.terminate(), this.#closeTimeoutMs);
    ws.once("close", () => clearTimeout(timer));
  }

  /** Resolves when every socket is closed. */
  async closeAll(reason: CloseReason, detail: string): Promise<void> {
    const closed = [...this.#open].map((ws) => new Promise((resolve) => ws.once("close", resolve)));
    for (const ws of this.#open) this.close(ws, reason, detail);
    await Promise.all(closed);
  }
}

/**
 * Until a connection is authenticated its messages may be small only; `ws` takes that limit when the socket is made, and
 * has no public way to raise it later.
 */
export function allowFrames(ws: WebSocket): void {
  const receiver = (ws as unknown as { _receiver: { _maxPayload: unknown } })._receiver;
  assert(typeof receiver._maxPayload === "number", "this version of ws keeps its receiver's limit elsewhere");
  receiver._maxPayload = codecLimits.frameBytesMax;
}
