import { mayTryReconnect } from "./live-socket.ts";
import type { Quarantine } from "./quarantine.ts";
import { QuarantineProposer, type QuarantineProposerParts } from "./quarantine-proposer.ts";
import type { SessionMachine } from "./session-machine.ts";

export interface SweeperParts extends QuarantineProposerParts {
  readonly nodeId: string;
  readonly bootCount: number;
  readonly leaderlessMsMax: number;
  readonly isLost: (nodeId: string) => boolean;
  readonly isLeader: (group: number) => boolean;
  readonly leaderlessMs: (group: number) => number | null;
  /** Rooms that have ended by themselves, as a quorum says. */
  readonly ended: (group: number) => Iterable<string>;
  /** Rooms that no member has any more: to be closed. */
  readonly lost: (group: number) => readonly Quarantine[];
  readonly forget: (group: number, roomId: string) => Promise<void>;
  readonly nodeLost: (
    group: number,
    lost: { readonly nodeId: string; readonly bootCountMax: number },
  ) => Promise<void>;
  readonly nodeFound: (
    group: number,
    found: { readonly nodeId: string; readonly bootCount: number },
  ) => Promise<void>;
}

/**
 * Takes care of what nobody asks for: rooms that this node could not get past are closed, clients without a leader are
 * sent elsewhere, and, where this node leads, lost nodes' seats are detached and gone rooms forgotten.
 */
export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #quarantines: QuarantineProposer;
  readonly #underWay = new Set<string>();
  /** Rooms that are not on this node, and were told that its earlier starts are over. */
  readonly #absentTold = new Set<string>();

  constructor(parts: SweeperParts) {
    this.#parts = parts;
    this.#quarantines = new QuarantineProposer(parts);
  }

  sweep(): void {
    const { nodeId, bootCount, machines, isLeader, ended, lost, forget, propose, log } = this.#parts;
    const { nodeLost, nodeFound } = this.#parts;
    this.#quarantines.sweep();
    for (const [group, machine] of machines.entries()) {
      this.#sendClientsOn(group, machine);
      const absent = absentRooms(machine).filter((roomId) => !this.#absentTold.has(roomId));
      if (absent.length > 0 || this.#holdsSeatsOfEarlierStarts(machine))
        this.#once(`earlier starts ${group}`, async () => {
          await nodeLost(group, { nodeId, bootCountMax: bootCount - 1 });
          for (const roomId of absent) this.#absentTold.add(roomId);
        });
      if (this.#isSaidToBeMissing(machine))
        this.#once(`found ${group}`, () => nodeFound(group, { nodeId, bootCount }));
      if (!isLeader(group)) continue;
      for (const roomId of ended(group)) this.#once(`forget ${roomId}`, () => forget(group, roomId));
      for (const quarantine of lost(group))
        this.#once(`close ${quarantine.roomId}`, () => propose(group, quarantine));
      for (const [nodeId, bootCountMax] of this.#lostSeats(machine)) {
        this.#once(`lost ${group} ${nodeId}`, async () => {
          log.info({ group, nodeId }, "detaching the seats of a lost node");
          await nodeLost(group, { nodeId, bootCountMax });
        });
      }
    }
  }

  #sendClientsOn(group: number, machine: SessionMachine): void {
    const leaderlessMs = this.#parts.leaderlessMs(group);
    if (leaderlessMs === null || leaderlessMs < this.#parts.leaderlessMsMax) return;
    for (const replica of machine.rooms.values())
      replica.sockets.closeAll(mayTryReconnect, "no leader is known here: go on elsewhere");
  }

  /** Their sockets are gone. Not only right after the start: a room that stands still detaches nobody before it goes on. */
  #holdsSeatsOfEarlierStarts(machine: SessionMachine): boolean {
    const { nodeId, bootCount } = this.#parts;
    return [...machine.servingRooms()].some(({ seats }) =>
      [...seats.values()].some(
        ({ attachment }) => attachment?.nodeId === nodeId && attachment.bootCount < bootCount,
      ),
    );
  }

  /** It reads that, so it is not. */
  #isSaidToBeMissing(machine: SessionMachine): boolean {
    const { nodeId, bootCount } = this.#parts;
    return [...machine.servingRooms()].some(({ seats }) =>
      [...seats.values()].some(
        ({ attachment, isMissing }) =>
          isMissing && attachment?.nodeId === nodeId && attachment.bootCount === bootCount,
      ),
    );
  }

  #lostSeats(machine: SessionMachine): Map<string, number> {
    const { nodeId, isLost } = this.#parts;
    const lost = new Map<string, number>();
    for (const replica of machine.servingRooms()) {
      for (const { attachment } of replica.seats.values()) {
        if (attachment === null || attachment.nodeId === nodeId || !isLost(attachment.nodeId)) continue;
        lost.set(attachment.nodeId, Math.max(lost.get(attachment.nodeId) ?? 0, attachment.bootCount));
      }
    }
    return lost;
  }

  #once(what: string, act: () => Promise<unknown>): void {
    if (this.#underWay.has(what)) return;
    this.#underWay.add(what);
    act()
      .catch((error: unknown) => this.#parts.log.warn({ what, error: String(error) }, "will be tried again"))
      .finally(() => this.#underWay.delete(what));
  }
}

/** Whoever has them may have such seats, too, and nobody sees it here. */
function absentRooms({ odd }: SessionMachine): readonly string[] {
  return odd.all().flatMap(({ isAbsent, divergence }) => (isAbsent ? [divergence.roomId] : []));
}
