import { AppError, loadRooms } from "./app-rooms.ts";
import type { CheckJob, CheckNews } from "./check-job.ts";
import { judgeRoom } from "./room-verdict.ts";

/** Judges a studio's rooms one by one. @throws AppError */
export async function runCheck(
  { file, scripts, against }: CheckJob,
  say: (news: CheckNews) => Promise<void>,
): Promise<void> {
  const types = await loadRooms(file);
  const unknown = Object.keys(scripts).find((name) => !types.some(({ roomName }) => roomName === name));
  if (unknown !== undefined) {
    const names = types.map(({ roomName }) => roomName).join(", ");
    throw new AppError(
      "NO_ROOMS",
      `the scripts have one for "${unknown}", which is no room of ${file}: ${names}`,
    );
  }
  for (const type of types) {
    const { roomName } = type;
    if (against !== null && against[roomName] === undefined) continue;
    await say({ type: "begins", room: roomName });
    const judged = await judgeRoom(type, scripts[roomName] ?? null, against?.[roomName]);
    await say({ type: "judged", judged });
  }
}
