import { placeOf } from "../session/failure.ts";

/** What is different about another machine. */
export interface Elsewhere {
  readonly variables: boolean;
  readonly timeZone: boolean;
}

export const atHome: Elsewhere = Object.freeze({ variables: false, timeZone: false });

/** The frame of a stack trace that read a variable, behind "Error" and the trap itself. */
const readerLine = 2;
const ownCode = /[\\/]@colyseus[\\/]|[\\/]server[\\/](?:check|session|colyseus|group)[\\/]|\(?node:/;

/** The variables that room code reads, as it does: by name, with the place. */
export class VariableReads {
  readonly #places = new Map<string, string>();

  add(name: string, place: string): void {
    if (!this.#places.has(name)) this.#places.set(name, place);
  }

  /** `process.env.REGION (file:line)` */
  get list(): readonly string[] {
    return [...this.#places].map(([name, place]) => `process.env.${name} (${place})`);
  }
}

/** Another machine's, but of the same kind: a number stays one. */
function otherValue(value: string | undefined): string {
  if (value === undefined) return "1";
  if (value === "true" || value === "false") return String(value !== "true");
  const asNumber = Number(value);
  return value !== "" && Number.isFinite(asNumber) ? String(asNumber + 1) : `${value}-elsewhere`;
}

/** On the other side of the date line from wherever this is run. */
export function otherZone(): string {
  return new Date(0).getTimezoneOffset() < -13 * 60 ? "Pacific/Pago_Pago" : "Pacific/Kiritimati";
}

/**
 * Acts as if on a machine with other environment variables (those that room code reads) and in another time zone, and notes
 * which variables room code has read. Synchronous: afterwards the process is as it was.
 */
export function actElsewhere<T>({ variables, timeZone }: Elsewhere, reads: VariableReads, act: () => T): T {
  const real = process.env;
  const zone = real["TZ"];
  process.env = new Proxy(real, {
    get(target, name) {
      const value = Reflect.get(target, name) as string | undefined;
      if (typeof name !== "string") return value;
      const reader = new Error().stack?.split("\n")[readerLine] ?? "";
      if (ownCode.test(reader)) return value;
      reads.add(name, placeOf(reader) ?? "an unknown place");
      return variables ? otherValue(value) : value;
    },
  });
  try {
    if (timeZone) real["TZ"] = otherZone();
    return act();
  } finally {
    process.env = real;
    if (timeZone) {
      if (zone === undefined) Reflect.deleteProperty(real, "TZ");
      else real["TZ"] = zone;
    }
  }
}
