import { KeeperError } from "./keeper-error.ts";
import { keeperLimits } from "./keeper-limits.ts";
import { SortedList } from "./sorted-list.ts";

type Kind = "string" | "set" | "hash" | "list";

interface Values {
  string: string;
  set: Set<string>;
  hash: Map<string, string>;
  list: string[];
}

type Held = { [K in Kind]: { readonly kind: K; value: Values[K] } }[Kind] & {
  readonly key: string;
  bytes: number;
  /** In log time; null: never. */
  expiresAtMs: number | null;
};

type SavedHeld = [key: string, kind: Kind, value: string | readonly string[], expiresAtMs: number | null];
export type TableState = readonly SavedHeld[];

const { entryBytes, elementBytes } = keeperLimits;

const byExpiry = (one: Held, other: Held) =>
  (one.expiresAtMs ?? 0) - (other.expiresAtMs ?? 0) ||
  (one.key < other.key ? -1 : one.key > other.key ? 1 : 0);

const empty = {
  string: () => "",
  set: () => new Set<string>(),
  hash: () => new Map<string, string>(),
  list: () => [] as string[],
} as const satisfies { [K in Kind]: () => Values[K] };

/** What one member, field with its value, or element takes. */
export function elementSize(...texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), elementBytes as number);
}

/** Keys, each with a string, set, hash or list, as Redis keeps them; what is empty is not there. */
export class PresenceTable {
  readonly #held = new Map<string, Held>();
  readonly #expiring: SortedList<Held>;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(saved: TableState = [], bytesMax: number = keeperLimits.bytesMax) {
    this.#bytesMax = bytesMax;
    for (const one of saved) {
      const held = heldOf(one);
      this.#held.set(held.key, held);
      this.#bytes += held.bytes;
    }
    const expiring = [...this.#held.values()].filter(({ expiresAtMs }) => expiresAtMs !== null);
    this.#expiring = new SortedList(byExpiry, expiring.sort(byExpiry));
  }

  /** In the order in which the keys came to be. */
  get state(): TableState {
    return [...this.#held.values()].map((held) => [held.key, held.kind, listed(held), held.expiresAtMs]);
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#held.has(key);
  }

  /** Undefined: there is no such key. @throws KeeperError WRONG_TYPE */
  at<K extends Kind>(key: string, kind: K): Values[K] | undefined {
    const held = this.#held.get(key);
    if (held !== undefined && held.kind !== kind)
      throw new KeeperError("WRONG_TYPE", `"${key}" holds a ${held.kind}, not a ${kind}: delete it first`);
    return held?.value as Values[K] | undefined;
  }

  /**
   * Changes what is there, or what comes to be there, in its place. When it expires stays as it is.
   * @param bytes what that takes more, or less
   * @throws KeeperError WRONG_TYPE, FULL: nothing was changed
   */
  change<K extends Exclude<Kind, "string">>(
    key: string,
    kind: K,
    { bytes, by }: { bytes: number; by: (value: Values[K]) => void },
  ): void {
    const known = this.at(key, kind) !== undefined;
    this.#checkRoom(bytes + (known ? 0 : keySize(key)));
    const held = known ? (this.#held.get(key) as Held) : this.#add(key, kind);
    by(held.value as Values[K]);
    held.bytes += bytes;
    this.#bytes += bytes;
    if (sizeOf(held) === 0) this.delete(key);
  }

  /** Whatever was there. @param expiresAtMs undefined: as what was there @throws KeeperError FULL: nothing was changed */
  setString(key: string, value: string, expiresAtMs?: number | null): void {
    const before = this.#held.get(key);
    const bytes = Buffer.byteLength(value);
    this.#checkRoom(keySize(key) + bytes - (before?.bytes ?? 0));
    const expiry = expiresAtMs === undefined ? (before?.expiresAtMs ?? null) : expiresAtMs;
    if (before?.kind === "string") {
      this.#bytes += bytes - Buffer.byteLength(before.value);
      before.bytes += bytes - Buffer.byteLength(before.value);
      before.value = value;
    } else {
      this.delete(key);
      const held = this.#add(key, "string");
      held.value = value;
      held.bytes += bytes;
      this.#bytes += bytes;
    }
    this.#setExpiry(key, expiry);
  }

  delete(key: string): boolean {
    const held = this.#held.get(key);
    if (held === undefined) return false;
    if (held.expiresAtMs !== null) this.#expiring.delete(held);
    this.#bytes -= held.bytes;
    return this.#held.delete(key);
  }

  /** @returns false: there is no such key */
  expireAt(key: string, ms: number): boolean {
    if (!this.#held.has(key)) return false;
    this.#setExpiry(key, ms);
    return true;
  }

  nextExpiryMs(): number | null {
    return this.#expiring.first?.expiresAtMs ?? null;
  }

  expire(logTimeMs: number): void {
    for (;;) {
      const { first } = this.#expiring;
      if (first === undefined || (first.expiresAtMs as number) > logTimeMs) return;
      this.delete(first.key);
    }
  }

  #setExpiry(key: string, ms: number | null): void {
    const held = this.#held.get(key) as Held;
    if (held.expiresAtMs !== null) this.#expiring.delete(held);
    held.expiresAtMs = ms;
    if (ms !== null) this.#expiring.add(held);
  }

  #add(key: string, kind: Kind): Held {
    const held = { key, kind, value: empty[kind](), bytes: keySize(key), expiresAtMs: null } as Held;
    this.#held.set(key, held);
    this.#bytes += held.bytes;
    return held;
  }

  #checkRoom(more: number): void {
    if (more <= 0 || this.#bytes + more <= this.#bytesMax) return;
    throw new KeeperError(
      "FULL",
      `all presence keys together would take ${this.#bytes + more} bytes, ${this.#bytesMax} are allowed: delete keys, or let them expire`,
    );
  }
}

function keySize(key: string): number {
  return entryBytes + Buffer.byteLength(key);
}

function sizeOf(held: Held): number {
  return held.kind === "set" || held.kind === "hash" ? held.value.size : held.value.length;
}

function listed(held: Held): string | readonly string[] {
  switch (held.kind) {
    case "string":
      return held.value;
    case "hash":
      return [...held.value].flat();
    case "set":
    case "list":
      return [...held.value];
  }
}

function heldOf([key, kind, value, expiresAtMs]: SavedHeld): Held {
  const texts = typeof value === "string" ? [value] : [...value];
  const content = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const elements = kind === "string" ? 0 : kind === "hash" ? texts.length / 2 : texts.length;
  const common = { key, expiresAtMs, bytes: keySize(key) + content + elements * elementBytes };
  switch (kind) {
    case "string":
      return { ...common, kind, value: texts[0] as string };
    case "set":
      return { ...common, kind, value: new Set(texts) };
    case "list":
      return { ...common, kind, value: texts };
    case "hash": {
      const hash = new Map<string, string>();
      for (let at = 0; at < texts.length; at += 2) hash.set(texts[at] as string, texts[at + 1] as string);
      return { ...common, kind, value: hash };
    }
  }
}
