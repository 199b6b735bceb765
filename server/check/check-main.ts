/** The process in which `testudo check` runs a studio's rooms: what they print or end is not the command line's. */
import { failureWords } from "../session/failure.ts";
import { AppError, loadRooms } from "./app-rooms.ts";
import type { CheckJob, CheckNews } from "./check-job.ts";
import { judgeRoom } from "./room-verdict.ts";

function say(news: CheckNews): Promise<void> {
  return new Promise((resolve) => process.send?.(news, () => resolve()));
}

async function run({ file, scripts, against }: CheckJob): Promise<void> {
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

process.once("message", (job) => {
  run(job as CheckJob)
    .then(
      () => say({ type: "done" }),
      (error: unknown) => {
        const { code = "CHECK_FAILED" } = error as { code?: string };
        return say({ type: "failed", code, message: failureWords(error) });
      },
    )
    .finally(() => process.exit(0));
});
