import { TestudoNode } from "../../server/cluster/node.ts";
import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { RegisterMachine, shelfOf } from "../registers/register-machine.ts";
import { registerMenu } from "../registers/register-menu.ts";
import { Registers } from "../registers/registers.ts";
import type { Laws } from "./laws.ts";
import type { ReplicaBook } from "./machine-watch.ts";
import type { AppSetup, SimApp } from "./sim-app.ts";

/** Every so many entries all registers are compared. */
const entriesPerComparison = 4;

/** What is looked at of each replica. */
export interface RegisterWatch {
  readonly node: string;
  readonly group: number;
  readonly laws: Laws;
  readonly book: ReplicaBook;
}

/** Registers, and an eye on each command that they are given. */
export class WatchedRegisters extends RegisterMachine {
  readonly #watch: RegisterWatch;
  #wholeFrom = 0;
  /** From here on every entry is compared. */
  compareFrom = Number.POSITIVE_INFINITY;

  constructor(watch: RegisterWatch) {
    super();
    this.#watch = watch;
  }

  override beginRestore(): void {
    this.#wholeFrom = 0;
    const { node, group, laws } = this.#watch;
    laws.wholes.restoring(node, group);
    super.beginRestore();
  }

  override restorePart(key: string, checkpoint: Checkpoint): void {
    this.#wholeFrom = Math.max(this.#wholeFrom, checkpoint.index);
    const { node, group, laws } = this.#watch;
    laws.wholes.restored(node, group, checkpoint.index);
    super.restorePart(key, checkpoint);
  }

  override apply(command: AppliedCommand): ApplyResult {
    const { node, group, laws } = this.#watch;
    laws.applied(node, group, command);
    const result = super.apply(command);
    const { index } = command;
    if (isChange(result)) laws.parts.changed(group, index, partOf(command.command));
    laws.calls.gave(node, group, {
      ...{ command, result },
      isNews: index > this.#wholeFrom,
      isWhole: index > this.#wholeFrom,
    });
    if (index % entriesPerComparison === 0 || index >= this.compareFrom) this.compareAt(index);
    return result;
  }

  compareAt(index: number): void {
    // Parts that were restored from a later checkpoint are ahead of the log.
    if (index < this.#wholeFrom) return;
    const { node, group, book } = this.#watch;
    book.compare(`registers of group ${group} at ${index}`, node, this.fingerprint);
  }
}

/** Not one that a part knew already. */
function isChange(result: ApplyResult): boolean {
  return result.type === "done" && result.value !== "forgotten" && result.value !== "expired";
}

function partOf(command: Uint8Array): string {
  const { key } = registerMenu.decode(command).argument as { key: string };
  return `shelf ${shelfOf(key)}`;
}

/** Registers on a simulated node. */
export class RegisterApp implements SimApp {
  readonly node: TestudoNode;
  /** By group. */
  readonly machines: WatchedRegisters[] = [];
  /** By group: the highest index as of which this replica was read. */
  readonly readUpTo = new Map<number, number>();
  #registers: Registers | null = null;

  constructor({ options, log, fail, parts }: AppSetup, looks: Omit<RegisterWatch, "node" | "group">) {
    this.node = new TestudoNode({
      options,
      log,
      fail,
      parts,
      machineFor: (group) => {
        const machine = new WatchedRegisters({ ...looks, node: options.id, group });
        this.machines[group] = machine;
        return machine;
      },
    });
  }

  /** Null until it has started. */
  get registers(): Registers | null {
    return this.#registers;
  }

  async start(): Promise<void> {
    await this.node.start();
    await this.node.ready();
    this.#registers = new Registers(this.node.engine, this.machines);
  }

  stop(): Promise<void> {
    return this.node.stop();
  }

  discard(): void {}
}
