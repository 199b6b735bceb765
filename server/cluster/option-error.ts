export type OptionOrigin =
  | { readonly type: "default" }
  | { readonly type: "flag"; readonly flag: string }
  | { readonly type: "environment"; readonly variable: string }
  | { readonly type: "file"; readonly path: string; readonly key: string };

const valueLengthMax = 80;
const nameDistanceMax = 3;

const unknownName = Symbol("an unknown name");

interface WrongOption {
  readonly option: string;
  readonly origin: OptionOrigin;
  readonly value: unknown;
  /** Goes after "it must be". */
  readonly allowed: string;
}

/** A wrong option. `message` is one line, for the operator. */
export class OptionError extends Error {
  readonly code = "OPTION_WRONG";
  readonly option: string;
  readonly origin: OptionOrigin;

  constructor({ option, origin, value, allowed }: WrongOption) {
    const shown = value === unknownName ? "is unknown" : `${describeValue(value)} is not allowed`;
    super(`option ${option}, from ${describeOrigin(origin)}: ${shown}; it must be ${allowed}`);
    this.option = option;
    this.origin = origin;
  }

  static unknown({
    name,
    origin,
    known,
  }: {
    name: string;
    origin: OptionOrigin;
    known: readonly string[];
  }): OptionError {
    const near = nearest(name, known);
    const allowed = near === null ? "one that --help lists" : `one that --help lists, perhaps ${near}`;
    return new OptionError({ option: name, origin, value: unknownName, allowed });
  }
}

function describeOrigin(origin: OptionOrigin): string {
  switch (origin.type) {
    case "default":
      return "its default";
    case "flag":
      return `flag ${origin.flag}`;
    case "environment":
      return `environment variable ${origin.variable}`;
    case "file":
      return `file ${origin.path}`;
  }
}

function describeValue(value: unknown): string {
  if (value === "") return "no value";
  const described = JSON.stringify(value) ?? String(value);
  return described.length > valueLengthMax ? `${described.slice(0, valueLengthMax)}…` : described;
}

/** The known name that takes the fewest edits to reach, if that is few. */
export function nearest(name: string, known: readonly string[]): string | null {
  let best: { name: string; distance: number } | null = null;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (best === null || distance < best.distance) best = { name: candidate, distance };
  }
  return best !== null && best.distance <= nameDistanceMax ? best.name : null;
}

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replace = (above[column - 1] as number) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replace, (above[column] as number) + 1, (current[column - 1] as number) + 1));
    }
    above = current;
  }
  return above[b.length] as number;
}
