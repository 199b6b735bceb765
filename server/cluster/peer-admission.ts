import type { PeerIdentity } from "../network/network.ts";
import type { PeerMessage, StoreSighting } from "../network/peer-message.ts";
import type { StoreSeen } from "../storage/storage.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { NodeError } from "./node-error.ts";
import { StoreWitness } from "./store-witness.ts";

export const admissionDefaults = Object.freeze({
  /** What is told is told again so often: a link may lose a message. */
  repeatMs: 500,
  /** How far stores have come is saved so often: a start of a node is saved before it is heard. */
  rememberMs: 10_000,
  /** A peer's messages that wait until it is admitted; what comes beyond is lost, as on a bad line. */
  messagesWaitingMax: 1_024,
});

interface AdmissionParts {
  /** This node's own store, now. */
  readonly own: () => StoreSighting;
  /** As the disk has it. */
  readonly seen: readonly StoreSeen[];
  readonly clock: Clock;
  readonly log: Log;
  send(nodeId: string, message: PeerMessage): void;
  /** Durable when it resolves. Called only once the cluster is founded. */
  remember(seen: readonly StoreSeen[]): Promise<void>;
  /** The groups may hear this peer from now on, until `left`. */
  admitted(peer: PeerIdentity): void;
  left(nodeId: string): void;
  /** A message of an admitted peer. */
  message(from: string, message: PeerMessage): void;
  /** This node's own store is an old one, or a copy. */
  fail(error: NodeError): void;
}

interface Link {
  readonly peer: PeerIdentity;
  /** The founding protocol knows it to be of this cluster. */
  isOfCluster: boolean;
  store: "unknown" | "news" | "remembering" | "known" | "refused";
  own: StoreSighting | null;
  isAdmitted: boolean;
  waiting: PeerMessage[];
}

/**
 * Which peers this node's groups hear: those that are of this cluster, with the store that they had when they were seen
 * last, or one that has gone on since (design 4.3). A start that was never seen is remembered on the disk first.
 */
export class PeerAdmission {
  readonly #parts: AdmissionParts;
  readonly #witness: StoreWitness;
  readonly #links = new Map<string, Link>();
  #rememberedMs: number;
  #cancelRepeat: (() => void) | null = null;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#witness = new StoreWitness(parts.seen);
    this.#rememberedMs = parts.clock.now().monotonicMs;
  }

  start(): void {
    const { clock } = this.#parts;
    this.#cancelRepeat = clock.setTimer(() => {
      for (const nodeId of this.#links.keys()) this.#tell(nodeId);
      this.#rememberSometimes();
      this.start();
    }, admissionDefaults.repeatMs);
  }

  stop(): void {
    this.#cancelRepeat?.();
    this.#links.clear();
  }

  get admitted(): readonly string[] {
    return [...this.#links].flatMap(([nodeId, { isAdmitted }]) => (isAdmitted ? nodeId : []));
  }

  linkUp(peer: PeerIdentity): void {
    this.linkDown(peer.nodeId);
    this.#links.set(peer.nodeId, {
      peer,
      isOfCluster: false,
      store: "unknown",
      own: null,
      isAdmitted: false,
      waiting: [],
    });
    this.#tell(peer.nodeId);
  }

  linkDown(nodeId: string): void {
    const link = this.#links.get(nodeId);
    this.#links.delete(nodeId);
    if (link?.isAdmitted) this.#parts.left(nodeId);
  }

  ofCluster(peer: PeerIdentity): void {
    const link = this.#links.get(peer.nodeId);
    if (link?.peer !== peer) return;
    link.isOfCluster = true;
    this.#advance(link);
  }

  /** Everything that a peer says but for the founding and gossip. */
  receive(from: string, message: PeerMessage): void {
    const link = this.#links.get(from);
    if (link === undefined) return;
    if (message.type === "stores") this.#heard(link, message);
    else if (link.isAdmitted) this.#parts.message(from, message);
    else if (link.store !== "refused" && link.waiting.length < admissionDefaults.messagesWaitingMax)
      link.waiting.push(message);
  }

  #tell(nodeId: string): void {
    const { own, send } = this.#parts;
    send(nodeId, { type: "stores", own: own(), seen: this.#witness.sightings });
  }

  #heard(link: Link, { own, seen }: Extract<PeerMessage, { type: "stores" }>): void {
    const { peer } = link;
    const mine = StoreWitness.judgeOwn(this.#parts.own(), seen);
    if (mine !== null) return this.#parts.fail(mine);
    // What is said about another store than the link's own is not heard.
    if (own.storeId !== peer.storeId || own.bootId !== peer.bootId || link.store === "refused") return;
    const meeting = this.#witness.meet(own);
    if (meeting.type === "refused") return this.#refuse(link, meeting.error);
    link.own = own;
    if (link.store === "unknown") link.store = meeting.isNews ? "news" : "known";
    this.#advance(link);
    this.#findTwice(seen);
  }

  #findTwice(seen: readonly StoreSighting[]): void {
    for (const link of [...this.#links.values()]) {
      if (link.own === null || link.store === "refused") continue;
      const error = StoreWitness.findTwice([link.own], seen);
      if (error !== null) this.#refuse(link, error);
    }
  }

  #refuse(link: Link, error: NodeError): void {
    const { nodeId } = link.peer;
    this.#parts.log.error(
      { event: "store-refused", peer: nodeId, code: error.code },
      `nothing that ${nodeId} says is heard: ${error.message}`,
    );
    link.store = "refused";
    link.waiting = [];
    // It must hear why, if what it said is all that it knows of itself.
    this.#tell(nodeId);
    if (!link.isAdmitted) return;
    link.isAdmitted = false;
    this.#parts.left(nodeId);
  }

  #advance(link: Link): void {
    if (!link.isOfCluster || link.isAdmitted) return;
    if (link.store === "news") {
      link.store = "remembering";
      void this.#remember().then(() => {
        if (this.#links.get(link.peer.nodeId) !== link || link.store !== "remembering") return;
        link.store = "known";
        this.#admit(link);
      });
    } else if (link.store === "known") this.#admit(link);
  }

  #admit(link: Link): void {
    link.isAdmitted = true;
    this.#parts.admitted(link.peer);
    for (const message of link.waiting.splice(0)) this.#parts.message(link.peer.nodeId, message);
  }

  #remember(): Promise<void> {
    this.#rememberedMs = this.#parts.clock.now().monotonicMs;
    return this.#parts.remember(this.#witness.seen);
  }

  #rememberSometimes(): void {
    const sinceMs = this.#parts.clock.now().monotonicMs - this.#rememberedMs;
    if (this.admitted.length > 0 && sinceMs >= admissionDefaults.rememberMs) void this.#remember();
  }
}
