import { findViolation } from "../linearizability/checker.ts";
import { History } from "../linearizability/history.ts";
import { type RegisterInput, type RegisterOutput, registerModel } from "../linearizability/register-model.ts";
import { violationPicture } from "../linearizability/violation-picture.ts";
import { violationText } from "../linearizability/violation-text.ts";
import { LedLaws } from "./led-laws.ts";
import { Ledger } from "./ledger.ts";
import { ReplicaBook } from "./machine-watch.ts";
import { Poison } from "./poison.ts";
import { RegisterApp } from "./register-app.ts";
import { RegisterClient } from "./register-client.ts";
import type { AppSetup } from "./sim-app.ts";
import { hold, Violation } from "./violation.ts";
import type { World, WorldParts } from "./world.ts";

/** Clients of compare-and-set registers: little that is costly, so that the consensus below has much to do. */
export class RegistersWorld implements World<RegisterApp> {
  readonly #parts: WorldParts<RegisterApp>;
  readonly #history = new History<RegisterInput, RegisterOutput>();
  readonly #book: ReplicaBook;
  readonly #clients: readonly RegisterClient[];

  constructor(parts: WorldParts<RegisterApp>) {
    const { chance, coverage, cluster } = parts;
    this.#parts = parts;
    const led = new LedLaws(new Ledger(), coverage);
    this.#book = new ReplicaBook(coverage, new Poison(cluster.nodeIds, chance), led);
    this.#clients = Array.from(
      { length: 2 + chance.below(5) },
      (_, at) =>
        new RegisterClient({
          ...parts,
          name: `c${at + 1}`,
          history: this.#history,
          book: this.#book,
          groups: cluster.groups,
          processes: () => cluster.processes,
        }),
    );
  }

  app(setup: AppSetup): RegisterApp {
    return new RegisterApp(setup, { laws: this.#parts.laws, book: this.#book });
  }

  start(): void {
    for (const client of this.#clients) client.start();
  }

  rest(): void {
    for (const client of this.#clients) client.rest();
  }

  unrest(): string | null {
    return this.#clients.map(({ unrest }) => unrest).find((unrest) => unrest !== null) ?? null;
  }

  propose({ registers, node }: RegisterApp, group: number): Promise<unknown> {
    hold(registers !== null, "X7", () => `${node.options.id} does not serve`);
    return registers.perform(group, "last", { type: "get" }, { timeoutMs: 10_000 });
  }

  compareFrom(indexes: readonly number[]): void {
    for (const { app } of this.#parts.cluster.processes)
      for (const [group, machine] of app.machines.entries()) machine.compareFrom = indexes[group] as number;
  }

  compare(): void {
    for (const { app } of this.#parts.cluster.processes)
      for (const [group, machine] of app.machines.entries())
        machine.compareAt(app.node.engine.appliedIndex(group));
  }

  close(): void {
    const violation = findViolation(this.#history.operations, registerModel);
    if (violation === null) return;
    throw new Violation(
      "K4",
      violationText(violation, registerModel),
      violationPicture(violation, registerModel),
    );
  }

  end(): void {}
}
