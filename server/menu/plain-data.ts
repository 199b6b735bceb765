const depthMax = 100;

/**
 * What goes through the log is the same on every node only if it is plain: null, undefined, booleans, numbers, bigints,
 * strings, Dates, Uint8Arrays, and arrays and ordinary objects of such. Anything else would arrive as something else.
 * @param name what paths begin with
 * @returns what is wrong, with the path; null: it is plain
 */
export function plainDataFault(value: unknown, name: string): string | null {
  return fault(value, name, 0);
}

function fault(value: unknown, path: string, depth: number): string | null {
  if (typeof value === "function") return notPlain(path, "a function");
  if (typeof value === "symbol") return notPlain(path, "a symbol");
  if (typeof value !== "object" || value === null) return null;
  if (depth > depthMax) return notPlain(path, `more than ${depthMax} levels deep, or refers to itself`);
  if (value instanceof Date || value instanceof Uint8Array) return null;
  if (Array.isArray(value)) {
    for (const [at, each] of value.entries()) {
      const found = fault(each, `${path}[${at}]`, depth + 1);
      if (found !== null) return found;
    }
    return null;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    return notPlain(path, `a ${value.constructor?.name ?? "thing of no class"}`);
  for (const [key, each] of Object.entries(value)) {
    const found = fault(each, `${path}.${key}`, depth + 1);
    if (found !== null) return found;
  }
  return null;
}

function notPlain(path: string, what: string): string {
  return `${path} is ${what}: only plain data goes through the log (null, booleans, numbers, strings, Dates, Uint8Arrays, arrays and ordinary objects of them)`;
}
