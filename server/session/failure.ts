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

/** Framework and house: what a place in room code is not. */
const notRoomCode = /[\\/]node_modules[\\/]|[\\/]server[\\/](?:check|session|colyseus|group)[\\/]|\bnode:/;

/** `file:line` of one line of a stack trace; null: it names no file. */
export function placeOf(stackLine: string): string | null {
  const [, file, line] = /((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?):(\d+)(?::\d+)?\)?$/.exec(stackLine) ?? [];
  return file === undefined ? null : `${file.replace(/^file:\/\//, "")}:${line}`;
}

/** Where in room code a failure arose, as `file:line`; null: that is not known. */
export function failurePlace(failure: unknown): string | null {
  try {
    if (!(failure instanceof Error)) return null;
    const lines = String(failure.stack).split("\n");
    const line = lines.find((each) => /^\s*at /.test(each) && !notRoomCode.test(each));
    return line === undefined ? null : placeOf(line);
  } catch {
    return null;
  }
}
