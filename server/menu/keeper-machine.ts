import assert from "node:assert/strict";
import { pack, unpack } from "msgpackr";
import { Dirt } from "../group/dirt.ts";
import type { AppliedCommand, ApplyResult, Machine } from "../group/machine.ts";
import type { Checkpoint } from "../storage/storage.ts";
import { type KeeperResult, resultOf } from "./keeper-result.ts";
import type { CommandContext } from "./menu.ts";
import { RememberedResults, type ResultsState } from "./remembered-results.ts";

/** One menu's state in the keeper's machine. */
export interface Keep {
  /** Carries out one command of its menu. @throws KeeperError: nothing was changed */
  apply(command: Uint8Array, context: CommandContext): unknown;
  /** Before each command, its own or not: what is due by its log time is gone. */
  expire(context: CommandContext): void;
  /** Log time at which something expires next. */
  nextExpiryMs(): number | null;
  /** Plain data. */
  save(): unknown;
  /** Undefined: as it is in the beginning. */
  restore(saved: unknown): void;
  /** All that was committed has been applied for now. */
  drained(): void;
}

interface Saved {
  readonly proposals: ResultsState;
  readonly keeps: { readonly [name: string]: unknown };
}

/** Its number stands before a command of a menu: new ones go at the end. */
const menuNumbers = { kv: 0, presence: 1 } as const;
export type KeepName = keyof typeof menuNumbers;
const names = Object.keys(menuNumbers) as KeepName[];

const tickCommand = Uint8Array.of(255);
const partKey = "";

/** A command of a menu as the keeper's machine takes it. */
export function keeperCommand(name: KeepName, command: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(command.length + 1);
  bytes[0] = menuNumbers[name];
  bytes.set(command, 1);
  return bytes;
}

/**
 * The replicated state machine of the group that keeps what belongs to no room: menus beside each other, in one part, since
 * a node numbers what it proposes to a group, not to a menu.
 */
export class KeeperMachine implements Machine {
  readonly #keeps: Readonly<Record<KeepName, Keep>>;
  #dirt = new Dirt();
  #proposals = new RememberedResults();
  /** Of the checkpoint that it was brought back from: what it contains is not carried out again. */
  #partIndex = 0;
  #appliedIndex = 0;
  #restored: Checkpoint | null = null;

  constructor(keeps: Readonly<Record<KeepName, Keep>>) {
    this.#keeps = keeps;
  }

  beginRestore(): void {
    this.#restored = null;
  }

  restorePart(key: string, checkpoint: Checkpoint): void {
    assert.equal(key, partKey, "the keeper has one part");
    this.#restored = checkpoint;
  }

  /** Only now, at once: who reads meanwhile finds what was there. */
  endRestore(): void {
    const saved = this.#restored === null ? undefined : (unpack(this.#restored.bytes) as Saved);
    this.#partIndex = this.#restored?.index ?? 0;
    this.#appliedIndex = this.#partIndex;
    this.#restored = null;
    this.#dirt = new Dirt();
    this.#proposals = new RememberedResults(saved?.proposals);
    for (const name of names) this.#keeps[name].restore(saved?.keeps[name]);
  }

  apply({ index, logTimeMs, wallTimeMs, id, command }: AppliedCommand): ApplyResult {
    if (index <= this.#partIndex) return { type: "done", value: null };
    this.#appliedIndex = index;
    const verdict = this.#proposals.take(id);
    if (verdict === "gap") return { type: "gap" };
    this.#dirt.touch(index);
    // An expired one has nobody who waits for it.
    if (verdict === "expired") return { type: "done", value: forgotten };
    if (verdict === "duplicate") return { type: "done", value: this.#proposals.resultOf(id) ?? forgotten };
    const context = { index, logTimeMs, wallTimeMs };
    for (const name of names) this.#keeps[name].expire(context);
    if (command[0] === tickCommand[0]) return { type: "done", value: null };
    const result = this.#carryOut(command, context);
    this.#proposals.remember(id, result);
    return { type: "done", value: result };
  }

  #carryOut(command: Uint8Array, context: CommandContext): KeeperResult {
    const number = command[0];
    const name = names.find((each) => menuNumbers[each] === number);
    assert(name !== undefined, `the keeper has no menu number ${number}`);
    return resultOf(() => this.#keeps[name].apply(command.subarray(1), context));
  }

  *dirty(): Iterable<{ readonly key: string; readonly firstIndex: number }> {
    const { firstIndex } = this.#dirt;
    if (firstIndex !== null) yield { key: partKey, firstIndex };
  }

  save(): Checkpoint {
    this.#dirt.saving(this.#appliedIndex);
    return { index: this.#appliedIndex, bytes: this.contents() };
  }

  /** Equal for equal replicas. */
  contents(): Uint8Array {
    const keeps = Object.fromEntries(names.map((name) => [name, this.#keeps[name].save()]));
    const saved: Saved = { proposals: this.#proposals.state, keeps };
    return pack(saved);
  }

  saved(_key: string, index: number): void {
    this.#dirt.saved(index);
  }

  nextTickMs(): number | null {
    const due = names.flatMap((name) => this.#keeps[name].nextExpiryMs() ?? []);
    return due.length === 0 ? null : Math.min(...due);
  }

  tickCommand(): Uint8Array {
    return tickCommand;
  }

  drained(): void {
    for (const name of names) this.#keeps[name].drained();
  }
}

const forgotten: KeeperResult = {
  type: "refused",
  code: "APPLIED_RESULT_FORGOTTEN",
  message: "it was carried out, once; what it gave is not known any more: read what there is now",
};
