import { isQuorum, members } from "../../raft/quorum.ts";
import type { SessionMachine } from "../session-machine.ts";
import type { DivergenceGroup } from "./divergence-group.ts";
import type { OddReplica } from "./odd-replica.ts";
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
  /** Of the odd ones: nothing here could bring it back. */
  readonly absent: ReadonlySet<string>;
}

interface Named {
  readonly nodeId: string;
}

const none: ReadonlySet<string> = new Set();
const nothing: Said = { ended: none, odd: none, absent: none };

/**
 * Rooms that have ended by themselves and are listed still. A replica may end because it differs: so a room is forgotten
 * only once a quorum says that it has ended, whatever the leader's own replica believes. Or every member says so whose
 * replica does not differ, one at least: then nobody is left who could go on, or put the others right.
 */
export class Endings {
  readonly #parts: EndingsParts;
  /** By node: what it said last to this leader. */
  readonly #said = new Map<string, Said>();
  /** What was said before it was to be said again. */
  #saidBefore: ReadonlyMap<string, Said> = new Map();
  /** Nodes that must lack a room, though they have not said so yet; and those of them since what is said was said again. */
  readonly #presumed = new Set<string>();
  #presumedBefore: ReadonlySet<string> = new Set();
  /** This node said last that it lacks rooms. */
  #toldOfOdd = false;
  /** What this node said last. */
  #told = "";
  #isDue = false;
  /** Rooms that nobody had, by all that was said before it was said again. */
  #absentBefore: ReadonlySet<string> = none;

  constructor(parts: EndingsParts) {
    this.#parts = parts;
  }

  /** Another leader, or another term. */
  clear(): void {
    this.#said.clear();
    this.#saidBefore = new Map();
    this.#presumed.clear();
    this.#presumedBefore = new Set();
    this.#told = "";
    this.#absentBefore = none;
  }

  /** A message may be lost: what is true is said again, and what was said long ago counts no more. */
  sayAgain(): void {
    this.#absentBefore = new Set(this.#absent());
    this.#saidBefore = new Map(this.#said);
    for (const nodeId of this.#presumedBefore) this.#presumed.delete(nodeId);
    this.#presumedBefore = new Set(this.#presumed);
    this.#said.clear();
    this.#isDue = true;
  }

  tick(): void {
    const { nodeId, machine, link, tell } = this.#parts;
    const { leaderId } = link.lead();
    if (leaderId === null || leaderId === nodeId || link.isBusy(leaderId)) return;
    const roomIds = [...machine.gone()].slice(0, endedPerMessageMax);
    const odd = machine.odd.all().slice(0, endedPerMessageMax);
    const oddIds = odd.map(roomIdOf);
    const absentIds = odd.filter(({ isLost }) => isLost).map(roomIdOf);
    const words = [roomIds, oddIds, absentIds].map((ids) => ids.join()).join(";");
    if (words === this.#told && !(this.#isDue && words !== ";;")) return;
    this.#told = words;
    this.#isDue = false;
    this.#toldOfOdd = oddIds.length > 0;
    tell(leaderId, { type: "ended", roomIds, oddIds, absentIds });
  }

  heard(from: string, { roomIds, oddIds, absentIds }: Extract<PeerWord, { type: "ended" }>): void {
    const { nodeId, link } = this.#parts;
    if (link.lead().leaderId !== nodeId) return;
    this.#presumed.delete(from);
    this.#said.set(from, { ended: new Set(roomIds), odd: new Set(oddIds), absent: new Set(absentIds) });
  }

  /** Whoever leads may wait for this node to have all rooms: that it has is said at once. */
  healed(): void {
    if (this.#toldOfOdd && this.#parts.machine.odd.all().length === 0) this.tick();
  }

  /** A room has just left the code of all that had it: whoever has not said that it lacks any lacks this one now. */
  handedOver(others: readonly string[]): void {
    for (const nodeId of others) if (!this.isLacking(nodeId)) this.#presumed.add(nodeId);
  }

  /** For who leads; a word that was lost counts until it should have been said again. */
  isLacking(nodeId: string): boolean {
    const said = this.#said.get(nodeId) ?? this.#saidBefore.get(nodeId) ?? nothing;
    return said.odd.size > 0 || this.#presumed.has(nodeId);
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
    const absent = new Set(this.#absent());
    for (const roomId of own.odd) {
      // One that waits for a node with its code has nothing to be compared.
      if (this.#parts.machine.odd.get(roomId)?.foreign) continue;
      if (!absent.has(roomId) && all.every(({ nodeId }) => saidBy(nodeId).odd.has(roomId))) yield roomId;
    }
  }

  /**
   * For who leads: rooms that no member has any more, so that nobody can ever go on with them. Every member has said so, and
   * again: one that had the room meanwhile, and gave it to another before it lost it itself, would be contradicted.
   */
  *lost(): Iterable<string> {
    for (const roomId of this.#absent()) if (this.#absentBefore.has(roomId)) yield roomId;
  }

  *#absent(): Iterable<string> {
    const { own, saidBy } = this.#known();
    const all = members(this.#parts.link.configuration());
    for (const roomId of own.absent)
      if (all.every(({ nodeId }) => saidBy(nodeId).absent.has(roomId))) yield roomId;
  }

  #known(): { readonly own: Said; readonly saidBy: (nodeId: string) => Said } {
    const { nodeId, machine } = this.#parts;
    const odd = machine.odd.all();
    const own: Said = {
      ended: new Set(machine.gone()),
      odd: new Set(odd.map(roomIdOf)),
      absent: new Set(odd.filter(({ isLost }) => isLost).map(roomIdOf)),
    };
    return { own, saidBy: (id) => (id === nodeId ? own : (this.#said.get(id) ?? nothing)) };
  }
}

const roomIdOf = ({ divergence }: OddReplica): string => divergence.roomId;
