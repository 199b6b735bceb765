/**
 * What there is once a process, and not once a copy of its module: in a CommonJS project tsx makes another copy of ours for
 * the server than Node has made for the preload.
 */
export function processWide<T extends object>(name: string, make: () => T): T {
  const table = globalThis as Record<symbol, unknown>;
  const key = Symbol.for(`testudo.${name}`);
  table[key] ??= make();
  return table[key] as T;
}
