import type { Sessions } from "../session/sessions.ts";

/** Rooms of a name that did not keep the seats of players who were dropped. */
export interface UnkeptPlayers {
  readonly roomName: string;
  readonly roomIds: readonly string[];
}

const lookEveryMs = 50;

/**
 * Before the sessions begin. All who were attached to this node's earlier start are dropped then, as when a server falls.
 * @param tell called once that is done, if rooms have let any of them go
 */
export function watchUnkept(sessions: Sessions, tell: (unkept: readonly UnkeptPlayers[]) => void): void {
  const dropped = [...sessions.rooms].flatMap(([roomId, { birth, seats }]) =>
    [...seats.values()]
      .filter(({ attachment }) => attachment !== null)
      .map((seat) => ({ roomId, roomName: birth.roomName, seat, attachment: seat.attachment })),
  );
  const look = (): void => {
    const isOver = dropped.every(({ seat, attachment, roomId }) => {
      const now = sessions.room(roomId)?.seats.get(seat.sessionId);
      return now === undefined || now.attachment !== attachment;
    });
    if (!isOver) return sessions.later(look, lookEveryMs);
    const gone = dropped.filter(({ roomId, seat }) => !sessions.room(roomId)?.seats.has(seat.sessionId));
    const byName = Map.groupBy(gone, ({ roomName }) => roomName);
    const unkept = [...byName].map(([roomName, seats]) => ({
      roomName,
      roomIds: [...new Set(seats.map(({ roomId }) => roomId))],
    }));
    if (unkept.length > 0) tell(unkept);
  };
  if (dropped.length > 0) look();
}
