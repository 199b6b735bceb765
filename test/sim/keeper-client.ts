import { ProposalError } from "../../server/group/proposal-error.ts";
import { Election } from "../../server/menu/election.ts";
import type { HeldLock } from "../../server/menu/held-lock.ts";
import type { Keeper } from "../../server/menu/keeper.ts";
import { KeeperError } from "../../server/menu/keeper-error.ts";
import type { History } from "../linearizability/history.ts";
import type { LockInput, LockOutput } from "../linearizability/lock-model.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { KeeperApp } from "./keeper-app.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import { hold } from "./violation.ts";

/** By group: the highest term of an election that anybody was told of. */
export type Reigns = Map<number, number>;

interface KeeperClientParts {
  readonly name: string;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly history: History<LockInput, LockOutput>;
  readonly reigns: Reigns;
  readonly groups: number;
  readonly pace: number;
  readonly processes: () => readonly SimProcess<KeeperApp>[];
}

/** The node that was asked does not serve, or has ended before its answer. */
class NodeGone extends Error {}

const toldCodes: ReadonlySet<string> = new Set(["APPLIED_RESULT_FORGOTTEN", "FULL"]);
const passingKeys = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/** Does one thing after the other, on any node, in time and too late. */
export class KeeperClient {
  readonly #parts: KeeperClientParts;
  #value = 0;
  #isBusy = false;
  #isResting = false;
  #cancelNext: () => void = () => {};

  constructor(parts: KeeperClientParts) {
    this.#parts = parts;
  }

  start(): void {
    const { schedule, chance, pace } = this.#parts;
    this.#cancelNext = schedule.in(chance.wait(30 * pace), null, () => {
      if (this.#isResting) return;
      this.#isBusy = true;
      void this.#doSomething().then(() => {
        this.#isBusy = false;
        this.start();
      });
    });
  }

  rest(): void {
    this.#isResting = true;
    if (!this.#isBusy) this.#cancelNext();
  }

  /** Null: it is at rest. */
  get unrest(): string | null {
    return this.#isBusy ? `${this.#parts.name} is at something` : null;
  }

  async #doSomething(): Promise<void> {
    const { chance } = this.#parts;
    const group = chance.below(this.#parts.groups);
    const share = chance.fraction();
    try {
      if (share < 0.45) await this.#hold(group, `${chance.pick(["door", "gate"])}`);
      else if (share < 0.6) await this.#reign(group);
      else await this.#keep(group);
    } catch (error) {
      const isTold = error instanceof ProposalError || error instanceof NodeGone;
      if (!isTold && !(error instanceof KeeperError && toldCodes.has(error.code))) throw error;
      if (error instanceof KeeperError && error.code === "FULL")
        this.#parts.coverage.hit("putsRefusedAsFull");
    }
  }

  /** On a node, in an event of its own. @throws NodeGone, and what it answers */
  #ask<T>(group: number, act: (keeper: Keeper) => Promise<T>, process = this.#anyProcess()): Promise<T> {
    const { schedule, chance } = this.#parts;
    return new Promise((resolve, reject) => {
      if (process?.isAlive !== true) return reject(new NodeGone());
      const forget = process.onEnd(() => reject(new NodeGone()));
      schedule.in(chance.wait(3), process, () => {
        const keeper = process.app.keepers[group];
        const answer =
          process.isServing && keeper !== undefined ? act(keeper) : Promise.reject(new NodeGone());
        void answer.then(resolve, reject).finally(forget);
      });
    });
  }

  #anyProcess(): SimProcess<KeeperApp> | null {
    const processes = this.#parts.processes();
    return processes.length === 0 ? null : this.#parts.chance.pick(processes);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#parts.schedule.in(ms, null, resolve));
  }

  // ---- locks --------------------------------------------------------------------------------------------------------

  /** Takes a lock, and writes on its behalf; every third time too late. */
  async #hold(group: number, name: string): Promise<void> {
    const { chance, history, schedule, coverage } = this.#parts;
    const at = `${group}/${name}`;
    const input = { type: "acquire" as const, token: 0 };
    const operation = history.begin(this.#parts.name, at, input, schedule.nowMs);
    const process = this.#anyProcess();
    const wish = { leaseMs: chance.pick([100, 300, 900]), waitMs: chance.pick([0, 400, 3_000]) };
    let lock: HeldLock | null = null;
    try {
      lock = await this.#ask(group, ({ locks }) => locks.acquire(name, wish), process);
    } finally {
      // Nobody knows the token of a claim that was not answered, and nothing is done with it.
      if (lock === null) history.failed(operation, schedule.nowMs);
    }
    if (lock === null) return coverage.hit("locksWaitedFor");
    coverage.hit("locksHeld");
    const { token } = lock;
    Object.assign(input, { token });
    history.ok(operation, { done: true, value: null }, schedule.nowMs);
    const isLate = chance.hits(0.35);
    // Whoever is too late is not renewed for, as if its process stood still.
    if (isLate) lock.abandon();
    await this.#get(group, name);
    for (let left = chance.below(4); left > 0; left--) {
      await this.#sleep(chance.wait(isLate ? wish.leaseMs : 40));
      await this.#act(group, name, token, null);
    }
    if (lock.lost.aborted) coverage.hit("locksLost");
    const isEnded = process?.isAlive !== true;
    if (isLate || isEnded) return;
    await this.#act(group, name, token, { lock, process });
  }

  async #get(group: number, name: string): Promise<void> {
    const { history, schedule } = this.#parts;
    const operation = history.begin(this.#parts.name, `${group}/${name}`, { type: "get" }, schedule.nowMs);
    try {
      const { value } = await this.#ask(group, ({ kv }) => kv.get(`guarded/${name}`));
      history.ok(operation, { done: true, value: (value as number | undefined) ?? 0 }, schedule.nowMs);
    } catch (error) {
      history.failed(operation, schedule.nowMs);
      throw error;
    }
  }

  /** Writes with a token, or lets its lock go. */
  async #act(
    group: number,
    name: string,
    token: number,
    released: { readonly lock: HeldLock; readonly process: SimProcess<KeeperApp> } | null,
  ): Promise<void> {
    const { history, schedule, coverage } = this.#parts;
    const value = released === null ? ++this.#value : 0;
    const type = released === null ? ("write" as const) : ("release" as const);
    const input = { type, token, value, refused: false };
    const operation = history.begin(this.#parts.name, `${group}/${name}`, input, schedule.nowMs);
    try {
      if (released === null) {
        const fence = { name, token };
        await this.#ask(group, ({ kv }) => kv.put(`guarded/${name}`, value, { fence }));
        coverage.hit("fencedWrites");
      } else input.refused = !(await this.#ask(group, () => released.lock.release(), released.process));
    } catch (error) {
      if (!(error instanceof KeeperError) || error.code !== "FENCED") {
        history.unknown(operation, schedule.nowMs);
        throw error;
      }
      input.refused = true;
      coverage.hit("oldTokensRefused");
    }
    history.ok(operation, { done: !input.refused, value: null }, schedule.nowMs);
  }

  // ---- elections ----------------------------------------------------------------------------------------------------

  /** Runs for office, rules for a while, and resigns. A later leader's term is larger, whoever is asked. */
  async #reign(group: number): Promise<void> {
    const { chance, coverage, name } = this.#parts;
    const process = this.#anyProcess();
    const election = (keeper: Keeper) => new Election("king", keeper);
    const before = this.#parts.reigns.get(group) ?? 0;
    if (chance.hits(0.5)) {
      const leader = await this.#ask(group, (keeper) => election(keeper).leader());
      if (leader !== null) this.#heard(group, leader.term, before);
      return;
    }
    const wish = { leaseMs: chance.pick([200, 900]), waitMs: chance.pick([400, 3_000]) };
    const leadership = await this.#ask(group, (keeper) => election(keeper).campaign(name, wish), process);
    if (leadership === null) return;
    coverage.hit("leadershipsHeld");
    this.#heard(group, leadership.term, before);
    await this.#sleep(chance.wait(100));
    await this.#ask(group, () => leadership.resign(), process);
  }

  #heard(group: number, term: number, before: number): void {
    const { reigns, name } = this.#parts;
    hold(term >= before, "X61", () => `${name} hears of term ${term}; before it asked ${before} was known`);
    reigns.set(group, Math.max(term, reigns.get(group) ?? 0));
  }

  // ---- keys ---------------------------------------------------------------------------------------------------------

  async #keep(group: number): Promise<void> {
    const { chance } = this.#parts;
    const key = chance.pick(passingKeys);
    const value = `${this.#parts.name}.${++this.#value}`.padEnd(chance.below(300), ".");
    const expiresInMs = 1 + chance.below(chance.pick([100, 800, 5_000]));
    const step = chance.pick([
      { type: "put", key, value, expiresInMs },
      { type: "put", key, value, expiresInMs },
      { type: "get", key },
      { type: "delete", key },
      ...(chance.hits(0.1) ? [{ type: "put", key, value } as const] : []),
    ] as const);
    // All of them are read, so that what is gone too early or too late is seen.
    const all = passingKeys.map((each) => ({ type: "get", key: each }) as const);
    await this.#ask(group, ({ kv }) => kv.transact({ do: [...all, step] }));
  }
}
