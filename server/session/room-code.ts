/**
 * What a room runs under, as its creating entry and its checkpoints have it: GAME@ENGINE. The game is a name that an
 * operator gives, or a hash of its files; the engine is a hash of what it is computed with.
 */
export function roomCode(game: string, engine: string): string {
  return `${game}@${engine}`;
}

/** What the studio's own code is told of. */
export function gameOf(code: string): string {
  return code.split("@", 1)[0] ?? "";
}

export function engineOf(code: string): string {
  return code.slice(gameOf(code).length + 1);
}
