/**
 * What the client wrapper and a Testudo node say to each other beyond Colyseus's own protocol.
 * Colyseus's codes are 0 to 31 in a frame's first byte (bits 0 to 4); 30 is free in 0.18.
 */
export const TESTUDO_CODE = 30;

/** Query parameter of the wrapper's WebSocket URL: its commands carry their own sequence numbers. */
export const WRAPPER_QUERY = "testudo";

/** Query parameter of a wrapper that comes back: all messages of the room to its seat up to this one have arrived. */
export const RECEIVED_QUERY = "received";

/** Where a node tells the addresses of all nodes: `{ endpoints: [{ node, region, url }] }`. */
export const ENDPOINTS_PATH = "/testudo/endpoints";

/**
 * So many requests of one seat may be unanswered: the nodes remember as many replies, so that none is lost with the
 * connection that it was sent over.
 */
export const UNANSWERED_MAX = 256;

const headerBytes = 5;
const resumptionBytes = 16;

/** Client to server: `[30][uint32 LE sequence][a stock frame]`. A seat's sequence numbers are 1, 2, 3, … over all its attachments. */
export function encodeCommand(sequence: number, frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerBytes + frame.length);
  bytes[0] = TESTUDO_CODE;
  new DataView(bytes.buffer).setUint32(1, sequence, true);
  bytes.set(frame, headerBytes);
  return bytes;
}

/** Server to client: `[30][uint32 LE sequence]`: every command up to this one is committed and applied. */
export function encodeAck(sequence: number): Uint8Array {
  return encodeCommand(sequence, new Uint8Array(0));
}

/**
 * Server to client, the first acknowledgement of each attachment: `[30][uint32 LE sequence][float64 LE received][float64 LE
 * lost]`. The room's messages to a seat are numbered 1, 2, 3, … over all its attachments, by their order alone: the next one
 * that comes is `received + 1`. `lost`: of those that this client lacks, so many are kept no longer.
 */
export function encodeResumption({
  sequence,
  received,
  lost,
}: {
  readonly sequence: number;
  readonly received: number;
  readonly lost: number;
}): Uint8Array {
  const numbers = new DataView(new ArrayBuffer(resumptionBytes));
  numbers.setFloat64(0, received, true);
  numbers.setFloat64(8, lost, true);
  return encodeCommand(sequence, new Uint8Array(numbers.buffer));
}

/** Of what an acknowledgement holds beside its number; null: it is not an attachment's first one. */
export function decodeResumption(frame: Uint8Array): { received: number; lost: number } | null {
  if (frame.length !== resumptionBytes) return null;
  const numbers = new DataView(frame.buffer, frame.byteOffset, frame.length);
  return { received: numbers.getFloat64(0, true), lost: numbers.getFloat64(8, true) };
}

const moveOn = 1;

/**
 * Server to client: `[30][1]`: go on at another node, this one is about to end; until then it serves. Too short for an
 * acknowledgement: wrappers that do not know it take it for nothing.
 */
export function encodeMoveOn(): Uint8Array {
  return new Uint8Array([TESTUDO_CODE, moveOn]);
}

export function isMoveOn(bytes: Uint8Array): boolean {
  return bytes.length === 2 && bytes[0] === TESTUDO_CODE && bytes[1] === moveOn;
}

/** Colyseus's modifiers of a code are the bits above it. */
const UNNUMBERED_CODE = TESTUDO_CODE | 0x20;

/** Server to client: `[30 | 32][a stock frame]`: a message of the room that is not one of the numbered ones. */
export function encodeUnnumbered(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + frame.length);
  bytes[0] = UNNUMBERED_CODE;
  bytes.set(frame, 1);
  return bytes;
}

/** The stock frame in it; null: it is not such a frame. */
export function decodeUnnumbered(bytes: Uint8Array): Uint8Array | null {
  return bytes[0] === UNNUMBERED_CODE ? bytes.subarray(1) : null;
}

/** The inverse of encodeCommand and encodeAck; null if it is not such a frame. */
export function decodeSequenced(bytes: Uint8Array): { sequence: number; frame: Uint8Array } | null {
  if (bytes.length < headerBytes || bytes[0] !== TESTUDO_CODE) return null;
  const sequence = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(1, true);
  return { sequence, frame: bytes.subarray(headerBytes) };
}
