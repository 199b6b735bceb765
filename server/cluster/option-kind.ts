import { z } from "zod";

/** What values an option takes. `allowed` is written from the same bounds as the schema, so the two cannot part. */
export interface OptionKind<T> {
  /** Takes a flag's or variable's text, or a value of testudo.json. */
  readonly schema: z.ZodType<T>;
  /** Goes after "it must be". */
  readonly allowed: string;
  /** What the help calls the value; null for a switch, which takes none as a flag. */
  readonly argument: string | null;
}

/** Whole numbers from `min` to `max`, both included. */
export function wholeNumber({ min, max }: { min: number; max: number }): OptionKind<number> {
  const digits = z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number);
  return {
    schema: z.union([z.number(), digits]).pipe(z.number().int().min(min).max(max)),
    allowed: `a whole number from ${min} to ${max}`,
    argument: "N",
  };
}

/** Numbers from `min` to `max`, both included, fractions too. */
export function fraction({ min, max }: { min: number; max: number }): OptionKind<number> {
  const decimal = z
    .string()
    .regex(/^\d{1,9}(\.\d{1,9})?$/)
    .transform(Number);
  return {
    schema: z.union([z.number(), decimal]).pipe(z.number().min(min).max(max)),
    allowed: `a number from ${min} to ${max}`,
    argument: "X",
  };
}

/** Text that a pattern matches whole; `allowed` says in words what the pattern says. */
export function text({
  pattern,
  allowed,
  argument,
}: {
  pattern: RegExp;
  allowed: string;
  argument: string;
}): OptionKind<string> {
  return { schema: z.string().regex(pattern), allowed, argument };
}

export function oneOf<const V extends string>(values: readonly [V, ...V[]]): OptionKind<V> {
  return { schema: z.enum(values), allowed: `one of ${values.join(", ")}`, argument: "WORD" };
}

/** On or off: `--name` or `--no-name` as a flag, true or false elsewhere. */
export function toggle(): OptionKind<boolean> {
  const word = z.enum(["true", "false", "1", "0"]).transform((value) => value === "true" || value === "1");
  return { schema: z.union([z.boolean(), word]), allowed: "true or false", argument: null };
}

/** An absolute URL of one of the protocols, without query and fragment. */
export function url(protocols: readonly string[]): OptionKind<string> {
  const names = protocols.map((protocol) => `${protocol}//`).join(" or ");
  return {
    schema: z.string().refine((value) => {
      const parsed = URL.parse(value);
      return (
        parsed !== null &&
        protocols.includes(parsed.protocol) &&
        parsed.hostname !== "" &&
        parsed.search === "" &&
        parsed.hash === ""
      );
    }),
    allowed: `a URL that begins with ${names}`,
    argument: "URL",
  };
}

/** One value for each of some nodes: `n1=value,n2=value` as text, an object in testudo.json. */
export function perNode<T>({
  value,
  nodesMax,
}: {
  value: OptionKind<T>;
  nodesMax: number;
}): OptionKind<Readonly<Record<string, T>>> {
  const pairs = z.string().transform((list, context) => {
    const found: Record<string, string> = {};
    for (const pair of list.split(",").filter((part) => part.trim() !== "")) {
      const at = pair.indexOf("=");
      const node = pair.slice(0, Math.max(at, 0)).trim();
      // An id twice is a slip of the pen that would drop a node in silence.
      if (at < 1 || Object.hasOwn(found, node)) {
        context.addIssue({ code: "custom", message: "not a list of pairs" });
        return z.NEVER;
      }
      found[node] = pair.slice(at + 1).trim();
    }
    return found;
  });
  const object = z.record(nodeIdKind.schema as z.ZodType<string, string>, value.schema);
  return {
    schema: z
      .union([z.record(z.string(), z.unknown()), pairs])
      .pipe(object)
      .refine((map) => Object.keys(map).length <= nodesMax)
      .transform((map) => Object.freeze(map)),
    allowed: `a list like n1=${value.argument ?? "true"},n2=${value.argument ?? "true"} of at most ${nodesMax} nodes, each value ${value.allowed}`,
    argument: `n1=${value.argument ?? "true"},…`,
  };
}

/** The name of a node: it stands in file names, logs and URLs. */
export const nodeIdKind: OptionKind<string> = text({
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/,
  allowed: "1 to 32 letters, digits, dots, dashes or underscores, the first one a letter or digit",
  argument: "ID",
});
