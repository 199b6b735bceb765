import type { RoomStanding } from "./room-standing.ts";
import {
  foreignRoom,
  isRefusal,
  type Refusal,
  refuseInside,
  SessionError,
  unlessRefused,
} from "./session-error.ts";
import type { SessionGroups } from "./session-groups.ts";
import type { SessionMachine } from "./session-machine.ts";
import { sessionMenu } from "./session-menu.ts";

type Name = keyof typeof sessionMenu.commands;
export type ArgumentOf<N extends Name> = Parameters<(typeof sessionMenu.commands)[N]["apply"]>[1];
type Numbered<N extends Name> = (sequence: number) => ArgumentOf<N>;

/** Whose replica is only not to be trusted, or is elsewhere. */
const countingStandings: ReadonlySet<RoomStanding["type"]> = new Set(["diverged", "absent", "foreign"]);

interface ProposerParts {
  readonly machines: readonly SessionMachine[];
  readonly groups: () => SessionGroups;
  /** Null: not a room's id. */
  readonly groupOf: (roomId: string) => number | null;
  readonly notServed: (roomId: string) => SessionError;
}

/** What this node wants to have agreed: numbered room by room, so that nothing is applied twice or out of order (design 5.3). */
export class Proposer {
  readonly #parts: ProposerParts;
  /** The last number given to a proposal of this node, by room (or group directory). */
  readonly #sequences = new Map<string, number>();

  constructor(parts: ProposerParts) {
    this.#parts = parts;
  }

  /** @param last the last number of this start of the node that its replica has seen: it was believed to be gone */
  roomAdded(roomId: string, last: number): void {
    if (last > 0 && !this.#sequences.has(roomId)) this.#sequences.set(roomId, last);
  }

  roomRemoved(roomId: string): void {
    this.#sequences.delete(roomId);
  }

  /** @throws SessionError ROOM_NOT_FOUND, OVERLOADED, and why this node does not speak for the room */
  async toRoom<N extends Name>(roomId: string, name: N, argument: Numbered<N>): Promise<unknown> {
    const { machines, groupOf, notServed } = this.#parts;
    const group = groupOf(roomId);
    if (group === null) throw foreignRoom(roomId);
    const standing = machines[group]?.standing(roomId);
    // What this replica passes over has no result here: it could not tell whether it was lost on the way. One that only
    // differs, or is absent, keeps count, and the others must hear of a player who has left.
    const keepsCount = standing !== undefined && countingStandings.has(standing.type);
    const mayPass = standing === undefined || (keepsCount && name === "detach");
    if (!mayPass) throw notServed(roomId);
    const result = await this.#numbered(group, roomId, name, argument);
    // It had ended before this was agreed, and its number was forgotten then: see roomRemoved.
    if (isRefusal(result) && result.refused === "ROOM_NOT_FOUND" && this.#isGone(group, roomId))
      this.#sequences.delete(roomId);
    return result;
  }

  #isGone(group: number, roomId: string): boolean {
    const machine = this.#parts.machines[group];
    return machine?.rooms.has(roomId) === false && machine.standing(roomId) === undefined;
  }

  async toDirectory<N extends Name>(group: number, name: N, argument: Numbered<N>): Promise<unknown> {
    return await this.#numbered(group, `group ${group}`, name, argument);
  }

  /** Numbers are given only to what is sent: a hole would hold up everything after it. */
  async #numbered<N extends Name>(
    group: number,
    stream: string,
    name: N,
    argument: Numbered<N>,
  ): Promise<unknown> {
    refuseInside(name);
    const groups = this.#parts.groups();
    const sequence = (this.#sequences.get(stream) ?? 0) + 1;
    const command = sessionMenu.encode(name, argument(sequence) as never, groups.level(group));
    if (!groups.accepts(group, command.length))
      throw new SessionError("OVERLOADED", "too much is waiting to be agreed: try again in a moment");
    this.#sequences.set(stream, sequence);
    return await groups.propose(group, command);
  }

  /** What nobody waits for and the rooms need in order to go on: taken also where nothing else is just now. */
  async unnumbered<N extends Name>(group: number, name: N, argument: ArgumentOf<N>): Promise<void> {
    unlessRefused(await this.outcome(group, name, argument));
  }

  /** Of the same. Null, or as a rule a refusal. */
  async outcome<N extends Name>(group: number, name: N, argument: ArgumentOf<N>): Promise<Refusal | null> {
    const groups = this.#parts.groups();
    const command = sessionMenu.encode(name, argument as never, groups.level(group));
    return (await groups.propose(group, command, { urgent: true })) as Refusal | null;
  }
}
