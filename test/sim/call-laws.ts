import type { GroupEngine } from "../../server/group/engine.ts";
import { engineDefaults } from "../../server/group/engine-options.ts";
import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import { checksum } from "./checksum.ts";
import type { Owner, Schedule } from "./schedule.ts";
import { hold } from "./violation.ts";

/** Room for the node's own tick, and for a clock that runs slow, ms. */
const latenessMsMax = 400;

/** Of the simulated groups: short enough to pass within a run. */
export const resultTimeoutMs = 2_000;

/** A process whose calls are looked at. */
interface Caller extends Owner {
  readonly nodeId: string;
  readonly bootCount: number;
}

export interface CallFacts {
  committedIndex(group: number): number;
}

interface CallLawsParts {
  readonly facts: CallFacts;
  readonly schedule: Schedule;
}

function wordsOf(value: unknown): string {
  return (
    JSON.stringify(value, (_, each: unknown) => (each instanceof Promise ? "a promise" : each)) ?? "undefined"
  );
}

/** What callers of a node's groups are told: the results of their own commands, no too early point to read at, and in time. */
export class CallLaws {
  readonly #parts: CallLawsParts;
  readonly #watched = new WeakSet<GroupEngine>();
  /** By "group index": what the command there gave, on whom first. */
  readonly #results = new Map<string, { readonly node: string; readonly words: string }>();
  /** By node, of its present start: what its own commands gave, by "group checksum". */
  readonly #own = new Map<string, Map<string, unknown[]>>();
  /** By proposer, group and checksum: who waits for one that later entries decide has another deadline. */
  readonly #waiting = new Map<string, () => void>();

  constructor(parts: CallLawsParts) {
    this.#parts = parts;
  }

  started(node: string): void {
    this.#own.set(node, new Map());
  }

  /** `isNews`: no part knows it already. `isWhole`: the replica stands at one moment, so that what it gives is what everybody gives. */
  gave(
    node: string,
    group: number,
    {
      command: { index, id, command },
      result,
      isNews,
      isWhole,
    }: { command: AppliedCommand; result: ApplyResult; isNews: boolean; isWhole: boolean },
  ): void {
    const key = `${group} ${checksum(command)}`;
    const own = this.#own.get(node);
    if (isNews && result.type === "done" && own !== undefined) {
      const values = own.get(key) ?? [];
      own.set(key, values);
      values.push(result.value);
      // Where its leader runs a room, the answer is what comes of a later entry.
      if (result.value instanceof Promise) {
        if (id.nodeId === node) this.#waiting.get(`${node} ${id.bootCount} ${key}`)?.();
        result.value.then(
          (value) => values.push(value),
          () => {},
        );
      }
    }
    if (!isWhole) return;
    const words = wordsOf(result);
    const known = this.#results.get(`${group} ${index}`);
    if (known === undefined) this.#results.set(`${group} ${index}`, { node, words });
    else
      hold(
        known.words === words,
        "X28",
        () => `entry ${index} of group ${group} gives ${words} on ${node}, ${known.words} on ${known.node}`,
      );
  }

  /** From now on, whatever `process` asks of its groups. */
  watch(process: Caller, engine: GroupEngine): void {
    if (this.#watched.has(engine)) return;
    this.#watched.add(engine);
    const propose = engine.propose.bind(engine);
    engine.propose = (group, command, how) => {
      const asked = propose(group, command, how);
      const what = `${process.nodeId}'s command in group ${group}`;
      const key = `${process.nodeId} ${process.bootCount} ${group} ${checksum(command)}`;
      this.#waiting.set(key, this.#endsInTime(process, what, asked, how?.timeoutMs));
      const ended = () => void this.#waiting.delete(key);
      asked.then(ended, ended);
      asked.then(
        (value) => this.#answered(process, { group, command, value, what }),
        () => {},
      );
      return asked;
    };
    const barrier = engine.barrier.bind(engine);
    engine.barrier = (group, how) => {
      const asked = barrier(group, how);
      const needed = this.#parts.facts.committedIndex(group);
      const what = `${process.nodeId}'s read in group ${group}`;
      this.#endsInTime(process, what, asked, how?.timeoutMs);
      asked.then(
        () => {
          const index = engine.appliedIndex(group);
          hold(index >= needed, "X16", () => `${what} is of ${index}; ${needed} was committed before it`);
        },
        () => {},
      );
      return asked;
    };
  }

  #answered(
    { nodeId }: Caller,
    { group, command, value, what }: { group: number; command: Uint8Array; value: unknown; what: string },
  ): void {
    const values = this.#own.get(nodeId)?.get(`${group} ${checksum(command)}`) ?? [];
    hold(
      values.some((each) => Object.is(each, value)),
      "X28",
      () =>
        `${what} is answered with ${wordsOf(value)}; here it gave ${values.map(wordsOf).join(" and ") || "nothing"}`,
    );
  }

  /** @returns to be called once the command is applied, if later entries decide what it gives */
  #endsInTime(
    process: Caller,
    what: string,
    asked: Promise<unknown>,
    timeoutMs = engineDefaults.proposeTimeoutMs,
  ): () => void {
    const { schedule } = this.#parts;
    let isOpen = true;
    let cancel = () => {};
    const lookAfter = (ms: number, since: string) => {
      cancel();
      cancel = schedule.in(ms + latenessMsMax, process, () => {
        // After a pause everything that waited happens at once: its own timers have their turn first.
        cancel = schedule.in(latenessMsMax, process, () => {
          hold(!isOpen, "X29", () => `${what} has no answer ${ms} ms after it ${since}, not even a refusal`);
        });
      });
    };
    lookAfter(timeoutMs, "was asked");
    const ended = () => {
      isOpen = false;
      cancel();
    };
    asked.then(ended, ended);
    return () => {
      if (isOpen) lookAfter(resultTimeoutMs, "was applied");
    };
  }
}
