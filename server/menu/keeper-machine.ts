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

/** Its number stands before a command of a menu: new ones go at the end. */
const menuNumbers = { kv: 0, presence: 1, lock: 2 } as const;
export type KeepName = keyof typeof menuNumbers;
const names = Object.keys(menuNumbers) as KeepName[];

/**
 * Menus that are saved and brought back together, under the first one's name: what is done with kv may be bound to a lock,
 * so that both must stand at the same index.
 */
const partNames: readonly (readonly [KeepName, ...KeepName[]])[] = [["kv", "lock"], ["presence"]];

const tickCommand = Uint8Array.of(255);

/** A command of a menu as the keeper's machine takes it. */
export function keeperCommand(name: KeepName, command: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(command.length + 1);
  bytes[0] = menuNumbers[name];
  bytes.set(command, 1);
  return bytes;
}

interface Saved {
  readonly proposals: ResultsState;
  readonly keeps: Readonly<Partial<Record<KeepName, unknown>>>;
}

/** Some menus' part: it follows every command on its own, so that it may stand at an index of its own. */
class Part {
  readonly name: KeepName;
  readonly keeps: ReadonlyMap<KeepName, Keep>;
  dirt = new Dirt();
  /** Of the checkpoint that it was brought back from: what it contains is not carried out again. */
  index = 0;
  #proposals = new RememberedResults();

  constructor(name: KeepName, keeps: ReadonlyMap<KeepName, Keep>) {
    this.name = name;
    this.keeps = keeps;
  }

  restore(checkpoint: Checkpoint | undefined): void {
    const saved = checkpoint === undefined ? undefined : (unpack(checkpoint.bytes) as Saved);
    this.index = checkpoint?.index ?? 0;
    this.dirt = new Dirt();
    this.#proposals = new RememberedResults(saved?.proposals);
    for (const [name, keep] of this.keeps) keep.restore(saved?.keeps[name]);
  }

  contents(): Uint8Array {
    const keeps = Object.fromEntries([...this.keeps].map(([name, keep]) => [name, keep.save()]));
    const saved: Saved = { proposals: this.#proposals.state, keeps };
    return pack(saved);
  }

  /** @param owner whose command it is; null: a tick */
  apply(
    { id, ...context }: Omit<AppliedCommand, "command" | "term">,
    owner: KeepName | null,
    command: Uint8Array,
  ): ApplyResult {
    if (context.index <= this.index) return nothing;
    const verdict = this.#proposals.take(id);
    if (verdict === "gap") return { type: "gap" };
    this.dirt.touch(context.index);
    // An expired one has nobody who waits for it.
    if (verdict === "expired") return { type: "done", value: forgotten };
    if (verdict === "duplicate") return { type: "done", value: this.#proposals.resultOf(id) ?? forgotten };
    for (const keep of this.keeps.values()) keep.expire(context);
    const own = owner === null ? undefined : this.keeps.get(owner);
    if (own === undefined) return nothing;
    const result = resultOf(() => own.apply(command, context));
    this.#proposals.remember(id, result);
    return { type: "done", value: result };
  }
}

/** The replicated state machine of the group that keeps what belongs to no room: menus beside each other, a part each. */
export class KeeperMachine implements Machine {
  readonly #parts: readonly Part[];
  #appliedIndex = 0;
  readonly #restored = new Map<string, Checkpoint>();

  /** What another node's replica says: see ReplicaReads. */
  readonly heard: (from: string, body: Uint8Array) => void;

  constructor(keeps: Readonly<Record<KeepName, Keep>>, heard: (from: string, body: Uint8Array) => void) {
    this.heard = heard;
    this.#parts = partNames.map((all) => new Part(all[0], new Map(all.map((name) => [name, keeps[name]]))));
  }

  beginRestore(): void {
    this.#restored.clear();
  }

  restorePart(key: string, checkpoint: Checkpoint): void {
    this.#part(key);
    this.#restored.set(key, checkpoint);
  }

  /** Only now, at once: who reads meanwhile finds what was there. */
  endRestore(): void {
    for (const part of this.#parts) part.restore(this.#restored.get(part.name));
    this.#appliedIndex = Math.max(...this.#parts.map(({ index }) => index));
    this.#restored.clear();
  }

  apply({ command, term: _, ...place }: AppliedCommand): ApplyResult {
    this.#appliedIndex = place.index;
    const owner = ownerOf(command);
    let result = nothing;
    for (const part of this.#parts) {
      const isOwner = owner !== null && part.keeps.has(owner);
      const given = part.apply(place, owner, command.subarray(1));
      if (isOwner || given.type === "gap") result = given;
    }
    return result;
  }

  *dirty(): Iterable<{ readonly key: string; readonly firstIndex: number }> {
    for (const { name, dirt } of this.#parts)
      if (dirt.firstIndex !== null) yield { key: name, firstIndex: dirt.firstIndex };
  }

  save(key: string): Checkpoint {
    const part = this.#part(key);
    part.dirt.saving(this.#appliedIndex);
    return { index: this.#appliedIndex, bytes: part.contents() };
  }

  saved(key: string, index: number): void {
    this.#part(key).dirt.saved(index);
  }

  #part(key: string): Part {
    const part = this.#parts.find(({ name }) => name === key);
    assert(part !== undefined, `the keeper has no part "${key}"`);
    return part;
  }

  /** Equal for equal replicas. */
  contents(): Uint8Array {
    return Buffer.concat(this.#parts.map((part) => part.contents()));
  }

  nextTickMs(): number | null {
    const due = this.#keeps.flatMap((keep) => keep.nextExpiryMs() ?? []);
    return due.length === 0 ? null : Math.min(...due);
  }

  tickCommand(): Uint8Array {
    return tickCommand;
  }

  drained(): void {
    for (const keep of this.#keeps) keep.drained();
  }

  get #keeps(): Keep[] {
    return this.#parts.flatMap(({ keeps }) => [...keeps.values()]);
  }
}

/** Whose command it is; null: a tick is nobody's. */
function ownerOf(command: Uint8Array): KeepName | null {
  const number = command[0];
  const owner = names.find((name) => menuNumbers[name] === number);
  assert(owner !== undefined || number === tickCommand[0], `the keeper has no menu number ${number}`);
  return owner ?? null;
}

const nothing: ApplyResult = { type: "done", value: null };
const forgotten: KeeperResult = {
  type: "refused",
  code: "APPLIED_RESULT_FORGOTTEN",
  message: "it was carried out, once; what it gave is not known any more: read what there is now",
};
