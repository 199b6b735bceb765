import { LedProgram } from "../../colyseus/led/led-program.ts";
import type { ExportHeader, ExportRecord } from "../../colyseus/room-export/export-record.ts";
import type { AppliedCommand } from "../../group/machine.ts";
import type { Verdicts } from "../../session/divergence/verdict.ts";
import type { StepPiece } from "../../session/led-program.ts";
import { inMacrotask } from "../../session/macrotask.ts";
import { isRefusal } from "../../session/session-error.ts";
import { type Allocate, sessionMenu } from "../../session/session-menu.ts";
import { CheckMachine } from "../check-machine.ts";
import { entryWords } from "./entry-words.ts";
import type { LedState } from "./led-state.ts";
import { LedSteps, stepWords } from "./led-steps.ts";
import { PrintedLines } from "./printed-lines.ts";
import type { Replayed, ReplayJob, ReplayNews } from "./replay-job.ts";
import { stateChanges } from "./state-changes.ts";

/** No node has such a name: nothing of the log is its own, no socket is here, and it never leads. */
const nodeId = "(replay)";

/** One room, alone, given what its replicas were given. Effects have come to what the log says; nothing is run again. */
export class RoomReplay {
  readonly #header: ExportHeader;
  readonly #job: ReplayJob;
  readonly #say: (news: ReplayNews) => Promise<void>;
  readonly #machine: CheckMachine;
  readonly #printed = new PrintedLines();
  readonly #steps = new LedSteps();
  readonly #ledState: LedState | null;
  #state: unknown;
  #index: number;
  #compared = 0;
  #difference: string | null = null;
  #hasStopped = false;

  /** @param ledState of a room that its leader ran, and of which the state can be shown */
  constructor(
    header: ExportHeader,
    job: ReplayJob,
    say: (news: ReplayNews) => Promise<void>,
    ledState: LedState | null = null,
  ) {
    this.#header = header;
    this.#ledState = ledState;
    this.#job = job;
    this.#say = say;
    this.#machine = new CheckMachine(header.roomId, { nodeId, code: header.code });
    this.#index = header.firstIndex - 1;
  }

  async run(records: AsyncIterable<ExportRecord>): Promise<Replayed> {
    this.#printed.begin();
    try {
      for await (const record of records) {
        if (record.type === "checkpoint") {
          await inMacrotask(() => this.#machine.bringBack(record.bytes, record.index));
          this.#state = this.#stateNow();
        } else if (record.type === "entries") for (const entry of record.entries) await this.#take(entry);
      }
      return await inMacrotask(() => this.#result());
    } finally {
      await inMacrotask(() => this.#machine.discard());
      this.#printed.end();
    }
  }

  get #isOver(): boolean {
    return this.#difference !== null || this.#index >= (this.#job.to ?? Number.POSITIVE_INFINITY);
  }

  async #take(entry: AppliedCommand): Promise<void> {
    const { to, inspect } = this.#job;
    if (this.#isOver || entry.index > (to ?? Number.POSITIVE_INFINITY)) return;
    const before = this.#machine.replica?.index;
    const stops = inspect && !this.#hasStopped && entry.index >= (to ?? 0);
    if (stops) this.#hasStopped = true;
    await inMacrotask(() => (stops ? this.#stopAndApply(entry) : this.#apply(entry)));
    this.#index = entry.index;
    const printed = [...this.#printed.take(), ...this.#failures()];
    const { kind, ...words } = this.#words(entry);
    // Ticks and the like are the group's: most of them are not for this room.
    if (this.#machine.replica?.index === before && kind !== "verdicts" && printed.length === 0) return;
    const { index, term, logTimeMs, wallTimeMs } = entry;
    const changes = this.#changes();
    const told = { index, term, logTimeMs, wallTimeMs, kind, ...words, printed, changes };
    await this.#say({ type: "entry", entry: told });
  }

  #words(entry: AppliedCommand): ReturnType<typeof entryWords> {
    const { name, argument } = sessionMenu.decode(entry.command);
    const words = entryWords(entry);
    const step = name === "step" ? this.#steps.take(argument as StepPiece) : null;
    return step === null ? words : { ...words, what: stepWords(step) };
  }

  /** Step into `apply`, or set breakpoints in the room's code and go on. */
  #stopAndApply(entry: AppliedCommand): void {
    // biome-ignore lint/suspicious/noDebugger: --inspect is for that
    debugger;
    this.#apply(entry);
  }

  #apply(entry: AppliedCommand): void {
    const { name, argument } = sessionMenu.decode(entry.command);
    if (name === "allocate") this.#create(entry, argument as Allocate);
    else if (name === "forget") this.#end(entry);
    else {
      if (name === "verdicts") this.#compare(argument as Verdicts);
      if (this.#difference === null) this.#machine.apply(entry);
    }
  }

  /** What its group decided is decided: here there are no other rooms, and no earlier commands of the node's. */
  #create(entry: AppliedCommand, allocate: Allocate): void {
    if (entry.index !== this.#header.firstIndex || this.#header.completeFrom !== "creation") return;
    const alone = { ...allocate, sequence: 1, fresh: true, exclude: null };
    const value = this.#machine.apply({ ...entry, command: sessionMenu.encode("allocate", alone) });
    if (isRefusal(value) && !this.#header.ended)
      this.#difference = `entry ${entry.index} created the room; here it cannot be: ${value.message}`;
  }

  #end({ index }: AppliedCommand): void {
    this.#compared += 1;
    if (this.#machine.replica !== undefined)
      this.#difference = `at entry ${index} the room had ended; here it goes on`;
  }

  #compare({ verdicts }: Verdicts): void {
    for (const { index, hash } of verdicts) {
      const own = this.#machine.replica?.witness.hashAt(index) ?? null;
      if (own === null || hash === null) continue;
      this.#compared += 1;
      if (own !== hash) {
        this.#difference = `after entry ${index} the nodes had the hash ${hash}; here it is ${own}`;
        return;
      }
    }
  }

  #failures(): string[] {
    return this.#machine
      .takeFailures()
      .map(({ where, message, at }) => `${where} failed: ${message}${at === null ? "" : ` (${at})`}`);
  }

  #changes(): string[] {
    if (!this.#job.withState) return [];
    const before = this.#state;
    this.#state = this.#stateNow();
    return stateChanges(before, this.#state);
  }

  #stateNow(): unknown {
    const program = this.#machine.replica?.program;
    const state =
      program instanceof LedProgram
        ? this.#ledState?.of(program.data)
        : (this.#machine.room as { state?: unknown } | null)?.state;
    const plain = (_name: string, each: unknown) => (typeof each === "bigint" ? String(each) : each);
    return JSON.parse(JSON.stringify(state ?? null, plain));
  }

  #result(): Replayed {
    const { header, machine } = { header: this.#header, machine: this.#machine };
    const isWhole = this.#difference === null && (this.#job.to ?? header.lastIndex) === header.lastIndex;
    const { hash } = machine.standpoint();
    if (isWhole) this.#compareEnd(hash);
    return {
      index: this.#difference === null ? (this.#job.to ?? header.lastIndex) : this.#index,
      equal: this.#difference === null,
      compared: this.#compared,
      difference: this.#difference,
      ended: machine.replica === undefined,
      hash,
      state: this.#stateNow(),
    };
  }

  #compareEnd(hash: string | null): void {
    const { hash: expected, lastIndex, ended } = this.#header;
    if (expected === null && (!ended || hash === null)) return;
    this.#compared += 1;
    if (hash !== expected)
      this.#difference = `at the end, entry ${lastIndex}, the room had ${expected === null ? "ended" : `the hash ${expected}`}; here it ${hash === null ? "is gone" : `is ${hash}`}`;
  }
}
