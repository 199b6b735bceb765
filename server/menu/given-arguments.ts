import { KeeperError } from "./keeper-error.ts";

/** @param example what it may be @throws KeeperError ARGUMENT */
export function checkFields(given: unknown, what: string, example: string): asserts given is object {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new KeeperError("ARGUMENT", `${what} is ${kindOf(given)}: an object is expected, as ${example}`);
}

/** @throws KeeperError ARGUMENT */
export function checkFunction(given: unknown, what: string): void {
  if (typeof given !== "function")
    throw new KeeperError("ARGUMENT", `${what} is ${kindOf(given)}: a function is expected`);
}

export function kindOf(given: unknown): string {
  if (given === null || given === undefined) return String(given);
  if (Array.isArray(given)) return "an array";
  const kind = typeof given;
  return kind === "object" ? "an object" : `a ${kind}`;
}
