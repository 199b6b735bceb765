import { z } from "zod";
import { realClock } from "../../cluster/clock.ts";
import { HeldLock } from "../../menu/held-lock.ts";
import { AnyNode } from "./any-node.ts";
import type { NodeFlags } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";

interface Wish {
  readonly name: string;
  readonly claimant: string;
  readonly leaseMs: number;
}

const acquireSchema = z.object({ token: z.number() });
const renewSchema = z.object({ isHeld: z.boolean() });
const releaseSchema = z.object({ wasThere: z.boolean() });
const turnSchema = z.object({ type: z.enum(["holding", "waiting", "gone"]), token: z.number().optional() });

/** More than a node keeps a question for a turn open. */
const answerMsMax = 15_000;

/** A claim to a lock of somebody who is no node: any node speaks for it, so it outlives the one that it talks to. */
export class LockHold {
  readonly #node: AnyNode;
  readonly #wish: Wish;

  constructor(flags: NodeFlags, wish: Wish) {
    this.#node = new AnyNode(flags);
    this.#wish = wish;
  }

  /**
   * @param waitMs 0: now or never; null: for as long as it takes
   * @throws CliError LOCK_TAKEN, and what the nodes say
   */
  async acquire(waitMs: number | null): Promise<HeldLock> {
    const { leaseMs } = this.#wish;
    await this.#node.meet();
    try {
      const sinceMs = realClock.now().monotonicMs;
      const { token } = acquireSchema.parse(await this.#ask("acquire", { leaseMs, waitMs }));
      if (token > 0) return this.#held(token, sinceMs);
      if (waitMs === 0) throw this.#taken("--wait waits for it");
      return await this.#wait();
    } catch (error) {
      // What was asked may have come through.
      await this.#ask("release").catch(() => null);
      throw error;
    }
  }

  async #wait(): Promise<HeldLock> {
    for (;;) {
      const place = turnSchema.parse(await this.#ask("turn"));
      if (place.type === "gone") throw this.#taken("--wait-ms are over");
      if (place.type === "waiting") continue;
      const sinceMs = realClock.now().monotonicMs;
      // When it was given is not known here: from now on it is.
      if (await this.#renew()) return this.#held(place.token as number, sinceMs);
      throw this.#taken("its turn came and went before it was heard of here: try again");
    }
  }

  #taken(what: string): CliError {
    return new CliError("LOCK_TAKEN", `another holds the lock "${this.#wish.name}": ${what}`);
  }

  #held(token: number, sinceMs: number): HeldLock {
    const { name, leaseMs } = this.#wish;
    return new HeldLock(
      { name, leaseMs, token, sinceMs },
      {
        clock: realClock,
        renew: () => this.#renew(),
        release: async () => releaseSchema.parse(await this.#ask("release")).wasThere,
      },
    );
  }

  /** Within its lease each node can be asked. */
  async #renew(): Promise<boolean> {
    const answerMs = Math.max(50, this.#wish.leaseMs / 2 / (this.#node.count + 1));
    return renewSchema.parse(await this.#ask("renew", {}, answerMs)).isHeld;
  }

  #ask(type: string, more: object = {}, ms = answerMsMax): Promise<unknown> {
    const { name, claimant } = this.#wish;
    return this.#node.post("lock", { type, name, claimant, ...more }, Math.ceil(ms));
  }
}
