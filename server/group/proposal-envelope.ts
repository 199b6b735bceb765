import assert from "node:assert";
import type { ProposalId } from "../network/peer-message.ts";

/**
 * A command entry's data: `[u8 length of nodeId][nodeId, UTF-8][float64 LE bootCount][float64 LE sequence][command]`.
 */
export interface ProposalEnvelope {
  readonly id: ProposalId;
  readonly command: Uint8Array;
}

const numbersBytes = 16;
const nodeIdBytesMax = 255;

export function encodeEnvelope(id: ProposalId, command: Uint8Array): Uint8Array {
  const nodeIdBytes = Buffer.byteLength(id.nodeId);
  assert(nodeIdBytes >= 1 && nodeIdBytes <= nodeIdBytesMax, "a node id has 1 to 255 bytes");
  assert(isCount(id.bootCount) && isCount(id.sequence), "starts and sequences count from 1");
  const bytes = Buffer.allocUnsafeSlow(1 + nodeIdBytes + numbersBytes + command.length);
  bytes[0] = nodeIdBytes;
  bytes.write(id.nodeId, 1, "utf8");
  bytes.writeDoubleLE(id.bootCount, 1 + nodeIdBytes);
  bytes.writeDoubleLE(id.sequence, 1 + nodeIdBytes + 8);
  bytes.set(command, 1 + nodeIdBytes + numbersBytes);
  return bytes;
}

/** The command of what is such an envelope. */
export function commandOf(data: Uint8Array): Uint8Array {
  return data.subarray(1 + (data[0] ?? 0) + numbersBytes);
}

/** Null if it is not such an envelope. */
export function decodeEnvelope(data: Uint8Array): ProposalEnvelope | null {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  const nodeIdBytes = bytes[0] ?? 0;
  const commandAt = 1 + nodeIdBytes + numbersBytes;
  if (nodeIdBytes === 0 || bytes.length < commandAt) return null;
  const nodeId = bytes.toString("utf8", 1, 1 + nodeIdBytes);
  const bootCount = bytes.readDoubleLE(1 + nodeIdBytes);
  const sequence = bytes.readDoubleLE(1 + nodeIdBytes + 8);
  if (!isCount(bootCount) || !isCount(sequence)) return null;
  return { id: { nodeId, bootCount, sequence }, command: data.subarray(commandAt) };
}

function isCount(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 1;
}
