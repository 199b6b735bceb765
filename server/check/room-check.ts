import { setTimeout as sleep } from "node:timers/promises";
import type { AppliedCommand } from "../group/machine.ts";
import { savedDifference } from "../session/divergence/room-difference.ts";
import { failureWords } from "../session/failure.ts";
import { isRefusal } from "../session/session-error.ts";
import { CheckError } from "./check-error.ts";
import { Findings } from "./check-findings.ts";
import { CheckMachine } from "./check-machine.ts";
import { type CheckReport, type FirstDifference, type OtherReplica, remedyFor } from "./check-report.ts";
import { type CheckScript, type CheckStep, describeStep } from "./check-script.ts";
import { inMacrotask, onStage, type StagedRoom, type StageWatch } from "./check-stage.ts";
import { actElsewhere, atHome, type Elsewhere, VariableReads } from "./elsewhere.ts";
import { type Mark, saidDifference, saidIn } from "./first-run.ts";
import { ScriptLog } from "./script-log.ts";

/** What all marks may hold: past it the script is too long for a room of that size. */
const picturesBytesMax = 256 * 1024 * 1024;
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

/** Carries a script out on one replica, and the log that it gives on others, under other circumstances (design 5.5). */
export async function checkRoom(
  staged: StagedRoom,
  source: ScriptSource,
  createOptions: object = {},
): Promise<CheckReport> {
  return await onStage(staged, (watch) => new RoomCheck(staged.roomName, watch).run(source, createOptions));
}

class RoomCheck {
  readonly #roomName: string;
  readonly #watch: StageWatch;
  readonly #findings = new Findings();
  readonly #reads = new VariableReads();
  readonly #marks: Mark[] = [];
  #steps: readonly CheckStep[] = [];
  #bytes = 0;
  #checkpoints = 0;

  constructor(roomName: string, watch: StageWatch) {
    this.#roomName = roomName;
    this.#watch = watch;
  }

  async run(source: ScriptSource, createOptions: object): Promise<CheckReport> {
    const restless = await this.#firstRun(source, createOptions);
    const firstDifference = this.#marks.length === 0 ? null : await this.#differs(createOptions);
    return {
      equal: firstDifference === null,
      steps: Math.max(0, this.#marks.length - 1),
      checkpoints: this.#checkpoints,
      firstDifference,
      restless,
      problems: this.#findings.problems,
      warnings: this.#findings.warnings,
    };
  }

  /** The simplest reason first: what differs there would differ under all other circumstances, too. */
  async #differs(createOptions: object): Promise<FirstDifference | null> {
    for (const other of others) {
      const difference = await this.#replay(other, createOptions);
      if (difference !== null) return difference;
    }
    return await this.#restored();
  }

  // ---- the first replica ------------------------------------------------------------------------------------------

  /** @returns why the room is not at rest at the end, its own or the script's */
  async #firstRun(source: ScriptSource, createOptions: object): Promise<string | null> {
    const machine = new CheckMachine(roomId);
    const origin = { roomId, roomName: this.#roomName, seedByte: 7, wallTimeMs };
    const log = new ScriptLog(machine, origin);
    try {
      const created = await this.#at(atHome, () => log.create(optionsOf(source, createOptions)));
      if (isRefusal(created)) {
        this.#findings.addCreation(machine.creationError ?? created.message, this.#watch.creationPlace);
        return null;
      }
      this.#steps = typeof source === "function" ? source(machine.room as object).steps : source.steps;
      await this.#mark(machine, log, "onCreate");
      let restless = machine.replica?.restlessBecause() ?? null;
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
        if (machine.replica !== undefined) restless = machine.replica.restlessBecause();
      }
      return restless;
    } finally {
      await inMacrotask(() => machine.discard());
    }
  }

  async #mark(machine: CheckMachine, log: ScriptLog, after: string): Promise<void> {
    const waits = machine.replica?.restlessBecause() ?? null;
    if (waits !== null && this.#findings.isNewWait(waits)) {
      await sleep(outsideMs);
      if (machine.replica?.world.openPromise === null && /has not finished$/.test(waits))
        this.#findings.addOutside(after, waits);
    }
    for (const message of this.#watch.outside.splice(0))
      this.#findings.addFailure(after, { where: "a continuation", message, at: null });
    const mark = await inMacrotask((): Mark => {
      this.#findings.addProblems(machine.problems());
      return { commands: log.take(), standpoint: machine.standpoint(), said: saidIn(machine.takeFrames()) };
    });
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

  async #replay(other: (typeof others)[number], createOptions: object): Promise<FirstDifference | null> {
    const noiseMachine = other.noise ? await this.#noise(createOptions) : null;
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
  async #noise(createOptions: object): Promise<CheckMachine> {
    const machine = new CheckMachine(noise.roomId);
    const log = new ScriptLog(machine, { ...noise, roomName: this.#roomName });
    const created = await this.#at(atHome, () => log.create(createOptions));
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

function optionsOf(source: ScriptSource, createOptions: object): object {
  return typeof source === "function" ? createOptions : { ...createOptions, ...source.options };
}

function applyAll(machine: CheckMachine, commands: readonly AppliedCommand[]): void {
  for (const command of commands) machine.apply(command);
}

/** Up to the first colon that is not within quotes. */
const parts = /^((?:"(?:[^"\\]|\\.)*"|[^":])*): (.*)$/s;

function differenceAt(
  machine: CheckMachine,
  { standpoint: first, said }: Mark,
  { withFrames = true }: { withFrames?: boolean } = {},
): Difference | null {
  const own = machine.standpoint();
  if (own.hash !== first.hash) {
    if (own.hash === null || first.hash === null)
      return {
        path: "room",
        values: own.hash === null ? "ended against still there" : "still there against ended",
      };
    if (own.picture === null || first.picture === null)
      return { path: "room", values: "what cannot be saved against what can, or the other way round" };
    const text = savedDifference(own.picture, first.picture) ?? "room: alike in all but its hash";
    const [, path = "room", values = text] = parts.exec(text) ?? [];
    return { path, values };
  }
  const frames = saidIn(machine.takeFrames());
  return withFrames ? saidDifference(frames, said) : null;
}
