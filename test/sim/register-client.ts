import type { History } from "../linearizability/history.ts";
import type { RegisterInput, RegisterOutput, Value } from "../linearizability/register-model.ts";
import type { Performed, Registers } from "../registers/registers.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { ReplicaBook } from "./machine-watch.ts";
import type { RegisterApp } from "./register-app.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import type { Trace } from "./trace.ts";
import { hold } from "./violation.ts";

export interface RegisterClientParts {
  readonly name: string;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
  readonly history: History<RegisterInput, RegisterOutput>;
  readonly book: ReplicaBook;
  readonly groups: number;
  readonly pace: number;
  readonly processes: () => readonly SimProcess<RegisterApp>[];
}

interface Register {
  readonly group: number;
  readonly key: string;
}

type Way = "log" | "linearizable" | "lease";
type Ask = (registers: Registers) => Promise<Performed>;

const keys = ["a", "b", "c", "d"];
/** At the end every register is read once more, and has to answer. */
const lastAnswerMsMax = 10_000;

/** Asks any node for one thing after the other, and writes down what it is told. */
export class RegisterClient {
  readonly #parts: RegisterClientParts;
  #pauseMs: number;
  readonly #latencyMs: number;
  /** What each register held, when this client last heard of it. */
  readonly #known = new Map<string, Value>();
  #operations = 0;
  #isBusy = false;
  #cancelNext: () => void = () => {};
  #isResting = false;
  /** Once it rests: still to be read. */
  #toRead: Register[] = [];

  constructor(parts: RegisterClientParts) {
    this.#parts = parts;
    this.#pauseMs = parts.chance.pick([2, 10, 40]) * parts.pace;
    this.#latencyMs = parts.chance.between(0.2, 5);
  }

  start(): void {
    this.#cancelNext = this.#parts.schedule.in(this.#parts.chance.wait(this.#pauseMs), null, () => {
      this.start();
      if (this.#isBusy) return;
      if (!this.#isResting) this.#doSomething();
      else if (this.#toRead.length > 0) this.#readLast();
    });
  }

  rest(): void {
    this.#isResting = true;
    this.#pauseMs /= this.#parts.pace;
    this.#toRead = this.#registers();
    this.#cancelNext();
    this.start();
  }

  /** Null: it is at rest. */
  get unrest(): string | null {
    const isQuiet = this.#isResting && !this.#isBusy && this.#toRead.length === 0;
    return isQuiet ? null : `${this.#parts.name} has ${this.#toRead.length} registers to read`;
  }

  #registers(): Register[] {
    return Array.from({ length: this.#parts.groups }, (_, group) =>
      keys.map((key) => ({ group, key })),
    ).flat();
  }

  #doSomething(): void {
    const { chance } = this.#parts;
    const register = chance.pick(this.#registers());
    const process = this.#anyProcess();
    if (process === null) return;
    if (chance.hits(0.1)) return this.#readHere(process, register);
    const timeoutMs = chance.pick([20, 150, 1_000, 5_000]);
    const way: Way = chance.hits(0.25) ? chance.pick(["linearizable", "lease"]) : "log";
    this.#perform(process, register, way === "log" ? this.#someInput(register) : { type: "get" }, {
      way,
      timeoutMs,
    });
  }

  #someInput({ group, key }: Register): RegisterInput {
    const { chance, name } = this.#parts;
    const value = `${name}.${++this.#operations}`;
    const known = this.#known.get(`${group}/${key}`) ?? null;
    return chance.pick<RegisterInput>([
      { type: "get" },
      { type: "put", value },
      { type: "cas", expected: known, value },
      { type: "cas", expected: chance.hits(0.8) ? known : value, value },
      ...(chance.hits(0.3) ? [{ type: "delete" } as const] : []),
    ]);
  }

  #readLast(): void {
    const process = this.#anyProcess();
    const register = this.#toRead[0];
    if (process === null || register === undefined) return;
    this.#perform(
      process,
      register,
      { type: "get" },
      {
        way: this.#parts.chance.pick(["log", "linearizable", "lease"]),
        timeoutMs: lastAnswerMsMax,
        answered: () => this.#toRead.shift(),
      },
    );
  }

  #anyProcess(): SimProcess<RegisterApp> | null {
    const processes = this.#parts.processes();
    return processes.length === 0 ? null : this.#parts.chance.pick(processes);
  }

  #perform(
    process: SimProcess<RegisterApp>,
    { group, key }: Register,
    input: RegisterInput,
    { way, timeoutMs, answered }: { way: Way; timeoutMs: number; answered?: () => void },
  ): void {
    const { schedule, chance, history, name } = this.#parts;
    this.#isBusy = true;
    const operation = history.begin(name, `${group}/${key}`, input, schedule.nowMs);
    const ask: Ask = (registers) =>
      way === "log"
        ? registers.perform(group, key, input, { timeoutMs })
        : registers.read(group, key, { consistency: way, timeoutMs });
    let isOver = false;
    const over = (performed: Performed) => {
      if (isOver) return;
      isOver = true;
      forget();
      this.#isBusy = false;
      this.#heard(operation, `${group}/${key}`, performed, { way, input });
      if (performed.type === "ok" || performed.type === "applied") answered?.();
    };
    const back = (performed: Performed) =>
      schedule.in(chance.wait(this.#latencyMs), null, () => over(performed));
    const forget = process.onEnd(() => back({ type: "unknown", reason: "the node ended" }));
    schedule.in(chance.wait(this.#latencyMs), process, () => {
      const { registers } = process.app;
      if (!process.isServing || registers === null) return back({ type: "failed", reason: "NOT_SERVING" });
      // What is no refusal is nobody's to catch: it ends the run.
      void ask(registers).then(back);
    });
  }

  #heard(
    operation: number,
    register: string,
    performed: Performed,
    { way, input }: { way: Way; input: RegisterInput },
  ): void {
    const { history, schedule, coverage, trace, name } = this.#parts;
    const { nowMs } = schedule;
    switch (performed.type) {
      case "ok":
        history.ok(operation, performed.output, nowMs);
        this.#known.set(
          register,
          "value" in input && performed.output.swapped !== false ? input.value : performed.output.value,
        );
        coverage.hit("operationsAnswered");
        if (performed.output.swapped === true) coverage.hit("swaps");
        if (performed.output.swapped === false) coverage.hit("refusedSwaps");
        if (way !== "log") coverage.hit("readsWithoutEntry");
        break;
      case "applied":
        history.applied(operation, nowMs);
        coverage.hit("answersForgotten");
        break;
      case "failed":
        history.failed(operation, nowMs);
        coverage.hit("operationsFailed");
        break;
      case "unknown":
        history.unknown(operation, nowMs);
        coverage.hit("operationsUnknown");
        break;
    }
    if (performed.type !== "failed")
      trace.note(`${name} ${way} ${register} ${JSON.stringify(input)}: ${JSON.stringify(performed)}`);
  }

  /** Whatever a replica says of itself, it said, or will say, the same as of that index everywhere; and it never goes back. */
  #readHere(process: SimProcess<RegisterApp>, { group, key }: Register): void {
    const { schedule, book, coverage } = this.#parts;
    schedule.in(0, process, () => {
      const { registers } = process.app;
      if (!process.isServing || registers === null) return;
      void registers.readHere(group, key).then((read) => {
        if (read === null) return;
        coverage.hit("readsHere");
        book.compare(`register ${group}/${key} at ${read.index}`, process.nodeId, String(read.value));
        const before = process.app.readUpTo.get(group) ?? 0;
        hold(
          read.index >= before,
          "K5",
          () => `${process.nodeId} lets group ${group} be read as of ${read.index}, behind ${before}`,
        );
        process.app.readUpTo.set(group, read.index);
      });
    });
  }
}
