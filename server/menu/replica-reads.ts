import { ProposalError } from "../group/proposal-error.ts";
import { KeeperError } from "./keeper-error.ts";
import { keeperLimits } from "./keeper-limits.ts";

/** What the keeper's replicas say to each other beside the log. */
export interface KeeperTalk {
  readonly self: string;
  /** All nodes that have a replica, this one among them. */
  members(): readonly string[];
  /** Without a link it is lost. */
  tell(to: string, body: Uint8Array): void;
}

interface ReplicaReadsParts {
  readonly clock: { setTimer(fn: () => void, ms: number): () => void; defer(fn: () => void): void };
  /** How far this replica is. */
  readonly appliedIndex: () => Promise<number>;
}

interface Waiting {
  readonly index: number;
  readonly replicas: number;
  readonly agreed: Set<string>;
  readonly done: () => void;
}

const askEveryMs = 100;
const timeoutMsDefault = 10_000;
const bodyBytes = 9;
/** A question: have you applied as much? And its answer: so much. Each is true for ever, so none needs a number. */
const [ask, applied] = [0, 1];

/** Reads that several replicas have to agree on having got as far as. */
export class ReplicaReads {
  readonly #parts: ReplicaReadsParts;
  readonly #waiting = new Set<Waiting>();
  #talk: KeeperTalk | null = null;

  constructor(parts: ReplicaReadsParts) {
    this.#parts = parts;
  }

  bind(talk: KeeperTalk): void {
    this.#talk = talk;
  }

  /** @throws KeeperError ARGUMENT: there are not so many, or none are asked for */
  check(replicas: number): void {
    const members = this.#talk?.members() ?? [];
    if (Number.isInteger(replicas) && replicas >= 1 && replicas <= members.length) return;
    throw new KeeperError(
      "ARGUMENT",
      `replicas is ${String(replicas)}: a whole number from 1 to ${members.length} is allowed (${members.join(", ")})`,
    );
  }

  /** Resolves once so many replicas, this one among them, have applied everything up to `index`. */
  async agree(index: number, replicas: number, timeoutMs = timeoutMsDefault): Promise<void> {
    const talk = this.#talk as KeeperTalk;
    if (replicas === 1) return;
    if (this.#waiting.size >= keeperLimits.replicaReadsMax) {
      const what = `${this.#waiting.size} reads wait for other replicas already`;
      throw new ProposalError("OVERLOADED", what, askEveryMs);
    }
    const { clock } = this.#parts;
    const turn = Promise.withResolvers<void>();
    const waiting: Waiting = { index, replicas, agreed: new Set([talk.self]), done: turn.resolve };
    this.#waiting.add(waiting);
    let cancelAsk = () => {};
    const askOthers = () => {
      const body = bodyOf(ask, index);
      for (const member of talk.members()) if (!waiting.agreed.has(member)) talk.tell(member, body);
      cancelAsk = clock.setTimer(askOthers, askEveryMs);
    };
    askOthers();
    const cancelEnd = clock.setTimer(() => turn.reject(missing(waiting, talk, timeoutMs)), timeoutMs);
    try {
      await turn.promise;
    } finally {
      cancelAsk();
      cancelEnd();
      this.#waiting.delete(waiting);
    }
  }

  /** What another replica says; what is none of these is lost, as anything here may be. */
  heard(from: string, body: Uint8Array): void {
    if (body.length !== bodyBytes) return;
    const [type] = body;
    const index = Number(viewOf(body).getBigUint64(1));
    if (type === ask) this.#parts.clock.defer(() => void this.#answer(from, index));
    if (type !== applied || this.#talk?.members().includes(from) !== true) return;
    for (const waiting of this.#waiting) {
      if (index >= waiting.index) waiting.agreed.add(from);
      if (waiting.agreed.size >= waiting.replicas) waiting.done();
    }
  }

  async #answer(to: string, index: number): Promise<void> {
    // One that cannot be read now says nothing: it is asked again.
    const here = await this.#parts.appliedIndex().catch(() => 0);
    if (here >= index) this.#talk?.tell(to, bodyOf(applied, here));
  }
}

function missing({ index, replicas, agreed }: Waiting, talk: KeeperTalk, timeoutMs: number): KeeperError {
  const others = talk.members().filter((member) => !agreed.has(member));
  return new KeeperError(
    "REPLICAS_MISSING",
    `${agreed.size} of the ${replicas} replicas that were asked for have applied entry ${index} within ${timeoutMs} ms: nothing was heard of ${others.join(", ")}`,
  );
}

function bodyOf(type: number, index: number): Uint8Array {
  const body = new Uint8Array(bodyBytes);
  body[0] = type;
  viewOf(body).setBigUint64(1, BigInt(index));
  return body;
}

function viewOf(body: Uint8Array): DataView {
  return new DataView(body.buffer, body.byteOffset, body.length);
}
