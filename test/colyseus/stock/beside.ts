/** One room of Colyseus as it is, and the same on three replicas: what happens to one happens to the other. */
import type { Room } from "@colyseus/core";
import type { Schema } from "@colyseus/schema";
import * as assert from "uvu/assert";
import { joinAck, type RecordingSocket, readFrame } from "../machine-harness.ts";
import { Scene } from "../scene.ts";
import { StateFollower } from "../state-follower.ts";
import { StockStage } from "./stock-stage.ts";

type StateClass = new () => Schema;

/** What one player has heard and sees, over all of its sockets. */
class Ears {
  readonly heard: unknown[] = [];
  follower: StateFollower<Schema>;
  readonly #stateClass: StateClass;
  #socket: RecordingSocket | null = null;
  #read = 0;

  constructor(stateClass: StateClass) {
    this.#stateClass = stateClass;
    this.follower = new StateFollower(stateClass);
  }

  beginAnew(): void {
    this.follower = new StateFollower(this.#stateClass);
  }

  listen(socket: RecordingSocket): void {
    if (socket !== this.#socket) this.#read = 0;
    this.#socket = socket;
    this.follower.follow(socket);
    for (const frame of socket.frames.slice(this.#read)) {
      const read = readFrame(frame);
      if (read.type === "joined") this.heard.push("joined");
      else if (read.type !== "other") this.heard.push(read);
    }
    this.#read = socket.frames.length;
    const { closed } = socket;
    const { reason } = closed ?? {};
    // Whoever has gone by itself does not hear that.
    if (closed !== null && this.heard.at(-1) !== closed && reason !== "detached by the log")
      this.heard.push(closed);
  }
}

function listingOf(room: Room): object {
  const { _listing } = room as unknown as { _listing: Record<string, unknown> };
  const { locked, metadata, clients, maxClients, unlisted } = _listing;
  return { locked, metadata, clients, maxClients, unlisted, private: _listing["private"] };
}

export class Beside {
  readonly stock = new StockStage();
  readonly scene = new Scene(["A", "B", "C"]);
  readonly ears = new Map<string, { stock: Ears; ours: Ears }>();
  readonly done: unknown[] = [];
  readonly refusals = new Set<string>();
  readonly #acknowledged = new Set<object>();
  readonly #stateClass: StateClass;

  constructor(stateClass: StateClass) {
    this.#stateClass = stateClass;
  }

  isHere(sessionId: string): boolean {
    return this.scene.room().clients.some((client) => client.sessionId === sessionId);
  }

  /** @returns false: there was no seat */
  async reserve(sessionId: string, options: object): Promise<boolean> {
    this.done.push(["reserve", sessionId, options]);
    const seated = await this.stock.reserve(sessionId, options, { by: "auth" });
    const reserved = await this.scene.reserve(sessionId, options, { auth: { by: "auth" } });
    const taken = (reserved as { reserved?: boolean } | boolean | null) ?? false;
    this.done.push([seated, taken]);
    return seated;
  }

  async enter(sessionId: string, options: object, nodeId: string): Promise<void> {
    if (!(await this.reserve(sessionId, options))) return;
    await this.stock.connect(sessionId);
    this.#refused(sessionId, await this.scene.attach(sessionId, nodeId, { falls: true }));
  }

  async reconnect(sessionId: string, nodeId: string): Promise<void> {
    this.done.push(["reconnect", sessionId]);
    await this.stock.reconnect(sessionId);
    // Of Colyseus alone it would go on seeing fields that were emptied meanwhile.
    this.ears.get(sessionId)?.stock.beginAnew();
    this.#refused(sessionId, await this.scene.reconnect(sessionId, nodeId, { falls: true }));
  }

  async drop(sessionId: string, code: number): Promise<void> {
    this.done.push(["drop", sessionId, code]);
    await this.stock.drop(sessionId, code);
    await this.scene.drop(sessionId, code);
  }

  async send(sessionId: string, type: string, payload?: unknown): Promise<void> {
    this.done.push(["send", sessionId, type, payload]);
    await this.stock.send(sessionId, type, payload);
    await this.scene.send(sessionId, type, payload);
  }

  async ask(sessionId: string, type: string, payload?: unknown): Promise<void> {
    this.done.push(["ask", sessionId, type, payload]);
    await this.stock.request(sessionId, type, payload);
    await this.scene.request(sessionId, type, payload);
  }

  async frame(sessionId: string, frame: Uint8Array): Promise<void> {
    this.done.push(["frame", sessionId, [...frame]]);
    await this.stock.frame(sessionId, frame);
    await this.scene.frame(sessionId, frame);
  }

  async tick(ms: number): Promise<void> {
    this.done.push(["tick", ms]);
    await this.stock.tick(ms);
    await this.scene.tick(ms);
  }

  /** As the SDK: once it hears that it has joined. */
  async acknowledge(): Promise<void> {
    for (const [sessionId, { socket }] of this.stock.players) {
      if (this.refusals.has(sessionId) || this.#acknowledged.has(socket)) continue;
      const isTold = (heard: RecordingSocket) => heard.frames.some(([code]) => code === joinAck()[0]);
      assert.is(isTold(this.scene.player(sessionId).socket), isTold(socket.heard), `${sessionId} has joined`);
      if (!isTold(socket.heard)) continue;
      this.#acknowledged.add(socket);
      await this.stock.frame(sessionId, joinAck());
      await this.scene.frame(sessionId, joinAck());
    }
  }

  /** A refusal is told by the socket that asked: here it is the answer of the log. */
  #refused(sessionId: string, answer: unknown): void {
    const { refused, message, epoch, joined } = answer as {
      refused?: string;
      message?: string;
      epoch?: number;
      joined?: Promise<void> | null;
    };
    joined?.catch(() => this.refusals.add(sessionId));
    if (epoch === 1) this.ears.delete(sessionId);
    if (epoch !== undefined) return void this.refusals.delete(sessionId);
    const { heard } = this.stock.player(sessionId).socket;
    const [error] = heard.frames.map(readFrame);
    // Room code was faster, and sent it away.
    if (heard.closed !== null && error === undefined) return void this.refusals.add(sessionId);
    assert.is(error?.type, "error", `${sessionId} was refused by the log alone: ${refused} ${message}`);
    if (refused === "APPLICATION" && error?.type === "error") assert.is(message, error.message);
    this.refusals.add(sessionId);
  }

  /** Compares what all players hear and see. */
  hear(): void {
    const where = () => `after ${JSON.stringify(this.done.slice(-8))}`;
    for (const [sessionId, { socket }] of this.stock.players) {
      if (this.refusals.has(sessionId)) continue;
      let ears = this.ears.get(sessionId);
      if (ears === undefined) {
        // Somebody else, who has heard nothing yet.
        ears = { stock: new Ears(this.#stateClass), ours: new Ears(this.#stateClass) };
        this.ears.set(sessionId, ears);
      }
      ears.stock.listen(socket.heard);
      ears.ours.listen(this.scene.player(sessionId).socket);
      const last = (heard: unknown[]) => [heard.length, ...heard.slice(-8)];
      assert.equal(last(ears.ours.heard), last(ears.stock.heard), `${sessionId} heard, ${where()}`);
      // Until it is told that it is in, it sees what it did before.
      if (!socket.heard.frames.some(([code]) => code === joinAck()[0])) continue;
      assert.equal(ears.ours.follower.seen, ears.stock.follower.seen, `${sessionId} sees, ${where()}`);
    }
  }

  compare(factsOf: (room: Room) => object): void {
    this.hear();
    const facts = (room: Room) => ({ ...factsOf(room), listing: listingOf(room) });
    const expected = facts(this.stock.room as Room);
    for (const { nodeId } of this.scene.replicas)
      assert.equal(
        facts(this.scene.room(nodeId)),
        expected,
        `${nodeId}, after ${JSON.stringify(this.done.slice(-8))}`,
      );
  }
}
