import { fileURLToPath } from "node:url";
import { LocalPresence, matchMaker, type Presence, type Room, Room as StockRoom } from "@colyseus/core";
import { usesPresence } from "../colyseus/check-room-class.ts";
import { unsharedPresence } from "../colyseus/presence/room-presence.ts";
import { isShared } from "../colyseus/presence/shared-presence.ts";
import { TestudoPresence } from "../colyseus/presence/testudo-presence.ts";
import { isReplicated, replicatedOptions } from "../colyseus/replicated.ts";
import type { ClassLike } from "../session/graph/graph-options.ts";
import { SessionError } from "../session/session-error.ts";
import type { CheckProblem, CheckReport } from "./check-report.ts";
import type { CheckScript } from "./check-script.ts";
import type { AnyRoomClass } from "./check-stage.ts";
import { placeInClass } from "./class-place.ts";
import type { Trail } from "./first-run.ts";
import { generateScript } from "./generated-script.ts";
import { type CheckedRoom, checkRoom, type RoomCheckWish, type ScriptSource } from "./room-check.ts";

export interface Finding {
  readonly what: string;
  readonly remedy: string;
  /** `file:line`, if that is known. */
  readonly at: string | null;
}

/** What `testudo check` says of one room. */
export interface RoomVerdict {
  readonly room: string;
  readonly className: string;
  readonly at: string | null;
  /** `works` as it is; once what it keeps is declared; or only with other code. */
  readonly verdict: "works" | "declare" | "change";
  /** What `replicated(Room, { … })` needs to be told. */
  readonly declare: { readonly classes: readonly string[]; readonly transient: readonly string[] };
  readonly findings: readonly Finding[];
  readonly warnings: readonly string[];
  /** Of all scripts together. */
  readonly steps: number;
  readonly checkpoints: number;
}

interface Declared {
  readonly classes: Set<ClassLike>;
  readonly transient: Set<string>;
}

/** Each round declares what the one before has found. */
const roundsMax = 32;

/** A generated script does not know who will be let in, nor for how long the room lives. */
const expected = /^(?:step \d+ \(.*\) was refused: |the room has ended after )/;

export interface RoomType {
  readonly roomName: string;
  readonly roomClass: AnyRoomClass;
  readonly defaultOptions: unknown;
}

/** The scripts' trails, in their order: another process compares its own with them. */
export interface JudgedRoom {
  readonly verdict: RoomVerdict;
  readonly trails: readonly Trail[];
}

/** @param recorded a script to be run after the generated one */
export async function judgeRoom(
  type: RoomType,
  recorded: CheckScript | null,
  against: readonly Trail[] = [],
): Promise<JudgedRoom> {
  const { roomName, roomClass } = type;
  const verdict = new Verdict(roomName, roomClass);
  if (!(roomClass.prototype instanceof StockRoom)) {
    const what = "it extends another copy of @colyseus/core than Testudo uses";
    verdict.add({ what, remedy: "let both find the same one: npm ls @colyseus/core", at: null });
    return { verdict: verdict.done(), trails: [] };
  }
  if (replicatedOptions(roomClass).run === "leader") {
    verdict.warn(
      "its leader alone runs it: it need not be deterministic, and is not tried out. Fields that another leader would lack are refused as it is made",
    );
    return { verdict: verdict.done(), trails: [] };
  }
  if (usesPresence(roomClass) && !sharesPresence())
    verdict.add({ ...unsharedPresence, at: placeInClass(roomClass, /\bpresence\b/) });
  const leftOut: string[] = [];
  const generated: ScriptSource = (room) => {
    const made = generateScript(room);
    leftOut.splice(0, leftOut.length, ...made.leftOut);
    return made.script;
  };
  // A script of one's own knows what the room is created with.
  const wish = { source: generated, createOptions: recorded?.options, against: against[0] };
  const first = await judgeScript(type, wish, verdict);
  verdict.forget(expected);
  for (const each of leftOut) verdict.warn(`no message was made for ${each}; say it with --script`);
  if (first === null || recorded === null) return { verdict: verdict.done(), trails: first ?? [] };
  const second = await judgeScript(type, { source: recorded, against: against[1] }, verdict);
  return { verdict: verdict.done(), trails: [...first, ...(second ?? [])] };
}

/** As a node: a server that names none, and has what Colyseus gives to such, gets Testudo's own. */
function sharesPresence(): boolean {
  const { presence } = matchMaker as { readonly presence?: Presence };
  if (presence !== undefined && isShared(presence)) return true;
  const isNamed = presence !== undefined && Object.getPrototypeOf(presence) !== LocalPresence.prototype;
  return !isNamed && isShared(TestudoPresence.prototype);
}

/** @returns its trail; null: the room is refused by its definition, whatever is done with it */
async function judgeScript(
  { roomName, roomClass, defaultOptions }: RoomType,
  wish: RoomCheckWish,
  verdict: Verdict,
): Promise<readonly Trail[] | null> {
  for (let round = 0; round < roundsMax; round++) {
    const declared = {
      classes: [...verdict.declared.classes] as never[],
      transient: [...verdict.declared.transient],
    };
    let checked: CheckedRoom;
    try {
      checked = await checkRoom({ roomClass, roomName, declared, defaultOptions }, wish);
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      verdict.add({
        what: error.message,
        remedy: "as it says",
        at: placeInClass(roomClass, wordIn(error.message)),
      });
      return null;
    }
    const { report, trail } = checked;
    // What a class that is replicated already was not told is only said.
    if (!verdict.declare(report.problems) || isReplicated(roomClass)) {
      verdict.take(report);
      return [trail];
    }
  }
  throw new Error(`${roomClass.name} keeps asking for declarations: ${roundsMax} rounds were not enough`);
}

/** What a refusal of `replicated()` is about, as it stands in the code. */
function wordIn(message: string): RegExp | null {
  const [, word] = /\b(?:keeps|uses) (?:this\.)?([#\w]+)/.exec(message) ?? [];
  return word === undefined ? null : new RegExp(`${/^\w/.test(word) ? "\\b" : ""}${word}\\b`);
}

/** The field of the room that a path begins with; null: it is not about a field. */
function fieldIn(path: string): string | null {
  const [, field = null] = /^room\.([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(path) ?? [];
  return field === "state" || field === "plugins" ? null : field;
}

class Verdict {
  readonly declared: Declared = { classes: new Set(), transient: new Set() };
  readonly #room: string;
  readonly #class: AnyRoomClass;
  readonly #findings = new Map<string, Finding>();
  readonly #warnings = new Set<string>();
  readonly #reasons: Finding[] = [];
  #steps = 0;
  #checkpoints = 0;

  constructor(room: string, ofClass: AnyRoomClass) {
    this.#room = room;
    // The class that replicated() makes is written nowhere.
    this.#class = isReplicated(ofClass) ? (Object.getPrototypeOf(ofClass) as AnyRoomClass) : ofClass;
  }

  warn(text: string): void {
    this.#warnings.add(text);
  }

  forget(warnings: RegExp): void {
    for (const text of this.#warnings) if (warnings.test(text)) this.#warnings.delete(text);
  }

  add(finding: Finding): void {
    this.#findings.set(finding.what, finding);
  }

  /** Declares what these ask for. False: nothing that is not declared already. */
  declare(problems: readonly CheckProblem[]): boolean {
    const before = this.declared.classes.size + this.declared.transient.size;
    for (const { path, what, unlisted } of problems) {
      const field = path === undefined ? null : fieldIn(path);
      if (field === null || path === undefined) continue;
      // A class of one's own is state; one of a library, and what cannot be state at all, is made again by onCreate.
      const place = unlisted === undefined ? null : placeInClass(unlisted);
      const isOwn = place !== null && !/^node:|[\\/]node_modules[\\/]/.test(place);
      if (unlisted !== undefined && isOwn) {
        if (this.declared.classes.has(unlisted)) continue;
        this.declared.classes.add(unlisted);
        this.#reasons.push({ what, remedy: `classes: [${unlisted.name}]`, at: place });
      } else if (!this.#isOfDeclared(what) && !this.declared.transient.has(field)) {
        this.declared.transient.add(field);
        const at = placeInClass(this.#class, new RegExp(`\\b${field}\\b`));
        this.#reasons.push({ what, remedy: `transient: ["${field}"], and let onCreate make it again`, at });
      }
    }
    return this.declared.classes.size + this.declared.transient.size > before;
  }

  /** Listing it was not enough: leaving it out would lose what it holds. */
  #isOfDeclared(what: string): boolean {
    return [...this.declared.classes].some(({ name }) => new RegExp(`\\b${name}\\b`).test(what));
  }

  take(report: CheckReport): void {
    this.#steps += report.steps;
    this.#checkpoints += report.checkpoints;
    for (const warning of report.warnings) this.warn(warning);
    for (const { what, remedy, at, path, unlisted } of report.problems) {
      const field = path === undefined ? null : fieldIn(path);
      if (unlisted !== undefined && this.declared.classes.has(unlisted)) continue;
      if (field !== null && this.declared.transient.has(field)) continue;
      this.add({
        what,
        remedy,
        at: at ?? placeInClass(this.#class, field === null ? null : new RegExp(`\\b${field}\\b`)),
      });
    }
    const { firstDifference: differs, restless } = report;
    if (differs !== null)
      this.add({
        what: `after ${differs.after} ${differs.path} differs: ${differs.values}`,
        remedy: differs.remedy,
        at: placeInClass(this.#class, fieldWord(differs.path)),
      });
    else if (restless !== null)
      this.add({
        what: `it is not at rest after a minute without a word: ${restless}`,
        remedy: /^a handler of /.test(restless)
          ? "as it says"
          : "this.clock.setTimeout(this.method, ms, ...data), which is saved by name; an interval made in onCreate; no open await",
        at: placeIn(restless),
      });
  }

  done(): RoomVerdict {
    const { classes, transient } = this.declared;
    const declares = classes.size + transient.size > 0;
    const changes = [...this.#findings.values()];
    return {
      room: this.#room,
      className: this.#class.name,
      at: placeInClass(this.#class),
      verdict: changes.length > 0 ? "change" : declares ? "declare" : "works",
      declare: { classes: [...classes].map(({ name }) => name), transient: [...transient] },
      findings: [...changes, ...this.#reasons],
      warnings: [...this.#warnings],
      steps: this.#steps,
      checkpoints: this.#checkpoints,
    };
  }
}

/** `file:line` of the code that a reason for no rest names; null: it names none. */
function placeIn(restless: string): string | null {
  const [, file, line] = /(file:\/\/[^\s)]+?|\/[^\s()]+?):(\d+):\d+/.exec(restless) ?? [];
  if (file === undefined) return null;
  return `${file.startsWith("file:") ? fileURLToPath(file) : file}:${line}`;
}

/** The field or the state's field that a path is about: where the code names it first. */
function fieldWord(path: string): RegExp | null {
  const [, field] = /^room\.(?:state\.)?(\w+)/.exec(path) ?? [];
  return field === undefined ? null : new RegExp(`\\b${field}\\b`);
}

/** What `defineRoom` and `define` have registered. */
export function roomTypes(
  handlers: Readonly<Record<string, { klass: unknown; options?: unknown }>>,
): RoomType[] {
  return Object.entries(handlers).map(([roomName, { klass, options }]) => ({
    roomName,
    roomClass: klass as new () => Room,
    defaultOptions: options,
  }));
}
