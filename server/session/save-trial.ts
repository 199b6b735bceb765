import { GraphError } from "./graph/graph-error.ts";

/** What room code puts into its fields is its own: that it cannot be saved is the room's failure, not the node's. */
export class SaveTrial {
  /** Why the room could not be saved or hashed when it was tried last. */
  because: string | null = null;
  readonly #failed: (error: GraphError) => void;

  /** @param failed is told of each reason once */
  constructor(failed: (error: GraphError) => void) {
    this.#failed = failed;
  }

  /** Null: it cannot be saved. */
  try<T>(act: () => T): T | null {
    try {
      const result = act();
      this.because = null;
      return result;
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      if (error.message !== this.because) this.#failed(error);
      this.because = error.message;
      return null;
    }
  }
}
