import { SessionError } from "./session-error.ts";

const depthMax = 100;

/**
 * What goes through the log is the same on every node only if it is plain: null, undefined, booleans, numbers, bigints,
 * strings, Dates, Uint8Arrays, and arrays and ordinary objects of such. Anything else would arrive as something else.
 * @param name what paths begin with
 * @throws SessionError NOT_PLAIN_DATA, with the path
 */
export function checkPlainData(value: unknown, name: string): void {
  check(value, name, 0);
}

function check(value: unknown, path: string, depth: number): void {
  if (typeof value === "function") throw notPlain(path, "a function");
  if (typeof value === "symbol") throw notPlain(path, "a symbol");
  if (typeof value !== "object" || value === null) return;
  if (depth > depthMax) throw notPlain(path, `more than ${depthMax} levels deep, or refers to itself`);
  if (value instanceof Date || value instanceof Uint8Array) return;
  if (Array.isArray(value)) {
    for (const [at, each] of value.entries()) check(each, `${path}[${at}]`, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw notPlain(path, `a ${value.constructor?.name ?? "thing of no class"}`);
  for (const [key, each] of Object.entries(value)) check(each, `${path}.${key}`, depth + 1);
}

function notPlain(path: string, what: string): SessionError {
  return new SessionError(
    "NOT_PLAIN_DATA",
    `${path} is ${what}: only plain data goes through the log (null, booleans, numbers, strings, Dates, Uint8Arrays, arrays and ordinary objects of them)`,
  );
}
