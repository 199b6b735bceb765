import { codeKey, engineKey } from "../../cluster/doors.ts";
import type { Gossip, GossipBody } from "../../cluster/gossip.ts";
import type { Log } from "../../cluster/log.ts";
import type { NodeCode } from "../../cluster/node-parts.ts";
import type { NodeOptions } from "../../cluster/options.ts";
import { engineOf, gameOf, roomCode } from "../../session/room-code.ts";
import { sha256 } from "../preload/loaded-files.ts";
import { engineDifference, engineWords } from "./engine.ts";
import { ownGame } from "./game-files.ts";

const engineDigits = 8;

/** One node's, for operators. */
export interface NodeCodeStatus extends NodeCode {
  readonly node: string;
  /** From the one that is asked; null: in nothing, rooms of the one run on the other. */
  readonly differs: string | null;
}

/**
 * What this process runs rooms with. In memory a room is of this node alone, whose own later code takes it over (`testudo
 * dev`): its files do not count. @throws Error if nothing was loaded under the preload's eyes
 */
export function ownCode({ code, memory }: Pick<NodeOptions, "code" | "memory">, log: Log): NodeCode {
  const engine = engineWords();
  if (memory) return { code, engine };
  const begunMs = performance.now();
  const made = code === "" ? ownGame() : null;
  const whole = roomCode(made?.hash ?? code, sha256(engine).slice(0, engineDigits));
  const from =
    made === null
      ? "as --code says"
      : `from ${made.files} files and ${made.lockFile ?? "the versions of the installed packages"}`;
  const tookMs = Math.round(performance.now() - begunMs);
  log.info(
    { event: "code", code: whole, files: made?.files ?? null, lockFile: made?.lockFile ?? null, tookMs },
    `this node runs code ${whole}: the game's ${from}; on ${engine}`,
  );
  return { code: whole, engine };
}

/** What all nodes run rooms with, as far as this one has heard. */
export class NodeCodes {
  readonly #own: NodeCode & { readonly node: string };
  readonly #gossip: Gossip;
  readonly #heard = new Map<string, string>();

  constructor(own: NodeCode & { readonly node: string }, gossip: Gossip) {
    this.#own = own;
    this.#gossip = gossip;
  }

  /** Each node that runs other code, or comes to run it, is told of once: those that were heard of before, too. */
  begin(log: Log): void {
    for (const { node } of this.#gossip.endpoints()) this.#look(node, this.#gossip.of(node), log);
    this.#gossip.onHeard((node, body) => this.#look(node, body, log));
  }

  #look(node: string, body: GossipBody | null, log: Log): void {
    const their = codeIn(body);
    if (this.#heard.get(node) === their.code) return;
    this.#heard.set(node, their.code);
    const differs = codeDifference(their, this.#own);
    if (differs === null) return;
    const fields = { event: "other-code", node, code: their.code, own: this.#own.code };
    log.warn(
      fields,
      `${node} runs other code: ${differs}. Here the log of its rooms is kept, and votes; they run on ${this.#with(their.code)}, those of this code on ${this.#with(this.#own.code)}. To bring rooms over, ask a node that has the code that they are to go on under: testudo rooms switch --all`,
    );
  }

  status(): NodeCodeStatus[] {
    const told = this.#gossip.endpoints().map(({ node }) => ({ node, ...codeIn(this.#gossip.of(node)) }));
    return told.map((their) => ({ ...their, differs: codeDifference(their, this.#own) }));
  }

  #with(code: string): string {
    const nodes = this.status().filter((each) => each.code === code);
    return nodes.map(({ node }) => node).join(", ");
  }
}

function codeIn(body: GossipBody | null): NodeCode {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return { code: text(body?.[codeKey]), engine: text(body?.[engineKey]) };
}

/** What is not the same about two codes, in words. Null: nothing. */
export function codeDifference(their: NodeCode, own: NodeCode): string | null {
  if (their.code === own.code) return null;
  const [game, ownGameName] = [gameOf(their.code), gameOf(own.code)];
  const parts = [
    ...(game === ownGameName ? [] : [`the game differs (${game}, here ${ownGameName})`]),
    ...(engineOf(their.code) === engineOf(own.code) ? [] : [engineDifference(their.engine, own.engine)]),
  ];
  return parts.join("; ");
}
