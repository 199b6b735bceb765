import { findViolation } from "../linearizability/checker.ts";
import { History } from "../linearizability/history.ts";
import { type LockInput, type LockOutput, lockModel } from "../linearizability/lock-model.ts";
import { violationPicture } from "../linearizability/violation-picture.ts";
import { violationText } from "../linearizability/violation-text.ts";
import { KeeperApp } from "./keeper-app.ts";
import { KeeperClient, type Reigns } from "./keeper-client.ts";
import { KeeperModel } from "./keeper-model.ts";
import { LedLaws } from "./led-laws.ts";
import { Ledger } from "./ledger.ts";
import { ReplicaBook } from "./machine-watch.ts";
import { Poison } from "./poison.ts";
import type { AppSetup } from "./sim-app.ts";
import { Violation } from "./violation.ts";
import type { World, WorldParts } from "./world.ts";

/** So few that some have to go all the time. */
const kvBytesMax = 1_500;

/** Clients that share locks, run for office, and keep keys that expire, on any node. */
export class KeeperWorld implements World<KeeperApp> {
  readonly #parts: WorldParts<KeeperApp>;
  readonly #history = new History<LockInput, LockOutput>();
  readonly #book: ReplicaBook;
  readonly #models: readonly KeeperModel[];
  readonly #clients: readonly KeeperClient[];

  constructor(parts: WorldParts<KeeperApp>) {
    const { chance, coverage, cluster } = parts;
    this.#parts = parts;
    const led = new LedLaws(new Ledger(), coverage);
    this.#book = new ReplicaBook(coverage, new Poison(cluster.nodeIds, chance), led);
    const groups = Array.from({ length: cluster.groups }, (_, group) => group);
    this.#models = groups.map(() => new KeeperModel(coverage, { kvBytesMax }));
    const reigns: Reigns = new Map();
    this.#clients = Array.from(
      { length: 3 + chance.below(3) },
      (_, at) =>
        new KeeperClient({
          ...parts,
          name: `c${at + 1}`,
          history: this.#history,
          reigns,
          groups: cluster.groups,
          processes: () => cluster.processes,
        }),
    );
  }

  app(setup: AppSetup): KeeperApp {
    const modelOf = (group: number) => this.#models[group] as KeeperModel;
    return new KeeperApp(setup, { laws: this.#parts.laws, book: this.#book, kvBytesMax, modelOf });
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

  async propose({ keepers }: KeeperApp, group: number): Promise<unknown> {
    return await keepers[group]?.kv.delete("last");
  }

  compareFrom(indexes: readonly number[]): void {
    for (const { app } of this.#parts.cluster.processes)
      for (const [group, watch] of app.watches.entries()) watch.compareFrom = indexes[group] as number;
  }

  compare(): void {
    for (const { app } of this.#parts.cluster.processes)
      for (const [group, watch] of app.watches.entries())
        watch.compareAt(app.node.engine.appliedIndex(group));
  }

  close(): void {
    const violation = findViolation(this.#history.operations, lockModel);
    if (violation === null) return;
    const told = violationText(violation, lockModel);
    throw new Violation("X60", told, violationPicture(violation, lockModel));
  }

  end(): void {}
}
