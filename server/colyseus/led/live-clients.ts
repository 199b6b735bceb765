import { checkPlainData } from "../../session/plain-data.ts";
import type { RoomEnvironment } from "../../session/room-program.ts";
import { Seat } from "../../session/seat.ts";
import { LoggedClient } from "../logged-client.ts";
import type { RoomParts } from "../room-parts.ts";
import { type Connection, packed } from "./led-step.ts";
import type { StepDraft } from "./step-draft.ts";

interface LiveClientsHost {
  /** The room says something to a client. */
  frame(client: LoggedClient, frame: Uint8Array): void;
  /** It wants one to go. */
  leave(client: LoggedClient, code: number, reason: string): void;
}

/** The clients of a live room, and what of them was told to the replicas. */
export class LiveClients {
  readonly #host: LiveClientsHost;
  /** The last one of each seat: in the room, kept, or on its way in or out. */
  readonly #last = new Map<string, LoggedClient>();
  readonly #joining = new Set<LoggedClient>();
  /** Seats that nobody has taken yet. */
  readonly #reserved = new Set<string>();
  /** Until when, in the room's time; null: without an end. */
  readonly #keptUntilMs = new Map<LoggedClient, number | null>();
  readonly #toldKept = new WeakSet<LoggedClient>();
  readonly #toldPeople = new Map<string, Uint8Array>();

  constructor(host: LiveClientsHost) {
    this.#host = host;
  }

  get(sessionId: string): LoggedClient | undefined {
    return this.#last.get(sessionId);
  }

  add({ sessionId, epoch, token, nodeId, isWrapper: wrapper }: Connection): LoggedClient {
    const attachment = { nodeId, bootCount: 0, attachId: 0 };
    const seat = Object.assign(new Seat(sessionId), { epoch, token, wrapper, attachment });
    // Outside of applies, there is no world.
    const environment = {
      world: null,
      keep: (_seat: Seat, _epoch: number, frame: Uint8Array) => frame,
      deliver: (_seat: Seat, _epoch: number, frame: Uint8Array) => this.#host.frame(client, frame),
      say: (_seat: Seat, _epoch: number, frame: Uint8Array) => this.#host.frame(client, frame),
      // Once it is agreed.
      close: () => {},
    } as unknown as RoomEnvironment;
    const client = new LoggedClient(
      { environment, leave: (left, code, reason) => this.#host.leave(left, code, reason) },
      seat,
    );
    this.#last.set(sessionId, client);
    this.#reserved.delete(sessionId);
    return client;
  }

  reserved(sessionId: string): void {
    this.#reserved.add(sessionId);
  }

  keeps(client: LoggedClient, untilMs: number | null): void {
    this.#keptUntilMs.set(client, untilMs);
  }

  personIs(sessionId: string, person: { auth: unknown; userData: unknown }): void {
    this.#toldPeople.set(sessionId, packed([person.auth, person.userData]));
  }

  async joins(client: LoggedClient, joined: Promise<void>): Promise<void> {
    this.#joining.add(client);
    try {
      await joined;
    } catch (error) {
      // Whoever waits for it is told.
      if (this.#last.get(client.sessionId) === client) this.#forget(client);
      throw error;
    } finally {
      this.#joining.delete(client);
    }
  }

  /** What has become of seats and their people since the last step. */
  takeNews(
    parts: RoomParts,
    draft: StepDraft,
    { nowMs, failed }: { nowMs: number; failed: (error: unknown) => void },
  ): void {
    const present = new Set<LoggedClient>(parts.clients);
    for (const [sessionId, client] of this.#last) {
      if (this.#joining.has(client)) continue;
      if (isKept(parts, client)) this.#tellKept(client, draft, nowMs);
      else if (!present.has(client) && !client.isLeaving) {
        draft.gone({ sessionId, epoch: client.epoch });
        this.#forget(client);
        continue;
      }
      this.#tellPerson(client, draft, failed);
    }
    for (const sessionId of this.#reserved) {
      if (parts._reservedSeats[sessionId] !== undefined) continue;
      this.#reserved.delete(sessionId);
      draft.gone({ sessionId, epoch: 0 });
    }
  }

  #forget(client: LoggedClient): void {
    this.#last.delete(client.sessionId);
    this.#toldPeople.delete(client.sessionId);
    this.#keptUntilMs.delete(client);
  }

  #tellKept(client: LoggedClient, draft: StepDraft, nowMs: number): void {
    if (this.#toldKept.has(client)) return;
    this.#toldKept.add(client);
    const untilMs = this.#keptUntilMs.get(client) ?? null;
    draft.kept(client.sessionId, untilMs === null ? null : Math.max(0, untilMs - nowMs));
  }

  #tellPerson(
    { sessionId, auth, userData }: LoggedClient,
    draft: StepDraft,
    failed: (error: unknown) => void,
  ): void {
    let person: Uint8Array;
    try {
      person = packed([auth, userData]);
      if (Buffer.compare(person, this.#toldPeople.get(sessionId) ?? new Uint8Array()) === 0) return;
      this.#toldPeople.set(sessionId, person);
      checkPlainData({ auth, userData }, "client");
    } catch (error) {
      failed(error);
      return;
    }
    draft.person({ sessionId, auth, userData });
  }
}

/** The room waits for its player to come back. */
export function isKept(parts: RoomParts, { sessionId, reconnectionToken }: LoggedClient): boolean {
  return parts._reconnections[reconnectionToken]?.[0] === sessionId;
}
