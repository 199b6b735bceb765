import type { AppliedCommand, ApplyResult, Machine } from "../../server/group/machine.ts";
import { type KeeperMachine, keeperCommand } from "../../server/menu/keeper-machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { checksum } from "./checksum.ts";
import type { KeeperModel } from "./keeper-model.ts";
import type { Laws } from "./laws.ts";
import type { ReplicaBook } from "./machine-watch.ts";

/** Before each command of presence. */
const presenceNumber = keeperCommand("presence", new Uint8Array())[0];
/** Every so many entries the whole replica is compared. */
const entriesPerComparison = 4;

interface KeeperWatchParts {
  readonly node: string;
  readonly group: number;
  readonly machine: KeeperMachine;
  readonly laws: Laws;
  readonly book: ReplicaBook;
  /** Where it is worked out anew from the commands alone. */
  readonly model?: KeeperModel;
}

/** Looks over the keeper's shoulder: each command that is applied, and what all replicas are then. */
export class KeeperWatch implements Machine {
  readonly #parts: KeeperWatchParts;
  #wholeFrom = 0;
  /** From here on every entry is compared. */
  compareFrom = Number.POSITIVE_INFINITY;

  constructor(parts: KeeperWatchParts) {
    this.#parts = parts;
  }

  beginRestore(): void {
    const { node, group, laws, machine } = this.#parts;
    this.#wholeFrom = 0;
    laws.wholes.restoring(node, group);
    machine.beginRestore();
  }

  restorePart(key: string, checkpoint: Checkpoint): void {
    const { node, group, laws, machine } = this.#parts;
    this.#wholeFrom = Math.max(this.#wholeFrom, checkpoint.index);
    laws.wholes.restored(node, group, checkpoint.index);
    machine.restorePart(key, checkpoint);
  }

  endRestore(): void {
    this.#parts.machine.endRestore();
  }

  apply(command: AppliedCommand): ApplyResult {
    const { node, group, laws, machine, book } = this.#parts;
    laws.applied(node, group, command);
    const result = machine.apply(command);
    const { index } = command;
    book.presence.applied(command, result);
    const isWhole = index > this.#wholeFrom;
    if (isWhole) this.#parts.model?.applied(node, command, { result, nextTickMs: machine.nextTickMs() });
    if (isWhole && result.type === "done")
      laws.parts.changed(group, index, command.command[0] === presenceNumber ? "presence" : "kv");
    laws.calls.gave(node, group, { command, result, isNews: isWhole, isWhole });
    if (index % entriesPerComparison === 0 || index >= this.compareFrom) this.compareAt(index);
    return result;
  }

  compareAt(index: number): void {
    const { node, group, book, machine } = this.#parts;
    if (index < this.#wholeFrom) return;
    book.compare(`keeper of group ${group} at ${index}`, node, String(checksum(machine.contents())));
  }

  dirty(): Iterable<{ readonly key: string; readonly firstIndex: number }> {
    return this.#parts.machine.dirty();
  }

  save(key: string): Checkpoint {
    return this.#parts.machine.save(key);
  }

  saved(key: string, index: number): void {
    this.#parts.machine.saved(key, index);
  }

  nextTickMs(): number | null {
    return this.#parts.machine.nextTickMs();
  }

  tickCommand(): Uint8Array {
    return this.#parts.machine.tickCommand();
  }

  drained(): void {
    this.#parts.machine.drained();
  }

  heard(from: string, body: Uint8Array): void {
    this.#parts.machine.heard(from, body);
  }
}
