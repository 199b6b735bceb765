import type { RoomAct } from "./room-mark.ts";

/** What room code is about to do. */
export interface RoomActing {
  readonly group: number;
  readonly roomId: string;
  readonly act: RoomAct;
  readonly index: number;
}

/**
 * Is told before room code runs and after it has come back: whoever looks on from another thread can end a process that
 * it never comes back to, and say to the next start where that was (design 5.4). One room at a time.
 */
export interface RoomWatch {
  begin(acting: RoomActing): void;
  end(): void;
}

/** Nobody looks on. */
export const noRoomWatch: RoomWatch = Object.freeze({ begin: () => {}, end: () => {} });
