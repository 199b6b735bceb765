import type { Member } from "./configuration.ts";
import { isQuorum, sameMember } from "./quorum.ts";
import type { RaftOptions } from "./raft-options.ts";
import type { Replica } from "./replica.ts";

/**
 * For so long, by its own clock, a voter that has heard its leader votes for nobody else, unless the leader handed the
 * lead over: the least election timeout. 0: it promises nothing, since it helps to replace a leader whose link closes.
 */
export function promiseMs({
  fastFailover,
  electionBaseMs,
}: Pick<RaftOptions, "fastFailover" | "electionBaseMs">): number {
  return fastFailover ? 0 : 2 * electionBaseMs;
}

/**
 * How long a leader knows that nobody can have taken its place (dissertation §6.4.1): while a quorum keeps the promise
 * that each of it gave. A promise counts from before the question to which it is the answer left; and for less than it
 * says, because the two clocks may run apart.
 */
export class Lease {
  readonly #replica: Replica;
  #promises: { readonly member: Member; readonly untilMs: number }[] = [];

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** Of `member`, in answer to what was asked at `askedMs` on this node's clock. */
  promised(member: Member, { askedMs, leaseMs }: { askedMs: number; leaseMs: number }): void {
    const untilMs = askedMs + leaseMs * this.#share;
    const known = this.#promises.find((promise) => sameMember(promise.member, member));
    if (known !== undefined && known.untilMs >= untilMs) return;
    this.#promises = this.#promises.filter((promise) => promise !== known);
    this.#promises.push({ member, untilMs });
  }

  /** The voter's clock may be the fastest that is allowed, and this node's the slowest. */
  get #share(): number {
    const drift = this.#replica.options.clockDriftPercentMax / 100;
    return (1 - drift) / (1 + drift);
  }

  /** At this moment of the own clock, by the configuration as it stands. */
  holdsAt(atMs: number): boolean {
    return isQuorum(this.#replica.configuration, (voter) => {
      // A leader votes for nobody.
      if (this.#replica.isSelf(voter)) return true;
      const promise = this.#promises.find(({ member }) => sameMember(member, voter));
      return promise !== undefined && atMs < promise.untilMs;
    });
  }

  end(): void {
    this.#promises = [];
  }
}
