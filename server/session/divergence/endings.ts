import { isQuorum } from "../../raft/quorum.ts";
import type { SessionMachine } from "../session-machine.ts";
import type { DivergenceGroup } from "./divergence-group.ts";
import { endedPerMessageMax, type PeerWord } from "./peer-words.ts";

interface EndingsParts {
  readonly nodeId: string;
  readonly machine: SessionMachine;
  readonly link: DivergenceGroup;
  readonly tell: (nodeId: string, word: PeerWord) => void;
}

/**
 * Rooms that have ended by themselves and are listed still. A replica may end because it differs: so a room is forgotten
 * only once a quorum says that it has ended, whatever the leader's own replica believes.
 */
export class Endings {
  readonly #parts: EndingsParts;
  /** By node: what it said last to this leader. */
  readonly #said = new Map<string, ReadonlySet<string>>();
  /** What this node said last. */
  #told = "";
  #isDue = false;

  constructor(parts: EndingsParts) {
    this.#parts = parts;
  }

  /** Another leader, or another term. */
  clear(): void {
    this.#said.clear();
    this.#told = "";
  }

  /** A message may be lost: what is true is said again, and what was said long ago counts no more. */
  sayAgain(): void {
    this.#said.clear();
    this.#isDue = true;
  }

  tick(): void {
    const { nodeId, machine, link, tell } = this.#parts;
    const { leaderId } = link.lead();
    if (leaderId === null || leaderId === nodeId || link.isBusy(leaderId)) return;
    const roomIds = [...machine.gone()].slice(0, endedPerMessageMax);
    const words = roomIds.join();
    if (words === this.#told && !(this.#isDue && words !== "")) return;
    this.#told = words;
    this.#isDue = false;
    tell(leaderId, { type: "ended", roomIds });
  }

  heard(from: string, roomIds: readonly string[]): void {
    const { nodeId, link } = this.#parts;
    if (link.lead().leaderId === nodeId) this.#said.set(from, new Set(roomIds));
  }

  /** For who leads. */
  *agreed(): Iterable<string> {
    const { nodeId, machine, link } = this.#parts;
    const gone = new Set(machine.gone());
    const configuration = link.configuration();
    const rooms = new Set([...gone, ...[...this.#said.values()].flatMap((said) => [...said])]);
    for (const roomId of rooms) {
      const isSaidBy = (id: string) => (id === nodeId ? gone.has(roomId) : this.#said.get(id)?.has(roomId));
      if (machine.lists(roomId) && isQuorum(configuration, (voter) => isSaidBy(voter.nodeId) === true))
        yield roomId;
    }
  }
}
