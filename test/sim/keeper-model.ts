import assert from "node:assert";
import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import { type KeepName, keeperCommand } from "../../server/menu/keeper-machine.ts";
import { kvMenu } from "../../server/menu/kv-menu.ts";
import type { KvTransaction } from "../../server/menu/kv-transaction.ts";
import { lockMenu } from "../../server/menu/lock-menu.ts";
import type { Acquire } from "../../server/menu/lock-state.ts";
import type { Coverage } from "./coverage.ts";
import { hold } from "./violation.ts";

interface Place {
  readonly claimant: string;
  readonly leaseMs: number;
  untilMs: number;
  token: number;
}

interface Key {
  readonly value: string;
  readonly bytes: number;
  readonly version: number;
  readonly untilMs: number;
}

const never = Number.POSITIVE_INFINITY;
const numberOf = (name: KeepName) => keeperCommand(name, new Uint8Array())[0];
const text = (value: Uint8Array) => Buffer.from(value).toString("hex");

/**
 * Locks and keys of one group, worked out anew from its commands alone, in the simplest way: who came first is served first,
 * by tokens that only grow; a lease, a wait or a key is over at its log time and not before; only a holder's token writes;
 * past the limit those keys go that would expire next.
 */
export class KeeperModel {
  readonly #coverage: Coverage;
  readonly #bytesMax: number;
  #index = 0;
  /** By node: its last start, and the last number in it. */
  readonly #origins = new Map<string, { bootCount: number; sequence: number }>();
  readonly #queues = new Map<string, Place[]>();
  readonly #keys = new Map<string, Key>();
  #lastToken = 0;
  /** By index: what it gives; null: nothing that is looked at. */
  readonly #expected = new Map<number, { readonly given: string | null; readonly nextMs: number | null }>();

  constructor(coverage: Coverage, { kvBytesMax }: { readonly kvBytesMax: number }) {
    this.#coverage = coverage;
    this.#bytesMax = kvBytesMax;
  }

  applied(
    node: string,
    command: AppliedCommand,
    { result, nextTickMs }: { result: ApplyResult; nextTickMs: number | null },
  ): void {
    const { index } = command;
    if (index > this.#index) {
      this.#index = index;
      const given = this.#take(command, result.type === "gap") ? this.#apply(command) : null;
      this.#expected.set(index, { given, nextMs: this.#nextMs });
    }
    const expected = this.#expected.get(index);
    if (expected === undefined) return;
    const given = result.type === "gap" ? null : givenOf(command.command, result.value);
    hold(
      expected.given === null || given === expected.given,
      "X57",
      () => `the keeper's entry ${index} gives ${given} on ${node}, expected is ${expected.given}`,
    );
    hold(
      nextTickMs === expected.nextMs,
      "X58",
      () =>
        `behind entry ${index} the next thing to expire on ${node} does at ${nextTickMs}, expected is ${expected.nextMs}`,
    );
  }

  /** Each number of a node once, in their order, and none of an earlier start. */
  #take({ id: { nodeId, bootCount, sequence } }: AppliedCommand, isGap: boolean): boolean {
    const last = this.#origins.get(nodeId) ?? { bootCount: 0, sequence: 0 };
    if (isGap || bootCount < last.bootCount) return false;
    const before = bootCount > last.bootCount ? 0 : last.sequence;
    if (sequence !== before + 1) return false;
    this.#origins.set(nodeId, { bootCount, sequence });
    return true;
  }

  get #nextMs(): number | null {
    const times = [...this.#keys.values(), ...[...this.#queues.values()].flat()].map(
      ({ untilMs }) => untilMs,
    );
    const next = Math.min(never, ...times);
    return next === never ? null : next;
  }

  #apply({ index, logTimeMs, command }: AppliedCommand): string | null {
    const isOver = ({ untilMs }: { untilMs: number }) => untilMs <= logTimeMs;
    for (const [key, each] of this.#keys)
      if (isOver(each) && this.#keys.delete(key)) this.#coverage.hit("keysExpired");
    const now = { index, logTimeMs };
    for (const name of this.#queues.keys()) this.#stay(name, (place) => !isOver(place), now);
    const [number, body] = [command[0], command.subarray(1)];
    if (number === numberOf("kv")) return this.#transact(kvMenu.decode(body).argument as KvTransaction, now);
    if (number !== numberOf("lock")) return null;
    const { name: what, argument } = lockMenu.decode(body);
    return JSON.stringify(this.#lock(what, argument as Acquire, now));
  }

  #lock(what: string, { name, claimant, leaseMs, waitMs }: Acquire, now: Now): unknown {
    const queue = this.#queues.get(name) ?? [];
    const own = queue.find((place) => place.claimant === claimant);
    if (what === "release") return this.#stay(name, (place) => place !== own, now);
    if (what === "renew") {
      if (own === undefined || own.token === 0) return false;
      own.untilMs = now.logTimeMs + own.leaseMs;
      return true;
    }
    if (own !== undefined) return own.token;
    if (queue.length > 0 && waitMs === 0) return 0;
    const place = { claimant, leaseMs, untilMs: waitMs === null ? never : now.logTimeMs + waitMs, token: 0 };
    this.#queues.set(name, [...queue, place]);
    this.#serve(name, now);
    return place.token;
  }

  /** False: nobody had to go. */
  #stay(name: string, stays: (place: Place) => boolean, now: Now): boolean {
    const queue = this.#queues.get(name) ?? [];
    const left = queue.filter(stays);
    this.#queues.set(name, left);
    this.#serve(name, now);
    return left.length < queue.length;
  }

  #serve(name: string, { index, logTimeMs }: Now): void {
    const [first, ...others] = this.#queues.get(name) ?? [];
    if (first?.token === 0) {
      hold(index >= this.#lastToken, "X59", () => `token ${index} comes behind ${this.#lastToken}`);
      this.#lastToken = index;
      first.token = index;
      first.untilMs = logTimeMs + first.leaseMs;
    }
    hold(
      others.every(({ token }) => token === 0),
      "X59",
      () => `two hold the lock "${name}"`,
    );
  }

  #transact({ fence, do: steps }: KvTransaction, { index, logTimeMs }: Now): string {
    if (fence !== undefined && this.#queues.get(fence.name)?.[0]?.token !== fence.token) return "FENCED";
    const draft = new Map<string, Key | null>();
    const results = steps.map((step): readonly unknown[] => {
      const { key } = step;
      const found = draft.has(key) ? draft.get(key) : this.#keys.get(key);
      const version = found?.version ?? 0;
      if (step.type === "get") return [found?.value ?? null, version];
      if (step.type === "delete") {
        draft.set(key, null);
        return [null, version];
      }
      assert(step.type === "put", "nobody counts in this simulation");
      const untilMs = step.expiresInMs === null ? never : logTimeMs + step.expiresInMs;
      const bytes = keeperLimits.entryBytes + Buffer.byteLength(key) + step.value.length;
      draft.set(key, { value: text(step.value), bytes, version: index, untilMs });
      return [null, index];
    });
    return this.#fit(draft) ? JSON.stringify(results) : "FULL";
  }

  /** Makes room for what is new, and puts it in; false: there is none. */
  #fit(draft: ReadonlyMap<string, Key | null>): boolean {
    const bytesOf = (keys: Iterable<Key | null>) =>
      [...keys].reduce((sum, key) => sum + (key?.bytes ?? 0), 0);
    const replaced = [...draft.keys()].map((key) => this.#keys.get(key) ?? null);
    const more = bytesOf(draft.values()) - bytesOf(replaced);
    let bytes = bytesOf(this.#keys.values()) + more;
    const victims = [...this.#keys]
      .filter(([key, { untilMs }]) => untilMs !== never && !draft.has(key))
      .sort(([a, one], [b, other]) => one.untilMs - other.untilMs || (a < b ? -1 : 1));
    const gone: string[] = [];
    for (const [key, victim] of more > 0 ? victims : []) {
      if (bytes <= this.#bytesMax) break;
      bytes -= victim.bytes;
      gone.push(key);
    }
    if (more > 0 && bytes > this.#bytesMax) return false;
    this.#coverage.hit("keysEvicted", gone.length);
    for (const key of gone) this.#keys.delete(key);
    for (const [key, put] of draft) {
      if (put === null) this.#keys.delete(key);
      else this.#keys.set(key, put);
    }
    return true;
  }
}

interface Now {
  readonly index: number;
  readonly logTimeMs: number;
}

/** In the words of the model. */
function givenOf(command: Uint8Array, value: unknown): string | null {
  const result = value as { type: string; code?: string; value?: unknown } | undefined;
  if (result?.type === "refused") return result.code ?? null;
  if (result?.type !== "done") return null;
  if (command[0] !== numberOf("kv")) return JSON.stringify(result.value);
  const { results } = result.value as { results: readonly { value: unknown; version: number }[] };
  return JSON.stringify(
    results.map(({ value: found, version }) => [found === null ? null : text(found as Uint8Array), version]),
  );
}
