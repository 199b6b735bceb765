/**
 * What the client wrapper and a Testudo node say to each other beyond Colyseus's own protocol.
 * Colyseus's codes are 0 to 31 in a frame's first byte (bits 0 to 4); 30 is free in 0.18.
 */
export const TESTUDO_CODE = 30;

/** Query parameter of the wrapper's WebSocket URL: its commands carry their own sequence numbers. */
export const WRAPPER_QUERY = "testudo";

/** Where a node tells the addresses of all nodes: `{ endpoints: [{ node, region, url }] }`. */
export const ENDPOINTS_PATH = "/testudo/endpoints";

/**
 * So many requests of one seat may be unanswered: the nodes remember as many replies, so that none is lost with the
 * connection that it was sent over.
 */
export const UNANSWERED_MAX = 256;

const headerBytes = 5;

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

/** The inverse of both; null if it is not such a frame. */
export function decodeSequenced(bytes: Uint8Array): { sequence: number; frame: Uint8Array } | null {
  if (bytes.length < headerBytes || bytes[0] !== TESTUDO_CODE) return null;
  const sequence = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(1, true);
  return { sequence, frame: bytes.subarray(headerBytes) };
}
