/** The connection was closed without a code: RFC 6455 §7.1.5; what `client.leave()` does in Colyseus, too. */
export const noStatus = 1005;

/** RFC 6455 §5.5: a control frame has 125 bytes, two of them the code. */
const reasonBytesMax = 123;
const reserved: ReadonlySet<number> = new Set([1004, 1005, 1006]);

function isCloseCode(code: unknown): boolean {
  if (typeof code !== "number" || !Number.isInteger(code)) return false;
  return (code >= 1000 && code <= 1014 && !reserved.has(code)) || (code >= 3000 && code <= 4999);
}

/**
 * The node that has the socket could not close it like that, long after room code has gone on: room code is told, on every
 * replica.
 * @throws RangeError
 */
export function checkClose(what: string, code: unknown, reason: unknown): void {
  if (code !== undefined && !isCloseCode(code))
    throw new RangeError(
      `${what}: a close code is 1000 to 1014, except 1004 to 1006, or 3000 to 4999, and is ${String(code)}; games use 4000 to 4999`,
    );
  if (reason === undefined) return;
  const bytes = typeof reason === "string" ? Buffer.byteLength(reason) : Number.NaN;
  if (!(bytes <= reasonBytesMax))
    throw new RangeError(
      `${what}: the reason of a close is a string of at most ${reasonBytesMax} bytes of UTF-8, and is ${typeof reason === "string" ? `one of ${bytes}` : typeof reason}; send the rest as a message`,
    );
}

/** As much of it as a close frame takes. */
export function fittingReason(reason: string): string {
  if (Buffer.byteLength(reason) <= reasonBytesMax) return reason;
  const cut = Buffer.from(reason).subarray(0, reasonBytesMax - 3);
  // A character that was cut in two goes.
  return cut.toString().replace(/\uFFFD+$/, "");
}
