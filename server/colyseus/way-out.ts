import type { TestudoNode } from "../cluster/node.ts";

/** While a node drains, who asks it for a seat takes that at another one: each in its turn. */
export class WayOut {
  readonly #node: Pick<TestudoNode, "door" | "elsewhere">;
  #turn = 0;

  constructor(node: Pick<TestudoNode, "door" | "elsewhere">) {
    this.#node = node;
  }

  get isDraining(): boolean {
    return this.#node.door === "closing";
  }

  /** Another node's public address, as Colyseus has it: without "https://". Null: there is none, or no need. */
  next(): string | null {
    if (!this.isDraining) return null;
    const others = this.#node.elsewhere();
    const url = others[this.#turn++ % others.length]?.url;
    return url === undefined ? null : publicAddress(url);
  }
}

/** As Colyseus has it. */
export function publicAddress(url: string): string {
  return url.replace(/^https?:\/\//, "").replace(/\/$/, "");
}
