import assert from "node:assert/strict";
import { z } from "zod";
import type { LinkedProcess } from "../network/network.ts";
import type { PeerMessage } from "../network/peer-message.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

export const tableLimits = Object.freeze({
  /** Of one node. */
  rowsMax: 10_000,
  /** Of a row's key and value, as JSON in UTF-8. */
  rowBytesMax: 32 * 1024,
  /** Of a message: it must not keep a heartbeat waiting. */
  messageBytesMax: 64 * 1024,
  /** Removed rows that are remembered; who lags further behind begins anew. */
  removalsMax: 4_096,
  /** How long it is waited for an answer of a node that may be dead. */
  answerMsMax: 500,
});

/** A row that others are not told of. */
export class RowRefused extends Error {
  readonly why: "tooMany" | "tooBig";

  constructor(why: RowRefused["why"], message: string) {
    super(message);
    this.name = "RowRefused";
    this.why = why;
  }
}

type Rows = Extract<PeerMessage, { type: "rows" }>;

/** Null: the row is gone. */
const changesSchema = z.array(z.tuple([z.string(), z.unknown()]));

interface Heard {
  readonly bootId: string;
  version: number;
  readonly rows: Map<string, unknown>;
}

interface GossipTableParts {
  readonly send: (nodeId: string, message: PeerMessage) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Rows that each node owns and tells all others: weak, but cheap. Each change has a version, and is pushed once; what the
 * newest version is, is told again and again, and who lacks something asks for it, a piece at a time (anti-entropy). What a
 * node said before its last start counts for nothing.
 */
export class GossipTable {
  readonly #parts: GossipTableParts;
  readonly #links = new Map<string, LinkedProcess>();
  /** This node's, in the order of their versions; null: removed. */
  readonly #own = new Map<string, { readonly version: number; readonly text: string | null }>();
  /** Of the own rows: how many there are. */
  #count = 0;
  #version = 0;
  /** Removals up to here are forgotten. */
  #floor = 0;
  #pushed = 0;
  readonly #heard = new Map<string, Heard>();
  readonly #listeners = new Set<(nodeId: string, keys: readonly string[]) => void>();
  /** Who waits for a node's answer, by the number of the question: an answer is to all questions up to its own. */
  readonly #waiting = new Map<string, Map<number, () => void>>();
  #questions = 0;

  constructor(parts: GossipTableParts) {
    this.#parts = parts;
  }

  /**
   * Sets or removes (undefined) one of this node's own rows; others are told at the end of the turn.
   * @param value plain data: told as JSON
   * @throws RowRefused past `tableLimits`; nothing is changed then
   */
  set(key: string, value: unknown): void {
    const before = this.#own.get(key)?.text ?? null;
    const text = value === undefined ? null : rowText(key, value);
    if (text === before) return;
    if (before === null && this.#count >= tableLimits.rowsMax)
      throw new RowRefused(
        "tooMany",
        `a node tells others of ${tableLimits.rowsMax} rows at most: "${key}" is one more`,
      );
    this.#count += (text === null ? 0 : 1) - (before === null ? 0 : 1);
    this.#own.delete(key);
    this.#own.set(key, { version: ++this.#version, text });
    this.#forgetRemovals();
    if (this.#pushed === this.#version - 1) this.#parts.clock.defer(() => this.#push());
  }

  /** Half of them at once: whoever looks for them passes by all rows. */
  #forgetRemovals(): void {
    const removals = this.#own.size - this.#count;
    if (removals <= tableLimits.removalsMax) return;
    let left = removals / 2;
    for (const [key, { version, text }] of this.#own) {
      if (text !== null) continue;
      this.#own.delete(key);
      this.#floor = version;
      if (--left <= 0) return;
    }
  }

  #push(): void {
    const from = this.#pushed;
    this.#pushed = this.#version;
    for (const nodeId of this.#links.keys()) this.#tell(nodeId, { after: from });
  }

  /** What the newest version is; a node that never had a row has nothing to say. */
  repeat(to: Iterable<string> = this.#links.keys()): void {
    if (this.#version > 0) for (const nodeId of to) this.#tell(nodeId, { after: this.#version });
  }

  /** What has changed since `after`, or as much of it as a message takes. */
  #tell(nodeId: string, { after, question = 0 }: { after: number; question?: number }): void {
    const isWhole = after < this.#floor || after > this.#version;
    const from = isWhole ? 0 : after;
    const changes: string[] = [];
    let bytes = 0;
    let to = this.#version;
    for (const [key, { version, text }] of this.#own) {
      if (version <= from) continue;
      const change = `[${JSON.stringify(key)},${text}]`;
      bytes += Buffer.byteLength(change) + 1;
      if (changes.length > 0 && bytes > tableLimits.messageBytesMax) {
        to = version - 1;
        break;
      }
      changes.push(change);
    }
    const body = new TextEncoder().encode(`[${changes.join(",")}]`);
    this.#parts.send(nodeId, { type: "rows", question, version: this.#version, from, to, body });
  }

  linkUp(peer: LinkedProcess): void {
    this.#links.set(peer.nodeId, peer);
    this.repeat([peer.nodeId]);
  }

  linkDown(nodeId: string): void {
    this.#links.delete(nodeId);
    this.#answered(nodeId, this.#questions);
  }

  isLinked(nodeId: string): boolean {
    return this.#links.has(nodeId);
  }

  keepOnly(nodeIds: ReadonlySet<string>): void {
    for (const nodeId of [...this.#heard.keys()])
      if (!nodeIds.has(nodeId) && !this.#links.has(nodeId)) this.#heard.delete(nodeId);
  }

  /** A peer lacks what came behind `after`. */
  wanted(from: string, { question, after }: { readonly question: number; readonly after: number }): void {
    if (this.#links.has(from)) this.#tell(from, { after, question });
  }

  message(from: string, message: Rows): void {
    const bootId = this.#links.get(from)?.bootId;
    if (bootId === undefined) return;
    const changes = parseChanges(message);
    if (changes === null) {
      const bytes = message.body.length;
      this.#parts.log.warn({ event: "rows-refused", peer: from, bytes }, `rows of ${from} cannot be read`);
      return;
    }
    let heard = this.#heard.get(from);
    const touched = new Set<string>();
    if (heard === undefined || heard.bootId !== bootId || (message.from === 0 && heard.version > 0)) {
      for (const key of heard?.rows.keys() ?? []) touched.add(key);
      heard = { bootId, version: 0, rows: new Map() };
      this.#heard.set(from, heard);
    }
    if (message.from <= heard.version && message.to > heard.version) {
      heard.version = message.to;
      for (const [key, value] of changes) {
        if (value === null) heard.rows.delete(key);
        else heard.rows.set(key, value);
        touched.add(key);
      }
    }
    // Something was lost, or there is more than one message takes.
    if (heard.version !== message.version) this.#ask(from, heard.version);
    else this.#answered(from, message.question);
    if (touched.size > 0) for (const listener of [...this.#listeners]) listener(from, [...touched]);
  }

  #ask(nodeId: string, after: number): void {
    this.#parts.send(nodeId, { type: "rowsWanted", question: ++this.#questions, after });
  }

  #answered(nodeId: string, question: number): void {
    for (const [asked, resolve] of this.#waiting.get(nodeId) ?? []) if (asked <= question) resolve();
  }

  /** Resolves once all linked nodes have told what they had when this was called, or take too long. */
  async refresh(): Promise<void> {
    await Promise.all([...this.#links.keys()].map((nodeId) => this.#refreshed(nodeId)));
  }

  #refreshed(nodeId: string): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(nodeId) ?? new Map<number, () => void>();
      this.#waiting.set(nodeId, waiting);
      this.#ask(nodeId, this.#heard.get(nodeId)?.version ?? 0);
      const question = this.#questions;
      const done = () => {
        cancel();
        waiting.delete(question);
        resolve();
      };
      const cancel = this.#parts.clock.setTimer(done, tableLimits.answerMsMax);
      waiting.set(question, done);
    });
  }

  /** A row of this node, as it was told last. */
  own(key: string): unknown {
    const text = this.#own.get(key)?.text ?? null;
    return text === null ? undefined : JSON.parse(text);
  }

  /** What the others told last, by node; whether they live is not known here. */
  get others(): ReadonlyMap<string, ReadonlyMap<string, unknown>> {
    return new Map([...this.#heard].map(([nodeId, { rows }]) => [nodeId, rows]));
  }

  /** What a start of a node has told counts no more; whatever it still is, it tells anew when it is linked again. */
  forget(nodeId: string, bootId: string | null): void {
    const heard = this.#heard.get(nodeId);
    if (heard === undefined || heard.bootId !== bootId) return;
    this.#heard.delete(nodeId);
    for (const listener of [...this.#listeners]) listener(nodeId, [...heard.rows.keys()]);
  }

  /** Calls back when a node has told something new, with the rows' keys. */
  onHeard(listener: (nodeId: string, keys: readonly string[]) => void): void {
    this.#listeners.add(listener);
  }

  stop(): void {
    this.#links.clear();
    this.#listeners.clear();
    for (const nodeId of this.#waiting.keys()) this.#answered(nodeId, this.#questions);
  }
}

function rowText(key: string, value: unknown): string {
  const text = JSON.stringify(value);
  assert(text !== undefined && text !== "null", `row "${key}" has no value`);
  const bytes = Buffer.byteLength(text) + Buffer.byteLength(key);
  if (bytes <= tableLimits.rowBytesMax) return text;
  throw new RowRefused("tooBig", `"${key}" takes ${bytes} bytes, ${tableLimits.rowBytesMax} are allowed`);
}

function parseChanges({ version, from, to, body }: Rows): [string, unknown][] | null {
  if (from > to || to > version) return null;
  try {
    return changesSchema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)));
  } catch {
    return null;
  }
}
