import type { AppliedCommand, ApplyResult, Machine } from "../../server/group/machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";

interface Part {
  /** Of the last command that it has seen. */
  index: number;
  total: number;
  /** What was added, in order. */
  history: string[];
  ticks: number[];
  /** By origin: the last sequence, and the results by sequence. */
  origins: { [origin: string]: { last: number; results: { [sequence: number]: number } } };
}

export type CounterCommand =
  | { readonly part: "a" | "b"; readonly add: number; readonly tag?: string }
  | { readonly tick: true };

const keys = ["a", "b"] as const;

export function counterCommand(command: CounterCommand): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(command));
}

/** Two counters that take each proposal once and in order, and tick. Each part follows every command on its own. */
export class CounterMachine implements Machine {
  parts: { a: Part; b: Part } = { a: emptyPart(), b: emptyPart() };
  /** First command since the last durable checkpoint. */
  #dirtySince = new Map<string, number>();
  tickEveryMs: number | null = null;
  /** Parts that are not at rest. */
  readonly held = new Set<string>();
  readonly seen: AppliedCommand[] = [];
  readonly gaps: number[] = [];
  restores = 0;
  drains = 0;
  #appliedIndex = 0;
  /** What a proposer is given for the value of its command. */
  give: (value: unknown) => unknown = (value) => value;
  /** Called with each command before it is applied. */
  onApply: (command: AppliedCommand) => void = () => undefined;

  beginRestore(): void {
    this.#dirtySince.clear();
    this.parts = { a: emptyPart(), b: emptyPart() };
  }

  restorePart(key: string, { bytes }: Checkpoint): void {
    this.parts[key as "a" | "b"] = JSON.parse(new TextDecoder().decode(bytes));
  }

  endRestore(): void {
    this.restores += 1;
  }

  apply(command: AppliedCommand): ApplyResult {
    this.onApply(command);
    this.seen.push(command);
    this.#appliedIndex = command.index;
    const parsed: CounterCommand = JSON.parse(new TextDecoder().decode(command.command));
    let result: ApplyResult = { type: "done", value: "contained" };
    for (const key of keys) {
      const part = this.parts[key];
      if (command.index <= part.index) continue;
      part.index = command.index;
      if (!this.#dirtySince.has(key)) this.#dirtySince.set(key, command.index);
      const given = this.#applyTo(key, command, parsed);
      if ("tick" in parsed || parsed.part === key || given.type === "gap") result = given;
    }
    if (result.type === "done") return { type: "done", value: this.give(result.value) };
    this.gaps.push(command.id.sequence);
    return result;
  }

  #applyTo(key: "a" | "b", { id, logTimeMs }: AppliedCommand, command: CounterCommand): ApplyResult {
    const part = this.parts[key];
    const name = `${id.nodeId}/${id.bootCount}`;
    part.origins[name] ??= { last: 0, results: {} };
    const origin = part.origins[name];
    if (id.sequence <= origin.last) return { type: "done", value: origin.results[id.sequence] };
    if (id.sequence !== origin.last + 1) return { type: "gap" };
    origin.last = id.sequence;
    if ("tick" in command) part.ticks.push(logTimeMs);
    else if (command.part === key) {
      part.total += command.add;
      part.history.push(command.tag ?? String(command.add));
    }
    origin.results[id.sequence] = part.total;
    return { type: "done", value: part.total };
  }

  *dirty(): Iterable<{ key: string; firstIndex: number }> {
    for (const [key, firstIndex] of this.#dirtySince) yield { key, firstIndex };
  }

  save(key: string): Checkpoint | null {
    if (this.held.has(key)) return null;
    const part = this.parts[key as "a" | "b"];
    return { index: part.index, bytes: new TextEncoder().encode(JSON.stringify(part)) };
  }

  saved(key: string, index: number): void {
    const part = this.parts[key as "a" | "b"];
    if (part.index <= index) this.#dirtySince.delete(key);
    else this.#dirtySince.set(key, index + 1);
  }

  nextTickMs(): number | null {
    if (this.tickEveryMs === null) return null;
    return (this.parts.a.ticks.at(-1) ?? 0) + this.tickEveryMs;
  }

  tickCommand(): Uint8Array {
    return counterCommand({ tick: true });
  }

  drained(): void {
    this.drains += 1;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** Of both parts, to compare replicas by. */
  get state(): string {
    return JSON.stringify([
      this.parts.a.history,
      this.parts.b.history,
      this.parts.a.total,
      this.parts.b.total,
      this.parts.a.ticks,
    ]);
  }
}

function emptyPart(): Part {
  return { index: 0, total: 0, history: [], ticks: [], origins: {} };
}
