import { isQuorum, members } from "../../raft/quorum.ts";
import type { SessionMachine } from "../session-machine.ts";
import type { DivergenceGroup } from "./divergence-group.ts";
import { endedPerMessageMax, type PeerWord } from "./peer-words.ts";

interface EndingsParts {
  readonly nodeId: string;
  readonly machine: SessionMachine;
  readonly link: DivergenceGroup;
  readonly tell: (nodeId: string, word: PeerWord) => void;
}

/** What a node says of rooms that it has no replica of to go on with. */
interface Said {
  readonly ended: ReadonlySet<string>;
  readonly odd: ReadonlySet<string>;
}

interface Named {
  readonly nodeId: string;
}

const nothing: Said = { ended: new Set(), odd: new Set() };

/**
 * Rooms that have ended by themselves and are listed still. A replica may end because it differs: so a room is forgotten
 * only once a quorum says that it has ended, whatever the leader's own replica believes. Or every member says so whose
 * replica does not differ, one at least: then nobody is left who could go on, or put the others right.
 */
export class Endings {
  readonly #parts: EndingsParts;
  /** By node: what it said last to this leader. */
  readonly #said = new Map<string, Said>();
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
    const oddIds = this.#oddIds().slice(0, endedPerMessageMax);
    const words = `${roomIds.join()};${oddIds.join()}`;
    if (words === this.#told && !(this.#isDue && words !== ";")) return;
    this.#told = words;
    this.#isDue = false;
    tell(leaderId, { type: "ended", roomIds, oddIds });
  }

  #oddIds(): string[] {
    return this.#parts.machine.odd.all().map(({ divergence }) => divergence.roomId);
  }

  heard(from: string, { roomIds, oddIds }: Extract<PeerWord, { type: "ended" }>): void {
    const { nodeId, link } = this.#parts;
    if (link.lead().leaderId === nodeId)
      this.#said.set(from, { ended: new Set(roomIds), odd: new Set(oddIds) });
  }

  /** For who leads: rooms that have ended. */
  *agreed(): Iterable<string> {
    const { machine, link } = this.#parts;
    const configuration = link.configuration();
    const { own, saidBy } = this.#known();
    const rooms = new Set([own, ...this.#said.values()].flatMap(({ ended }) => [...ended]));
    for (const roomId of rooms) {
      const hasEnded = ({ nodeId }: Named) => saidBy(nodeId).ended.has(roomId);
      const cannotSay = ({ nodeId }: Named) => saidBy(nodeId).odd.has(roomId);
      const isAgreed =
        isQuorum(configuration, hasEnded) ||
        members(configuration).every((member) => hasEnded(member) || cannotSay(member));
      if (machine.lists(roomId) && isAgreed) yield roomId;
    }
  }

  /**
   * For who leads: rooms whose replica differs on every member. Whoever had what was agreed has lost it since: its disk was
   * replaced, its replica by a snapshot, or it is no member any more.
   */
  *orphaned(): Iterable<string> {
    const { own, saidBy } = this.#known();
    const all = members(this.#parts.link.configuration());
    for (const roomId of own.odd) if (all.every(({ nodeId }) => saidBy(nodeId).odd.has(roomId))) yield roomId;
  }

  #known(): { readonly own: Said; readonly saidBy: (nodeId: string) => Said } {
    const { nodeId, machine } = this.#parts;
    const own: Said = { ended: new Set(machine.gone()), odd: new Set(this.#oddIds()) };
    return { own, saidBy: (id) => (id === nodeId ? own : (this.#said.get(id) ?? nothing)) };
  }
}
