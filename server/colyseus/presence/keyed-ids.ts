import { createHmac } from "node:crypto";

/**
 * What a call from inside of a room draws ids from: whoever runs the call again, with the same key, draws the same ones. Only
 * the nodes can: a player who knows the key, or all that the room ever drew, does not know the cluster's secret.
 */
export class KeyedIds {
  readonly #secret: string;
  readonly #key: string;
  #drawn = 0;

  constructor(secret: string, key: string) {
    this.#secret = secret;
    this.#key = key;
  }

  /** Of a seat: one a call. */
  get sessionId(): string {
    return this.#digest("seat").subarray(0, 9).toString("base64url");
  }

  /** At most 32 at once; others with each call, in the order of the calls. */
  readonly bytes = (count: number): Uint8Array => {
    this.#drawn += 1;
    return Uint8Array.from(this.#digest(`room ${this.#drawn}`).subarray(0, count));
  };

  #digest(what: string): Buffer {
    return createHmac("sha256", this.#secret)
      .update(JSON.stringify([what, this.#key]))
      .digest();
  }
}
