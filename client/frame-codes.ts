import { CloseCode, Protocol } from "@colyseus/sdk";

const protocolMask = 0x1f;

/** What a frame is: its first byte, but for the modifiers. */
export function codeOf(frame: Uint8Array): number {
  return (frame[0] ?? 0) & protocolMask;
}

/** The close codes after which the SDK, too, reconnects: the server is gone, the player did not leave. */
export const goneCodes: readonly number[] = [
  CloseCode.GOING_AWAY,
  CloseCode.NO_STATUS_RECEIVED,
  CloseCode.ABNORMAL_CLOSURE,
  CloseCode.MAY_TRY_RECONNECT,
];
export const messageCodes: readonly number[] = [Protocol.ROOM_DATA, Protocol.ROOM_DATA_BYTES];
export const commandCodes: readonly number[] = [...messageCodes, Protocol.ROOM_REQUEST];
export const stateCodes: readonly number[] = [Protocol.ROOM_STATE, Protocol.ROOM_STATE_PATCH];
