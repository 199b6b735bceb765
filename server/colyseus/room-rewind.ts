import { Rewind, type RewindOptions, type Room } from "@colyseus/core";
import { Schema, schema, t } from "@colyseus/schema";
import { GraphError } from "../session/graph/graph-error.ts";
import { sessionLimits } from "../session/limits.ts";
import { SessionError } from "../session/session-error.ts";
import { seamOfRoom } from "./seam.ts";

/** Where one of the room's entities was, for one group that it was attached with; numbers and lists of numbers. */
interface History {
  readonly fields: readonly string[];
  readonly fieldIdx: readonly number[];
}

interface Group {
  entities: () => Iterable<object>;
}

/** The stock Rewind, as the seam uses it. */
interface StockRewind {
  readonly groups: Group[];
  readonly _view: { _time: number; _reckonTime: number; rewind?: object };
  _sampleIntervalMs: number;
  _lastRecordedAt: number;
  attach(target: object, options: AttachOptions): this;
  attachAll(target: object, options: AttachOptions): this;
  record(nowMs: number, sampleIntervalMs?: number): void;
}

type AttachOptions = { readonly maxRewindMs?: number };

/** What a group looks at; the stock group keeps it in a closure. */
interface Target {
  readonly isCollection: boolean;
  readonly object: object;
}

interface Book {
  readonly rewind: StockRewind;
  /** In the order of the groups. */
  readonly targets: Target[];
}

/** Lag compensation in a room's graph; not there if it has none. */
export interface RewindPart {
  readonly rewind?: {
    readonly sampleIntervalMs: number;
    readonly recordedAt: number;
    readonly view: { readonly isAimed: boolean; readonly time: number; readonly reckonTime: number };
    readonly targets: readonly Target[];
    readonly histories: readonly (readonly [object, readonly History[]])[];
  };
}

const books = new WeakMap<Room, Book>();
const histories = new WeakMap<object, History[]>();
let historyPrototype: object | null = null;

/** The stock Rewind keeps histories on the entities, where a graph may have data only: from now on beside them. */
export function patchHistories(): void {
  if (historyPrototype !== null) return;
  const Probe = schema({ n: t.number() }, "Probe");
  const probe = new Probe();
  const rewind = Rewind.get({}).attach(probe, { fields: ["n"] });
  rewind.record(0);
  const key = Object.getOwnPropertySymbols(probe).find(({ description }) => description === "rewind.history");
  const [history] = key === undefined ? [] : (Reflect.get(probe, key) as [object]);
  if (key === undefined || history === undefined)
    throw new Error("the stock Rewind keeps its histories somewhere else");
  historyPrototype = Object.getPrototypeOf(history) as object;
  Object.defineProperty(Schema.prototype, key, {
    configurable: true,
    get(this: object) {
      return histories.get(this);
    },
    set(this: object, ofEntity: History[]) {
      histories.set(this, ofEntity);
    },
  });
}

/**
 * The stock room's `allowRewindState`; what it looks at is known to the checkpoint.
 * @throws SessionError NOT_SUPPORTED @throws RangeError
 */
export function allowRewind(room: Room, options: RewindOptions | undefined, stock: () => object): object {
  const { name } = room.constructor;
  checkCreating(room, `${name}.allowRewindState()`);
  checkWindow(name, options);
  const rewind = stock() as StockRewind;
  if (books.has(room)) return rewind;
  const targets: Target[] = [];
  books.set(room, { rewind, targets });
  for (const method of ["attach", "attachAll"] as const) {
    const attach = rewind[method];
    rewind[method] = (object, attaching) => {
      checkCreating(room, `${name}: rewind.${method}()`);
      checkWindow(name, attaching);
      targets.push({ isCollection: method === "attachAll", object });
      return attach.call(rewind, object, attaching);
    };
  }
  const { record } = rewind;
  rewind.record = (nowMs, sampleIntervalMs) => {
    if (sampleIntervalMs !== undefined && sampleIntervalMs > 0 && sampleIntervalMs < 1)
      throw new RangeError(`${name}: rewind.record() every ${sampleIntervalMs} ms: at least 1 ms is allowed`);
    record.call(rewind, nowMs, sampleIntervalMs);
  };
  return rewind;
}

/** A restored room would not do it again. */
function checkCreating(room: Room, what: string): void {
  if (seamOfRoom(room)?.creating !== false) return;
  throw new SessionError(
    "NOT_SUPPORTED",
    `${what} is called after onCreate: attach the collection in onCreate, with attachAll(); what joins it later is in it`,
  );
}

function checkWindow(room: string, options: AttachOptions | undefined): void {
  const { rewindMsMax } = sessionLimits;
  const ms = options?.maxRewindMs;
  if (ms === undefined || (ms > 0 && ms <= rewindMsMax)) return;
  throw new RangeError(`${room}: maxRewindMs is ${ms}: more than 0 and up to ${rewindMsMax} are allowed`);
}

export function hasHistory(entity: object): boolean {
  return histories.has(entity);
}

/** What the room's groups look at and has a history; others are found by walking the graph. */
export function rewoundEntities(room: Room): readonly object[] {
  const groups = books.get(room)?.rewind.groups ?? [];
  return [...new Set(groups.flatMap(({ entities }) => [...entities()].filter(hasHistory)))];
}

/** @throws GraphError GRAPH_UNSAVABLE, for histories that are no part of it */
export function rewindPart(room: Room, entities: readonly object[]): RewindPart {
  const book = books.get(room);
  if (book === undefined) {
    if (entities.length === 0) return {};
    const { name } = room.constructor;
    throw new GraphError(
      "GRAPH_UNSAVABLE",
      `${name} looks back with a Rewind of its own making, which nobody can see and save: use this.allowRewindState()`,
    );
  }
  const { _sampleIntervalMs, _lastRecordedAt, _view } = book.rewind;
  return {
    rewind: {
      sampleIntervalMs: _sampleIntervalMs,
      recordedAt: _lastRecordedAt,
      view: { isAimed: _view.rewind !== undefined, time: _view._time, reckonTime: _view._reckonTime },
      targets: [...book.targets],
      histories: entities.map((entity) => [entity, (histories.get(entity) ?? []).map(saved)]),
    },
  };
}

/** Lists that the stock Rewind shares between entities, but not with those that come after a restore. */
function saved(history: History): History {
  return { ...history, fields: [...history.fields], fieldIdx: [...history.fieldIdx] };
}

export function rewindReferences(room: Room): [object, string][] {
  const rewind = books.get(room)?.rewind;
  return rewind === undefined
    ? []
    : [
        [rewind, "rewind"],
        [rewind._view, "rewind's view"],
      ];
}

/** Lays what was saved over what onCreate has just allowed: its groups look at the state that is restored. */
export function restoreRewind(room: Room, { rewind: part }: RewindPart): void {
  const book = books.get(room);
  if ((book === undefined) !== (part === undefined) || book?.targets.length !== part?.targets.length)
    throw new Error("the checkpoint is of a room that rewinds otherwise");
  if (book === undefined || part === undefined) return;
  const { rewind, targets } = book;
  rewind._sampleIntervalMs = part.sampleIntervalMs;
  rewind._lastRecordedAt = part.recordedAt;
  const { isAimed, time, reckonTime } = part.view;
  Object.assign(rewind._view, { _time: time, _reckonTime: reckonTime, ...(isAimed ? { rewind } : {}) });
  targets.splice(0, targets.length, ...part.targets);
  for (const [at, { isCollection, object }] of targets.entries()) {
    const group = rewind.groups[at];
    if (group === undefined) throw new Error("the stock Rewind has lost a group");
    group.entities = isCollection
      ? () => (object as { values(): Iterable<object> }).values()
      : () => [object];
  }
  for (const [entity, ofEntity] of part.histories) {
    histories.set(
      entity,
      ofEntity.map((history) => Object.assign(Object.create(historyPrototype) as History, history)),
    );
  }
}
