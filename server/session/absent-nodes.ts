import type { ApplyResult } from "../group/machine.ts";
import type { MachineRooms } from "./machine-rooms.ts";
import type { RoomReplica } from "./room-replica.ts";
import { seatsAt } from "./seat.ts";
import {
  type NodeFound,
  type NodeLost,
  type NodeMissing,
  type SessionContext,
  sessionMenu,
} from "./session-menu.ts";

interface AbsentNodesParts {
  readonly nodeId: string;
  readonly bootCount: number;
  readonly rooms: MachineRooms;
}

interface Ahead {
  readonly command: Uint8Array;
  readonly index: number;
  readonly term: number;
}

/** What this node must not send: what entries say behind `after`, up to the one that says so. */
interface Held {
  readonly after: number;
  readonly to: number;
}

const missingNumber = sessionMenu.numberOf("nodeMissing");
const nothing: ApplyResult = { type: "done", value: null };

/**
 * Nodes that cannot be reached, and the clients that are attached to them. One that is missing may be dead: then nobody
 * sends to its clients what it had not applied yet; or alive: then it reads that it is missing before it goes on, and sends
 * nothing of it either. So whoever comes back elsewhere can be sent just that (design 5.3).
 */
export class AbsentNodes {
  readonly #parts: AbsentNodesParts;
  #held: Held[] = [];

  constructor(parts: AbsentNodesParts) {
    this.#parts = parts;
  }

  /** What is committed and waits to be applied may say that this very node is missing since an entry before it. */
  foresee({ index, term, command }: Ahead): void {
    if (command[0] !== missingNumber) return;
    const argument = sessionMenu.decode(command).argument as NodeMissing;
    const { nodeId, bootCount } = this.#parts;
    const isOwn = argument.nodeId === nodeId && bootCount <= argument.bootCountMax;
    if (!isOwn || argument.term !== term) return;
    const { appliedIndex } = this.#parts.rooms;
    const held = this.#held.filter(({ to }) => to > appliedIndex && to !== index);
    this.#held = [...held, { after: argument.appliedAtMost, to: index }];
  }

  holdsBack(index: number): boolean {
    return this.#held.some(({ after, to }) => after < index && index <= to);
  }

  /** For the leader: what is to be agreed about clients of a node that it cannot reach; null: nothing, or it is already. */
  missingCommand(
    nodeId: string,
    { appliedAtMost, term }: Pick<NodeMissing, "appliedAtMost" | "term">,
  ): Uint8Array | null {
    let bootCountMax: number | null = null;
    for (const { seats } of this.#parts.rooms.serving()) {
      for (const { attachment, wrapper, isMissing } of seats.values())
        if (attachment?.nodeId === nodeId && !wrapper && !isMissing)
          bootCountMax = Math.max(bootCountMax ?? 0, attachment.bootCount);
    }
    if (bootCountMax === null) return null;
    return sessionMenu.encode("nodeMissing", { nodeId, bootCountMax, appliedAtMost, term });
  }

  /** `term`: of the entry. */
  missing(argument: NodeMissing, context: SessionContext, term: number | null): ApplyResult {
    if (argument.term !== term) return nothing;
    return this.#ofNode(argument, context, (replica) =>
      replica.tellSeats(context, (seats) => {
        for (const seat of seatsAt(seats, argument))
          if (!seat.wrapper) seat.nodeMissing(argument.appliedAtMost);
      }),
    );
  }

  found({ nodeId, bootCount }: NodeFound, context: SessionContext): ApplyResult {
    const argument = { nodeId, bootCountMax: bootCount };
    return this.#ofNode(argument, context, (replica) =>
      replica.tellSeats(context, (seats) => {
        for (const seat of seatsAt(seats, argument)) {
          if (seat.attachment?.bootCount !== bootCount) continue;
          for (const { bytes } of seat.nodeFound(context.index)) replica.deliver(seat, seat.epoch, bytes);
        }
      }),
    );
  }

  lost(argument: NodeLost, context: SessionContext): ApplyResult {
    return this.#ofNode(argument, context, (replica) => replica.nodeLost(argument, context));
  }

  #ofNode(
    { nodeId }: { readonly nodeId: string },
    context: SessionContext,
    act: (replica: RoomReplica) => void,
  ): ApplyResult {
    const holds = ({ seats }: RoomReplica) =>
      [...seats.values()].some(({ attachment }) => attachment?.nodeId === nodeId);
    return this.#parts.rooms.withRooms(context, holds, act);
  }
}
