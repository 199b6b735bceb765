import { createHash } from "node:crypto";
import type { Message } from "./message-codec.ts";
import { RoomRandom } from "./random.ts";
import type { RoomBirth } from "./room-program.ts";
import type { World } from "./sandbox.ts";
import { SecretRandom } from "./secret-random.ts";
import { outsideLog } from "./session-error.ts";

const seedBytes = 12;

/**
 * What room code sees of the world while a message runs that is in no log (design 5.7): the room's time as of this replica,
 * and a chance of the message's own, the same on every node and none of the room's.
 */
export class EventualWorld implements World {
  /** The room's own. */
  readonly of: World;
  readonly forbids: string;
  readonly isEcho: boolean;
  /** Where in its log the room was, on the node that has the client, when that ran it. */
  readonly index: number;
  readonly #seed: () => Uint8Array;
  #random: RoomRandom | null = null;
  #secrets: SecretRandom | null = null;

  constructor(
    of: World,
    birth: RoomBirth,
    {
      type,
      message,
      isEcho,
      index,
    }: { readonly type: string; readonly message: Message; readonly isEcho: boolean; readonly index: number },
  ) {
    const { sessionId, epoch, stream, sequence } = message;
    this.of = of;
    this.isEcho = isEcho;
    this.index = index;
    this.forbids = `the message "${type}" is "eventual" and in no log: its handler runs on each node by itself, so it may read the room and broadcast, but not change anything outside of its log; make it "strong", or let a strong one do that`;
    // One way: what players see of it must not reveal the room's seed.
    const text = () =>
      `${Buffer.from(birth.seed).toString("hex")} ${sessionId} ${epoch} ${stream} ${sequence}`;
    this.#seed = () => createHash("sha256").update(text()).digest().subarray(0, seedBytes);
  }

  get label(): string {
    return this.of.label;
  }

  nowMs(): number {
    return this.of.nowMs();
  }

  wallMs(): number {
    return this.of.wallMs();
  }

  random(): number {
    this.#random ??= RoomRandom.seeded(this.#seed());
    return this.#random.next();
  }

  secretBytes(into: Uint8Array): void {
    this.#secrets ??= new SecretRandom(this.#seed());
    this.#secrets.fill(into);
  }

  tellOnce(event: string, words: () => string | null): void {
    this.of.tellOnce(event, words);
  }

  setTimer(): object {
    throw outsideLog(`a timer of ${this.label} was made`);
  }

  clearTimer(): void {
    throw outsideLog(`a timer of ${this.label} was cleared`);
  }

  report(error: unknown, where: string): void {
    this.of.report(error, where);
  }
}
