import { failureWords } from "../session/failure.ts";
import type { GraphProblem } from "../session/graph/graph-error.ts";
import { wentOnOutside } from "../session/room-world.ts";
import { problemsOf, type RoomFailure } from "./check-machine.ts";
import type { CheckProblem } from "./check-report.ts";

/** What the preload refuses inside a room, and what the state does outside of one. */
const forbidden =
  / inside room |outside of its log|was (?:called|assigned) outside of the room|does not support yet|cannot be replicated|waits for something outside the log/;
/** Of each kind. */
const warningsMax = 20;

/** What a run finds besides differences: each once. */
export class Findings {
  readonly problems: CheckProblem[] = [];
  readonly #warnings: string[] = [];
  readonly #waits = new Set<string>();
  readonly #known = new Set<string>();
  #leftOut = 0;

  get warnings(): readonly string[] {
    return this.#leftOut === 0 ? this.#warnings : [...this.#warnings, `and ${this.#leftOut} more`];
  }

  /** @param since where it was met first, which makes it no other warning */
  addWarning(text: string, since = ""): void {
    if (this.#known.has(text)) return;
    this.#known.add(text);
    if (this.#warnings.length < warningsMax) this.#warnings.push(text + since);
    else this.#leftOut += 1;
  }

  addProblems(found: readonly GraphProblem[]): void {
    for (const { path, what, remedy, unlisted } of found) {
      const inRoom = path.replace("room.fields.", "room.");
      this.#add({
        verdict: unlisted === undefined ? "change" : "declare",
        what: `${inRoom} is ${what}`,
        remedy,
        at: null,
        path: inRoom,
        ...(unlisted === undefined ? {} : { unlisted }),
      });
    }
  }

  /** Each part of it could be, but not all of them together. */
  addUnsavable(why: string): void {
    this.#add({
      verdict: "change",
      what: `the room cannot be saved: ${why}`,
      remedy: "keep less in it",
      at: null,
    });
  }

  /** What onCreate threw, or what was found right after it. */
  addCreation(error: unknown, at: string | null): void {
    const found = problemsOf(error);
    this.addProblems(found);
    if (found.length > 0) return;
    const message = failureWords(error);
    const remedy = forbidden.test(message)
      ? "as it says"
      : "give the options that it needs (a script has them under `options`), or let it do without";
    this.#add({ verdict: "change", what: `the room cannot be created: ${message}`, remedy, at });
  }

  /** A failure of room code is a result, and equal everywhere; but what is refused to a replicated room will not do. */
  addFailure(after: string, { where, message, at }: RoomFailure): void {
    // Of the one says whether the room can be saved, of the other `addOutside`.
    if (where === "checkpoint" || message === wentOnOutside) return;
    if (forbidden.test(message))
      this.#add({ verdict: "change", what: `${where}: ${message}`, remedy: "as it says", at });
    else
      this.addWarning(
        `${at === null ? "" : `${at}: `}${where} failed: ${message}`,
        ` (first after ${after})`,
      );
  }

  addRefusal(step: string, message: string): void {
    if (forbidden.test(message))
      this.#add({ verdict: "change", what: message, remedy: "as it says", at: null });
    else this.addWarning(`${step} was refused: ${message}`);
  }

  /** It went on when no command was being applied: on another node at another time. */
  addOutside(after: string, waits: string): void {
    this.#add({
      verdict: "change",
      what: `${waits.replace(/ has not finished$/, "")} waits for something outside of the room's log (first after ${after})`,
      remedy:
        "wait for it with an effect of the room (await this.effect(name, data)), or do it outside and bring the result in with room.propose()",
      at: null,
    });
  }

  isNewWait(waits: string): boolean {
    if (this.#waits.has(waits)) return false;
    this.#waits.add(waits);
    return true;
  }

  #add(problem: CheckProblem): void {
    const key = `${problem.what} ${problem.at}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.problems.push(problem);
  }
}
