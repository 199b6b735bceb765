import type { PeerMessage, ProposalId } from "../network/peer-message.ts";
import type { ProposeResult } from "../raft/ready.ts";
import type { EngineOptions } from "./engine-options.ts";
import { encodeEnvelope } from "./proposal-envelope.ts";
import { Proposals } from "./proposals.ts";
import type { Settlements } from "./settlements.ts";

type Forwarded = Extract<PeerMessage, { type: "propose" }>["proposals"];
type RefusalReason = Extract<PeerMessage, { type: "proposeRefused" }>["reason"];

export type Destination =
  | { readonly type: "self" }
  | { readonly type: "leader"; readonly nodeId: string }
  /** The lead is here, but on its way to another node: everything waits until it has gone, or stays. */
  | { readonly type: "transferring" }
  /** Nobody leads, or its link is down. */
  | { readonly type: "nobody" };

export interface ProposalRouterOptions {
  readonly group: number;
  readonly nodeId: string;
  readonly bootCount: number;
  readonly engine: EngineOptions;
  readonly settlements: Settlements;
  readonly propose: (data: readonly Uint8Array[]) => ProposeResult;
  readonly send: (nodeId: string, message: PeerMessage) => void;
  readonly bufferedBytes: (nodeId: string) => number;
}

/** Brings proposals to whoever leads the group: this node's own, and those that others have sent here. */
export class ProposalRouter {
  readonly proposals: Proposals;
  readonly #options: ProposalRouterOptions;
  /** Others' proposals of this drain, or of a transfer's time, in the order of arrival. */
  #forwarded: { readonly from: string; readonly proposals: Forwarded }[] = [];
  #forwardedCount = 0;
  #forwardedBytes = 0;

  constructor(options: ProposalRouterOptions) {
    this.#options = options;
    this.proposals = new Proposals(options.engine, options.settlements);
  }

  /** Nothing waits here, sent or not. */
  get isIdle(): boolean {
    return this.#forwarded.length === 0 && this.proposals.isIdle;
  }

  hasWork(nowMs: number): boolean {
    return this.#forwarded.length > 0 || this.proposals.hasUnsent(nowMs);
  }

  receive(from: string, proposals: Forwarded): void {
    if (proposals.length === 0) return;
    const { forwardedWaitingMax, forwardedWaitingBytesMax } = this.#options.engine;
    const bytes = proposals.reduce((sum, { data }) => sum + data.length, 0);
    if (
      this.#forwardedCount + proposals.length > forwardedWaitingMax ||
      this.#forwardedBytes + bytes > forwardedWaitingBytesMax
    ) {
      this.#refuse(from, proposals, "OVERLOADED");
      return;
    }
    this.#forwarded.push({ from, proposals });
    this.#forwardedCount += proposals.length;
    this.#forwardedBytes += bytes;
  }

  /** The leader, or who was taken for it, did not take them. */
  refused(nowMs: number): void {
    this.proposals.resendSoon(nowMs);
  }

  /** Another leader, another link. */
  resendAll(): void {
    this.proposals.resendAll();
  }

  tick(nowMs: number): void {
    this.proposals.tick(nowMs);
  }

  stop(): void {
    this.proposals.stop();
  }

  /** `refuseForwarded`: this leader's log has reached its limit. */
  route(
    destination: Destination,
    { nowMs, refuseForwarded }: { nowMs: number; refuseForwarded: boolean },
  ): void {
    if (destination.type === "transferring") return;
    const forwarded = this.#forwarded;
    if (forwarded.length > 0) {
      this.#forwarded = [];
      this.#forwardedCount = 0;
      this.#forwardedBytes = 0;
    }
    if (destination.type === "self" && !refuseForwarded) {
      this.#proposeAll(forwarded, nowMs);
      return;
    }
    for (const { from, proposals } of forwarded) {
      this.#refuse(from, proposals, destination.type === "self" ? "OVERLOADED" : "NOT_LEADER");
    }
    if (destination.type === "self") this.#proposeAll([], nowMs);
    if (destination.type === "leader") this.#forward(destination.nodeId, nowMs);
  }

  /** One append for everything that has come together, as far as the limits of a batch allow. */
  #proposeAll(
    forwarded: readonly { readonly from: string; readonly proposals: Forwarded }[],
    nowMs: number,
  ): void {
    const { proposeBatchMax, proposeBatchBytesMax } = this.#options.engine;
    let position = 0;
    for (;;) {
      const own = this.#takeOwn(nowMs);
      const data = own.map(({ id, command }) => encodeEnvelope(id, command));
      const taken: { readonly from: string; readonly proposals: Forwarded }[] = [];
      let bytes = data.reduce((sum, one) => sum + one.length, 0);
      while (
        position < forwarded.length &&
        (data.length === 0 || (data.length < proposeBatchMax && bytes < proposeBatchBytesMax))
      ) {
        const next = forwarded[position++] as (typeof forwarded)[number];
        taken.push(next);
        for (const proposal of next.proposals) {
          const one = encodeEnvelope(proposal.id, proposal.data);
          bytes += one.length;
          data.push(one);
        }
      }
      if (data.length === 0) return;
      const result = this.#options.propose(data);
      if (result.type === "appended") continue;
      const [first] = own;
      if (first !== undefined) this.proposals.refused(first.id.sequence, nowMs);
      const reason = result.type === "notLeader" ? "NOT_LEADER" : "OVERLOADED";
      for (const { from, proposals } of [...taken, ...forwarded.slice(position)])
        this.#refuse(from, proposals, reason);
      return;
    }
  }

  #takeOwn(nowMs: number): { readonly id: ProposalId; readonly command: Uint8Array }[] {
    const { nodeId, bootCount, engine } = this.#options;
    const limits = { nowMs, countMax: engine.proposeBatchMax, bytesMax: engine.proposeBatchBytesMax };
    return this.proposals
      .takeUnsent(limits)
      .map(({ sequence, command }) => ({ id: { nodeId, bootCount, sequence }, command }));
  }

  #forward(leaderId: string, nowMs: number): void {
    const { group, engine, send, bufferedBytes } = this.#options;
    let room = engine.bulkBufferedBytesMax - bufferedBytes(leaderId);
    while (room > 0) {
      const own = this.#takeOwn(nowMs);
      if (own.length === 0) return;
      send(leaderId, {
        type: "propose",
        group,
        proposals: own.map(({ id, command }) => ({ id, data: command })),
      });
      for (const { command } of own) room -= command.length + proposalOverheadBytes;
    }
  }

  #refuse(from: string, proposals: Forwarded, reason: RefusalReason): void {
    const first = proposals[0]?.id.sequence ?? 1;
    this.#options.send(from, { type: "proposeRefused", group: this.#options.group, sequence: first, reason });
  }
}

/** Roughly what a proposal costs on the wire beside its command. */
const proposalOverheadBytes = 32;
