import { LocalPresence, matchMaker } from "@colyseus/core";

/** Colyseus's own key for what each process counts. */
const countsKey = "roomcount";

interface TestudoPresenceParts {
  /** What the other nodes count, by process. */
  readonly otherCounts: () => Record<string, string>;
  /** Ends this node. */
  readonly stop: () => Promise<void>;
}

/** This process's presence. What Colyseus keeps there of other processes is what this node knows of the other nodes. */
export class TestudoPresence extends LocalPresence {
  readonly #parts: TestudoPresenceParts;

  constructor(parts: TestudoPresenceParts) {
    super();
    this.#parts = parts;
  }

  override async hgetall(key: string): Promise<Record<string, string>> {
    const own = await super.hgetall(key);
    return key === countsKey ? { ...own, ...this.#parts.otherCounts() } : own;
  }

  override async hdel(key: string, field: string): Promise<boolean> {
    const isDone = super.hdel(key, field);
    const { MatchMakerState, processId, state } = matchMaker;
    if (key === countsKey && field === processId && state === MatchMakerState.SHUTTING_DOWN) {
      // matchMaker.gracefullyShutdown() begins with this. A room that the log creates meanwhile must come to life here
      // as everywhere, which Colyseus refuses in this state; what is to end is this node.
      await matchMaker.accept(true);
      await this.#parts.stop();
    }
    return await isDone;
  }
}
