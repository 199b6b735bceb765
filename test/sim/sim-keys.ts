import { ProposalError } from "../../server/group/proposal-error.ts";
import { KeeperError } from "../../server/menu/keeper-error.ts";
import type { Kv, KvDo } from "../../server/menu/kv.ts";
import { findViolation } from "../linearizability/checker.ts";
import { History } from "../linearizability/history.ts";
import {
  type RegisterInput,
  type RegisterOutput,
  registerModel,
  type Value,
} from "../linearizability/register-model.ts";
import { violationPicture } from "../linearizability/violation-picture.ts";
import { violationText } from "../linearizability/violation-text.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { RoomApp } from "./room-app.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import type { Trace } from "./trace.ts";
import { hold, Violation } from "./violation.ts";

interface SimKeysParts {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
  readonly pace: number;
  readonly processes: () => readonly SimProcess<RoomApp>[];
}

const keys = ["a", "b", "c"];
const clients = ["k1", "k2"];
/** At the end every key is read once more, and has to answer. */
const lastAnswerMsMax = 10_000;

/** Server code that uses the keys which all nodes share, on any node: what it is told must be explained by what was done. */
export class SimKeys {
  readonly #parts: SimKeysParts;
  readonly #history = new History<RegisterInput, RegisterOutput>();
  readonly #known = new Map<string, Value>();
  readonly #busy = new Set<string>();
  /** What each does next. */
  readonly #cancels = new Map<string, () => void>();
  /** Where changes are watched, and the last one that was told there. */
  readonly #watching = new WeakMap<object, { version: number }>();
  #operations = 0;
  #hasStarted = false;
  #toRead: string[] | null = null;

  constructor(parts: SimKeysParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#hasStarted = true;
    for (const client of clients) this.#next(client);
  }

  #next(client: string): void {
    const { schedule, chance, pace } = this.#parts;
    const cancel = schedule.in(chance.wait(this.#toRead === null ? 60 * pace : 60), null, () => {
      if (this.#toRead?.length === 0) return;
      this.#next(client);
      if (!this.#busy.has(client)) this.#doSomething(client);
    });
    this.#cancels.set(client, cancel);
  }

  rest(): void {
    if (!this.#hasStarted) return;
    this.#toRead = [...keys];
    for (const client of clients) {
      this.#cancels.get(client)?.();
      this.#next(client);
    }
  }

  unrest(): string | null {
    if (this.#toRead === null || (this.#toRead.length === 0 && this.#busy.size === 0)) return null;
    return `the keys ${this.#toRead.join()} are still to be read`;
  }

  close(): void {
    const violation = findViolation(this.#history.operations, registerModel);
    if (violation === null) return;
    const text = violationText(violation, registerModel);
    throw new Violation("T8", text, violationPicture(violation, registerModel));
  }

  #doSomething(client: string): void {
    const { chance, processes, schedule } = this.#parts;
    const all = processes();
    if (all.length === 0) return;
    const process = chance.pick(all);
    const toRead = this.#toRead;
    const key = toRead === null ? chance.pick(keys) : (toRead[0] as string);
    const timeoutMs = toRead === null ? chance.pick([20, 150, 1_000, 5_000]) : lastAnswerMsMax;
    const input = toRead === null ? this.#someInput(client, key) : ({ type: "get" } as const);
    const inLog = chance.hits(0.5);
    const passes = chance.hits(0.3);
    this.#busy.add(client);
    const operation = this.#history.begin(client, key, input, schedule.nowMs);
    let isOver = false;
    const over = (tell: (nowMs: number) => void) => {
      if (isOver) return;
      isOver = true;
      forget();
      this.#busy.delete(client);
      tell(schedule.nowMs);
    };
    const forget = process.onEnd(() => over((nowMs) => this.#history.unknown(operation, nowMs)));
    schedule.in(chance.wait(3), process, () => {
      if (!process.isServing) return over((nowMs) => this.#history.failed(operation, nowMs));
      const { kv } = process.app.rooms.keeper;
      this.#watch(process.app, process.nodeId);
      // Something that goes by itself, so that there are ticks.
      if (passes) this.#usePresence(process.app, key);
      perform(kv, key, input, { timeoutMs, inLog }).then(
        (output) =>
          over((nowMs) => {
            this.#history.ok(operation, output, nowMs);
            this.#parts.coverage.hit("keysAnswered");
            this.#known.set(key, "value" in input && output.swapped !== false ? input.value : output.value);
            if (toRead !== null && toRead[0] === key) toRead.shift();
          }),
        (error: unknown) => over((nowMs) => this.#failed(operation, error, nowMs)),
      );
    });
  }

  /** Things that go by themselves, so that there are ticks; what becomes of them replicas are compared by. */
  #usePresence({ rooms }: RoomApp, key: string): void {
    const { kv, presence } = rooms.keeper;
    const { chance } = this.#parts;
    const ms = chance.between(5, 900) | 0;
    const passing = [
      kv.put(`passing/${key}`, this.#operations, { expiresInMs: ms }),
      presence.call("hincrbyex", [key, "times", 1, ms]),
      presence.call("publish", [key, String(this.#operations)], { once: `${this.#operations}` }),
    ];
    for (const each of passing) each.catch(() => {});
  }

  #someInput(client: string, key: string): RegisterInput {
    const { chance } = this.#parts;
    const value = `${client}.${++this.#operations}`;
    const known = this.#known.get(key) ?? null;
    return chance.pick<RegisterInput>([
      { type: "get" },
      { type: "put", value },
      { type: "cas", expected: known, value },
      { type: "cas", expected: chance.hits(0.8) ? known : value, value },
      { type: "delete" },
    ]);
  }

  #failed(operation: number, error: unknown, nowMs: number): void {
    const { trace, coverage } = this.#parts;
    if (error instanceof KeeperError && error.code === "APPLIED_RESULT_FORGOTTEN") {
      this.#history.applied(operation, nowMs);
      return;
    }
    if (!(error instanceof ProposalError)) throw error;
    trace.note(`a key is not answered: ${error.code}`);
    coverage.hit("keysUnanswered");
    if (error.code === "OVERLOADED") this.#history.failed(operation, nowMs);
    else this.#history.unknown(operation, nowMs);
  }

  /** Each change is told once, in the order of the log, for as long as a node lives. */
  #watch(app: RoomApp, nodeId: string): void {
    if (this.#watching.has(app)) return;
    const last = { version: 0 };
    this.#watching.set(app, last);
    const { coverage, trace } = this.#parts;
    const seen = new Set<string>();
    const changed = ({ key, version, type }: { key: string; version: number; type: string }) => {
      coverage.hit("keyChangesTold");
      const one = `${version} ${key} ${type}`;
      hold(
        version >= last.version && !seen.has(one),
        "T6",
        () => `${nodeId} tells of ${one} behind ${last.version}`,
      );
      seen.add(one);
      last.version = version;
    };
    app.rooms.keeper.kv
      .watch({ prefix: "", changed, lost: () => trace.note(`${nodeId} watches no more`) })
      .catch(() => {
        this.#watching.delete(app);
      });
  }
}

async function perform(
  kv: Kv,
  key: string,
  input: RegisterInput,
  { timeoutMs, inLog }: { timeoutMs: number; inLog: boolean },
): Promise<RegisterOutput> {
  const get: KvDo = { type: "get", key };
  const before = (results: readonly { readonly value: unknown }[]) => (results[0]?.value ?? null) as Value;
  const change = async (how: KvDo) => {
    const { results } = await kv.transact({ do: [get, how] }, { timeoutMs });
    return { value: before(results) };
  };
  switch (input.type) {
    case "get":
      if (inLog) return { value: before((await kv.transact({ do: [get] }, { timeoutMs })).results) };
      return { value: ((await kv.get(key, { timeoutMs })).value ?? null) as Value };
    case "put":
      return await change({ type: "put", key, value: input.value });
    case "delete":
      return await change({ type: "delete", key });
    case "cas": {
      const { expected, value } = input;
      const condition = expected === null ? { key, version: 0 } : { key, value: expected };
      const put: KvDo = { type: "put", key, value };
      const { succeeded, results } = await kv.transact(
        { if: [condition], do: [get, put], else: [get] },
        { timeoutMs },
      );
      return { value: before(results), swapped: succeeded };
    }
  }
}
