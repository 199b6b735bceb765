/** What a failure of room code says. Room code may throw anything, even what cannot be put into words. */
export function failureWords(failure: unknown): string {
  try {
    return String(failure instanceof Error ? failure.message : failure);
  } catch {
    return "a failure without words";
  }
}

/** Colyseus's own code, where room code or the stock room gave one. */
export function failureCode(failure: unknown): number | undefined {
  try {
    const code = (failure as { code?: unknown } | null | undefined)?.code;
    return typeof code === "number" ? code : undefined;
  } catch {
    return undefined;
  }
}
