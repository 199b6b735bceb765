/** Where the preload leaves word that it has run. */
const registered = Symbol.for("testudo.registered");

export function hasPreload(): boolean {
  return (globalThis as Record<symbol, unknown>)[registered] === true;
}

/** @throws Error with what to do, if Node was started without the preload */
export function requirePreload(): void {
  if (hasPreload()) return;
  throw new Error(preloadMissing);
}

export const preloadMissing =
  "Testudo's preload is missing: start Node with `node --import testudo/register …`, so that rooms read the log's time and chance";
