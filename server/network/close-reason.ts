/**
 * Why a link or a connection was closed: the WebSocket close codes that nodes send each other.
 * The close frame's text is `NAME: what exactly`.
 */
export const closeCodes = Object.freeze({
  HANDSHAKE_GARBLED: 4400,
  SECRET_WRONG: 4401,
  VERSION_DIFFERS: 4402,
  CLUSTER_DIFFERS: 4403,
  NODE_UNEXPECTED: 4404,
  NODE_DUPLICATE: 4405,
  OWN_ID: 4406,
  DIRECTION_WRONG: 4407,
  HANDSHAKE_TIMEOUT: 4408,
  CONNECTIONS_TOO_MANY: 4409,
  STRANGERS_TOO_MANY: 4414,
  LEVEL_DIFFERS: 4416,
  FRAME_TOO_LONG: 4410,
  FRAME_GARBLED: 4411,
  FRAME_VERSION: 4412,
  MESSAGE_UNKNOWN: 4413,
  OVERFLOW: 4420,
  SILENT: 4421,
  REPLACED: 4422,
  CLOSING: 4423,
});

export type CloseReason = keyof typeof closeCodes;

const names = new Map<number, string>(Object.entries(closeCodes).map(([name, code]) => [code, name]));
// Codes of the WebSocket protocol itself: no close frame at all, and a message past the receiver's limit.
names.set(1006, "RESET");
names.set(1009, "FRAME_TOO_LONG");

/** A close frame carries at most 123 bytes of text. */
const textBytesMax = 123;

/** The name of a close code; `CLOSE_<code>` for one that nodes do not use. */
export function closeName(code: number): string {
  return names.get(code) ?? `CLOSE_${code}`;
}

/** The text for a close frame, cut to what fits. */
export function closeText(reason: CloseReason, detail: string): string {
  const text = `${reason}: ${detail}`;
  const bytes = Buffer.from(text);
  if (bytes.length <= textBytesMax) return text;
  // A character that was cut in two becomes U+FFFD, which may be longer: leave it out.
  return bytes
    .subarray(0, textBytesMax)
    .toString()
    .replace(/\uFFFD$/, "");
}

/** A connection that must not become a link, or a link that must end: said to the other side, and logged. */
export class LinkRefused extends Error {
  readonly reason: CloseReason;

  constructor(reason: CloseReason, detail: string) {
    super(detail);
    this.name = "LinkRefused";
    this.reason = reason;
  }
}
