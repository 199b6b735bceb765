import type { ApplyResult } from "../../../server/group/machine.ts";
import { emptyConfiguration } from "../../../server/raft/configuration.ts";
import { DivergenceWatch } from "../../../server/session/divergence/divergence-watch.ts";
import { decodeWord, type PeerWord } from "../../../server/session/divergence/peer-words.ts";
import type { Verdict } from "../../../server/session/divergence/verdict.ts";
import { inMacrotask } from "../../../server/session/macrotask.ts";
import { sessionMenu } from "../../../server/session/session-menu.ts";
import type { LoggedCommand, Replica } from "../../colyseus/machine-harness.ts";
import { Trial } from "./trial.ts";

const turnMs = 250;

interface Message {
  readonly from: string;
  readonly to: string;
  readonly body: Uint8Array;
}

/** Replicas that watch each other, over links and a log that the test can look into. */
export class Jury extends Trial {
  nowMs = 0;
  leaderId = "A";
  term = 1;
  /** Nodes that neither hear, say nor apply anything. */
  readonly down = new Set<string>();
  /** Nodes that are no members any more. */
  readonly removed = new Set<string>();
  /** Members that do not vote. */
  readonly learners = new Set<string>();
  /** Towards these nodes bulk waits. */
  readonly busy = new Set<string>();
  readonly verdicts: Verdict[] = [];
  readonly said: { readonly from: string; readonly to: string; readonly word: PeerWord }[] = [];
  readonly logged: { readonly nodeId: string; readonly event: unknown; readonly message: string }[] = [];
  /** Messages that it answers false for are lost. */
  passes: (from: string, to: string, word: PeerWord) => boolean = () => true;
  readonly #applied = new Map<string, number>();
  #messages: Message[] = [];
  #proposals: { readonly command: Uint8Array; readonly done: () => void }[] = [];

  constructor(nodeIds?: readonly string[]) {
    super(nodeIds);
    for (const replica of this.replicas) this.equip(replica);
  }

  /** A replica with a watch; also one that was restarted. */
  equip(replica: Replica): void {
    const { nodeId } = replica;
    const log = (fields: object, message: string) =>
      this.logged.push({ nodeId, event: (fields as { event?: unknown }).event, message });
    replica.divergences = new DivergenceWatch({
      group: 0,
      nodeId,
      machine: replica.machine,
      log: { warn: log, error: log },
      nowMs: () => this.nowMs,
      link: {
        lead: () => ({ leaderId: this.leaderId, term: this.term }),
        configuration: () => ({
          ...emptyConfiguration,
          ...Object.groupBy(
            this.replicas
              .filter(({ nodeId }) => !this.removed.has(nodeId))
              .map((each) => ({ nodeId: each.nodeId, storeId: each.nodeId })),
            (member) => (this.learners.has(member.nodeId) ? "learners" : "voters"),
          ),
        }),
        tell: (to, body) => this.#messages.push({ from: nodeId, to, body }),
        isBusy: (to) => this.busy.has(to),
        propose: (command) =>
          new Promise((resolve) => this.#proposals.push({ command, done: () => resolve(null) })),
      },
    });
  }

  watch(nodeId: string): DivergenceWatch {
    const { divergences } = this.node(nodeId);
    if (divergences === null) throw new Error(`${nodeId} watches nothing`);
    return divergences;
  }

  override async apply(command: LoggedCommand): Promise<ApplyResult[]> {
    this.entries.push(command);
    const results: ApplyResult[] = [];
    for (const replica of this.replicas) {
      const result = this.down.has(replica.nodeId) ? null : await this.#catchUp(replica);
      results.push(result ?? { type: "done", value: null });
    }
    return results;
  }

  async #catchUp(replica: Replica): Promise<ApplyResult | null> {
    const from = this.#applied.get(replica.nodeId) ?? 0;
    let last: ApplyResult | null = null;
    for (const entry of this.entries.slice(from)) last = await inMacrotask(() => replica.apply(entry));
    this.#applied.set(replica.nodeId, this.entries.length);
    return last;
  }

  /** A new start of a node, from these entries on. */
  restarted(replica: Replica, appliedEntries: number): void {
    this.replicas[this.replicas.findIndex(({ nodeId }) => nodeId === replica.nodeId)] = replica;
    this.#applied.set(replica.nodeId, appliedEntries);
    this.equip(replica);
  }

  /** Everybody looks up once; what was said is heard, what was proposed is agreed. */
  async turn(): Promise<void> {
    this.nowMs += turnMs;
    for (const { nodeId } of this.replicas)
      if (!this.down.has(nodeId)) await inMacrotask(() => this.watch(nodeId).tick());
    await this.settle();
  }

  /** No time passes: what was said is heard, with all that is said to it. */
  async settle(): Promise<void> {
    while (this.#messages.length > 0 || this.#proposals.length > 0) {
      for (const message of this.#messages.splice(0)) await this.#deliver(message);
      for (const { command, done } of this.#proposals.splice(0)) await this.#agree(command, done);
    }
  }

  async #deliver({ from, to, body }: Message): Promise<void> {
    const word = decodeWord(body);
    if (word === null) throw new Error("nodes say only what can be read");
    this.said.push({ from, to, word });
    if (this.down.has(from) || this.down.has(to) || !this.passes(from, to, word)) return;
    await inMacrotask(() => this.node(to).machine.heard(from, body));
  }

  async #agree(command: Uint8Array, done: () => void): Promise<void> {
    const { name, argument } = sessionMenu.decode(command);
    if (name !== "verdicts") throw new Error(`a watch proposes ${name}`);
    this.verdicts.push(...(argument as { verdicts: Verdict[] }).verdicts);
    await this.apply(this.log.next(this.leaderId, "verdicts", argument as object));
    done();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** The match goes on, and so does the watch. */
  async seconds(count: number): Promise<void> {
    for (let turn = 0; turn < (count * 1_000) / turnMs; turn++) {
      await this.tick(turnMs);
      await this.turn();
    }
  }

  standings(): string {
    return this.replicas.map(({ nodeId }) => this.standing(nodeId)).join();
  }
}
