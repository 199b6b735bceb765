import { pack, unpack } from "msgpackr";
import { Dirt } from "../../server/group/dirt.ts";
import type { AppliedCommand, ApplyResult, Machine } from "../../server/group/machine.ts";
import { Origins, type OriginsState } from "../../server/group/origins.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import {
  type RegisterInput,
  type RegisterOutput,
  registerModel,
  type Value,
} from "../linearizability/register-model.ts";
import { type RegisterCommands, type RegisterContext, registerMenu } from "./register-menu.ts";

/** A command's result at its proposer. `forgotten`: it was applied before, and what it gave then is not known any more. */
export type RegisterResult = RegisterOutput | "forgotten" | "expired";

/** A few parts that share the keys, so that each has a checkpoint, and an index, of its own. */
const shelves = 4;

export function shelfOf(key: string): number {
  let hash = 0;
  for (let at = 0; at < key.length; at++) hash = (hash * 31 + key.charCodeAt(at)) % 1_000_003;
  return hash % shelves;
}

interface ShelfState {
  readonly values: [key: string, value: string][];
  readonly origins: OriginsState;
}

/** Of the last command in its checkpoint; what it has seen since is in memory only. */
class Shelf {
  readonly index: number;
  readonly values: Map<string, string>;
  readonly origins: Origins;
  readonly dirt = new Dirt();

  constructor(checkpoint: Checkpoint | undefined) {
    const state = checkpoint === undefined ? null : (unpack(checkpoint.bytes) as ShelfState);
    this.index = checkpoint?.index ?? 0;
    this.values = new Map(state?.values);
    this.origins = new Origins(state?.origins);
  }

  get state(): ShelfState {
    return { values: [...this.values], origins: this.origins.state };
  }
}

function emptyShelves(): Shelf[] {
  return Array.from({ length: shelves }, () => new Shelf(undefined));
}

/** Compare-and-set registers: the smallest machine whose clients' histories can be judged. */
export class RegisterMachine implements Machine, RegisterCommands {
  #shelves = emptyShelves();
  #appliedIndex = 0;

  beginRestore(): void {
    this.#shelves = emptyShelves();
    this.#appliedIndex = 0;
  }

  restorePart(key: string, checkpoint: Checkpoint): void {
    this.#shelves[this.#shelves.findIndex((_, at) => key === `shelf ${at}`)] = new Shelf(checkpoint);
    this.#appliedIndex = Math.max(this.#appliedIndex, checkpoint.index);
  }

  endRestore(): void {}

  apply({ index, logTimeMs, wallTimeMs, level, id, command }: AppliedCommand): ApplyResult {
    this.#appliedIndex = index;
    const origin = { nodeId: id.nodeId, bootCount: id.bootCount };
    const context: RegisterContext = { index, logTimeMs, wallTimeMs, level, origin };
    return registerMenu.apply(this, command, context) as ApplyResult;
  }

  perform(
    input: RegisterInput,
    { key, sequence }: { key: string; sequence: number },
    { index, origin }: RegisterContext,
  ): ApplyResult {
    const shelf = this.#shelf(key);
    const done = (value: RegisterResult): ApplyResult => ({ type: "done", value });
    if (index <= shelf.index) return done("forgotten");
    const verdict = shelf.origins.take({ ...origin, sequence });
    if (verdict === "gap") return { type: "gap" };
    if (verdict === "expired") return done("expired");
    if (verdict === "duplicate") return done("forgotten");
    shelf.dirt.touch(index);
    const { state, output } = registerModel.apply(this.value(key), input);
    if (state === null) shelf.values.delete(key);
    else shelf.values.set(key, state);
    return done(output);
  }

  #shelf(key: string): Shelf {
    return this.#shelves[shelfOf(key)] as Shelf;
  }

  /** As of the last applied command. */
  value(key: string): Value {
    return this.#shelf(key).values.get(key) ?? null;
  }

  /** Equal for equal replicas. */
  get fingerprint(): string {
    return JSON.stringify(
      this.#shelves.map(({ state }) => [state.values.toSorted(), state.origins.toSorted()]),
    );
  }

  *dirty(): Iterable<{ readonly key: string; readonly firstIndex: number }> {
    for (const [at, { dirt }] of this.#shelves.entries())
      if (dirt.firstIndex !== null) yield { key: `shelf ${at}`, firstIndex: dirt.firstIndex };
  }

  save(key: string): Checkpoint {
    const shelf = this.#shelves.find((_, at) => key === `shelf ${at}`);
    if (shelf === undefined) throw new Error(`there is no part "${key}"`);
    shelf.dirt.saving(this.#appliedIndex);
    return { index: this.#appliedIndex, bytes: pack(shelf.state) };
  }

  saved(key: string, index: number): void {
    this.#shelves.find((_, at) => key === `shelf ${at}`)?.dirt.saved(index);
  }

  /** Registers have no clock. */
  nextTickMs(): null {
    return null;
  }

  tickCommand(): never {
    throw new Error("registers have no clock");
  }

  drained(): void {}
}
