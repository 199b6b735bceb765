import { setTimeout as sleep } from "node:timers/promises";
import type { AppliedCommand } from "../group/machine.ts";
import { savedDifference } from "../session/divergence/room-difference.ts";
import { failureWords } from "../session/failure.ts";
import { inMacrotask } from "../session/macrotask.ts";
import { isRefusal } from "../session/session-error.ts";
import { CheckError } from "./check-error.ts";
import { Findings } from "./check-findings.ts";
import { CheckMachine, type Standpoint } from "./check-machine.ts";
import { type CheckReport, type FirstDifference, type OtherReplica, remedyFor } from "./check-report.ts";
import { type CheckScript, type CheckStep, describeStep } from "./check-script.ts";
import { onStage, type StagedRoom, type StageWatch } from "./check-stage.ts";
import { actElsewhere, atHome, type Elsewhere, VariableReads } from "./elsewhere.ts";
import { type Mark, saidDifference, saidIn, type Trail } from "./first-run.ts";
import { ScriptLog } from "./script-log.ts";

/** What all marks may hold: past it the script is too long for a room of that size. */
const picturesBytesMax = 64 * 1024 * 1024;
/** So long may what a handler waits for take until it counts as pending. */
const outsideMs = 25;
const wallTimeMs = Date.UTC(2024, 0, 1);
const roomId = "checkroom";
const noise = Object.freeze({ roomId: "noiseroom", seedByte: 3, wallTimeMs: Date.UTC(2025, 5, 1) });

/** What differs about each of the other replicas. */
const others: readonly {
  readonly replica: OtherReplica;
  readonly noise: boolean;
  readonly place: Elsewhere;
}[] = [
  { replica: "again", noise: false, place: atHome },
  { replica: "after others", noise: true, place: atHome },
  { replica: "variables", noise: false, place: { variables: true, timeZone: false } },
  { replica: "time zone", noise: false, place: { variables: false, timeZone: true } },
];

/** A script, or what makes one for the room that was created. */
export type ScriptSource = CheckScript | ((room: object) => CheckScript);

export interface RoomCheckWish {
  readonly source: ScriptSource;
  readonly createOptions?: object | undefined;
  /** What another process has come to by the same script: only that is compared then. */
  readonly against?: Trail | undefined;
}

export interface CheckedRoom {
  readonly report: CheckReport;
  readonly trail: Trail;
}

/** Carries a script out on one replica, and the log that it gives on others, under other circumstances (design 5.5). */
export async function checkRoom(staged: StagedRoom, wish: RoomCheckWish): Promise<CheckedRoom> {
  return await onStage(staged, (watch) => new RoomCheck(staged.roomName, watch, wish).run());
}

class RoomCheck {
  readonly #roomName: string;
  readonly #watch: StageWatch;
  readonly #wish: RoomCheckWish;
  readonly #options: object;
  readonly #findings = new Findings();
  readonly #reads = new VariableReads();
  readonly #marks: Mark[] = [];
  #steps: readonly CheckStep[] = [];
  #bytes = 0;
  #checkpoints = 0;

  constructor(roomName: string, watch: StageWatch, wish: RoomCheckWish) {
    const { source, createOptions } = wish;
    this.#roomName = roomName;
    this.#watch = watch;
    this.#wish = wish;
    this.#options = { ...createOptions, ...(typeof source === "function" ? {} : source.options) };
  }

  async run(): Promise<CheckedRoom> {
    const restless = await this.#firstRun();
    const firstDifference = this.#marks.length === 0 ? null : await this.#differs();
    const report = {
      equal: firstDifference === null,
      steps: Math.max(0, this.#marks.length - 1),
      checkpoints: this.#checkpoints,
      firstDifference,
      restless,
      problems: this.#findings.problems,
      warnings: this.#findings.warnings,
    };
    return { report, trail: this.#marks.map(({ standpoint, said }) => ({ standpoint, said })) };
  }

  /** The simplest reason first: what differs there would differ under all other circumstances, too. */
  async #differs(): Promise<FirstDifference | null> {
    if (this.#wish.against !== undefined) return this.#elsewhere(this.#wish.against);
    for (const other of others) {
      const difference = await this.#replay(other);
      if (difference !== null) return difference;
    }
    return await this.#restored();
  }

  #elsewhere(trail: Trail): FirstDifference | null {
    for (const [at, { standpoint, said }] of this.#marks.entries()) {
      const other = trail[at] ?? { standpoint: { hash: null, picture: null, why: null }, said: [] };
      const difference =
        standpointDifference(standpoint, other.standpoint) ?? saidDifference(said, other.said);
      if (difference !== null) return this.#difference(at, "another process", difference);
    }
    return null;
  }

  // ---- the first replica ------------------------------------------------------------------------------------------

  /** @returns why the room is not at rest at the end, its own or the script's */
  async #firstRun(): Promise<string | null> {
    const { source } = this.#wish;
    const machine = new CheckMachine(roomId);
    const origin = { roomId, roomName: this.#roomName, seedByte: 7, wallTimeMs };
    const log = new ScriptLog(machine, origin);
    try {
      const created = await this.#at(atHome, () => log.create(this.#options));
      if (isRefusal(created)) {
        this.#findings.addCreation(machine.creationError ?? created.message, this.#watch.creationPlace);
        return null;
      }
      const script = typeof source === "function" ? source(machine.room as object) : source;
      this.#steps = script.steps;
      log.answers = script.effects ?? {};
      await this.#mark(machine, log, "onCreate");
      let restless = this.#restless(machine);
      for (const [at, step] of this.#steps.entries()) {
        if (machine.replica === undefined) {
          this.#findings.addWarning(
            `the room has ended after step ${at - 1}: ${this.#steps.length - at} steps were left out`,
          );
          break;
        }
        const words = `step ${at} (${describeStep(step)})`;
        const refused = await this.#at(atHome, () => log.carryOut(step));
        if (refused !== null) this.#findings.addRefusal(words, refused);
        await this.#mark(machine, log, words);
        if (machine.replica !== undefined) restless = this.#restless(machine);
      }
      return restless;
    } finally {
      await inMacrotask(() => machine.discard());
    }
  }

  #restless({ replica }: CheckMachine): string | null {
    return replica?.restlessBecause() ?? this.#marks.at(-1)?.standpoint.why ?? null;
  }

  async #mark(machine: CheckMachine, log: ScriptLog, after: string): Promise<void> {
    const waits = machine.replica?.restlessBecause() ?? null;
    if (waits !== null && this.#findings.isNewWait(waits)) {
      await sleep(outsideMs);
      if (machine.replica?.world.openPromise === null && /has not finished$/.test(waits))
        this.#findings.addOutside(after, waits);
    }
    for (const { name } of machine.replica?.world.effects.open() ?? [])
      this.#findings.addWarning(
        `effect "${name}" has no answer, and times out: say what it resolves with in a script, under effects`,
      );
    for (const message of this.#watch.outside.splice(0))
      this.#findings.addFailure(after, { where: "a continuation", message, at: null });
    const mark = await inMacrotask((): Mark => {
      const problems = machine.problems();
      const standpoint = machine.standpoint();
      this.#findings.addProblems(problems);
      if (problems.length === 0 && standpoint.why !== null) this.#findings.addUnsavable(standpoint.why);
      return { commands: log.take(), standpoint, said: saidIn(machine.takeFrames()) };
    });
    for (const note of machine.takeNotes()) this.#findings.addWarning(note);
    for (const failure of machine.takeFailures()) this.#findings.addFailure(after, failure);
    const before = this.#marks.at(-1)?.standpoint;
    // Most steps change nothing: one picture will do.
    const isSame = before !== undefined && before.hash === mark.standpoint.hash;
    this.#marks.push(isSame ? { ...mark, standpoint: before } : mark);
    this.#bytes += isSame ? 0 : (mark.standpoint.picture?.length ?? 0);
    if (this.#bytes > picturesBytesMax)
      throw new CheckError(
        "SCRIPT_TOO_BIG",
        `the room's states after each of ${this.#marks.length} steps take more than ${picturesBytesMax} bytes: use a shorter script`,
      );
  }

  // ---- the others -------------------------------------------------------------------------------------------------

  async #replay(other: (typeof others)[number]): Promise<FirstDifference | null> {
    const noiseMachine = other.noise ? await this.#noise() : null;
    const machine = new CheckMachine(roomId);
    try {
      for (const [at, mark] of this.#marks.entries()) {
        await this.#at(other.place, () => applyAll(machine, mark.commands));
        const difference = await inMacrotask(() => differenceAt(machine, mark));
        if (difference !== null) return this.#difference(at, other.replica, difference);
      }
      return null;
    } finally {
      await inMacrotask(() => machine.discard());
      if (noiseMachine !== null) await inMacrotask(() => noiseMachine.discard());
    }
  }

  /** Another room of the class, that has lived and is still there. */
  async #noise(): Promise<CheckMachine> {
    const machine = new CheckMachine(noise.roomId);
    const log = new ScriptLog(machine, { ...noise, roomName: this.#roomName });
    const created = await this.#at(atHome, () => log.create(this.#options));
    if (isRefusal(created)) return machine;
    for (const step of this.#steps) {
      if (machine.replica === undefined) break;
      await this.#at(atHome, () => log.carryOut(step));
    }
    return machine;
  }

  /** After every step at which the room is at rest it is brought back from its checkpoint, and lives on as that. */
  async #restored(): Promise<FirstDifference | null> {
    const machine = new CheckMachine(roomId);
    try {
      for (const [at, mark] of this.#marks.entries()) {
        await this.#at(atHome, () => applyAll(machine, mark.commands));
        const lived = await inMacrotask(() => differenceAt(machine, mark, { withFrames: false }));
        if (lived !== null) return this.#difference(at, "restored", lived);
        const back = await inMacrotask(() => this.#bringBack(machine, mark));
        if (back !== null) return this.#difference(at, "restored", back);
      }
      return null;
    } finally {
      await inMacrotask(() => machine.discard());
    }
  }

  #bringBack(machine: CheckMachine, mark: Mark): Difference | null {
    const saved = machine.save();
    if (saved === null) return null;
    try {
      machine.bringBack(saved, mark.commands.at(-1)?.index ?? 0);
    } catch (error) {
      return {
        path: "room",
        values: `its checkpoint cannot be brought back to life: ${failureWords(error)}`,
      };
    }
    this.#checkpoints += 1;
    return differenceAt(machine, mark, { withFrames: false });
  }

  #difference(at: number, replica: OtherReplica, difference: Difference): FirstDifference {
    const step = this.#steps[at - 1];
    const after = step === undefined ? "onCreate" : `step ${at - 1} (${describeStep(step)})`;
    return { step: at - 1, after, replica, ...difference, remedy: remedyFor(replica, this.#reads.list) };
  }

  #at<T>(place: Elsewhere, act: () => T): Promise<T> {
    return inMacrotask(() => actElsewhere(place, this.#reads, act));
  }
}

interface Difference {
  readonly path: string;
  readonly values: string;
}

function applyAll(machine: CheckMachine, commands: readonly AppliedCommand[]): void {
  for (const command of commands) machine.apply(command);
}

/** Up to the first colon that is not within quotes. */
const parts = /^((?:"(?:[^"\\]|\\.)*"|[^":])*): (.*)$/s;

function differenceAt(
  machine: CheckMachine,
  { standpoint, said }: Mark,
  { withFrames = true }: { withFrames?: boolean } = {},
): Difference | null {
  const difference = standpointDifference(machine.standpoint(), standpoint);
  const frames = saidIn(machine.takeFrames());
  return difference ?? (withFrames ? saidDifference(frames, said) : null);
}

function standpointDifference(own: Standpoint, first: Standpoint): Difference | null {
  if (own.hash === first.hash) return null;
  if (own.hash === null || first.hash === null) {
    const values = own.hash === null ? "ended against still there" : "still there against ended";
    return { path: "room", values };
  }
  if (own.picture === null || first.picture === null)
    return { path: "room", values: "what cannot be saved against what can, or the other way round" };
  const text = savedDifference(own.picture, first.picture) ?? "room: alike in all but its hash";
  const [, path = "room", values = text] = parts.exec(text) ?? [];
  return { path, values };
}
