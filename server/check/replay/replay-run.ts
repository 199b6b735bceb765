import { createReadStream } from "node:fs";
import { engineDifference, engineWords } from "../../colyseus/fingerprint/engine.ts";
import { ledBaseOf } from "../../colyseus/led/led-room.ts";
import { decodeExport } from "../../colyseus/room-export/export-file.ts";
import type { ExportHeader } from "../../colyseus/room-export/export-record.ts";
import type { StepPiece } from "../../session/led-program.ts";
import { sessionMenu } from "../../session/session-menu.ts";
import { loadRooms } from "../app-rooms.ts";
import { onStage } from "../check-stage.ts";
import { ledWords } from "./led-export.ts";
import { LedState } from "./led-state.ts";
import { LedSteps, reflectionOf } from "./led-steps.ts";
import { ReplayError } from "./replay-error.ts";
import type { ReplayJob, ReplayNews } from "./replay-job.ts";
import { RoomReplay } from "./room-replay.ts";

/**
 * A match once more, from its export. The whole file is read before any of the studio's code is: what is damaged runs
 * nothing. @throws {ReplayError} and what says that the file cannot be read, or the rooms not be had
 */
export async function runReplay(job: ReplayJob, say: (news: ReplayNews) => Promise<void>): Promise<void> {
  const { header, reflection } = await readWhole(job.file);
  checkRange(job, header);
  const warnings = checkEngine(job, header);
  const types = await loadRooms(job.app);
  const type = types.find(({ roomName }) => roomName === header.roomName);
  if (type === undefined) {
    const names = types.map(({ roomName }) => roomName).join(", ");
    throw new ReplayError(
      "ROOM_UNKNOWN",
      `the export is of a room "${header.roomName}", which ${job.app} does not define: ${names}`,
    );
  }
  const base = ledBaseOf(type.roomClass);
  const ledState = base === undefined ? null : LedState.from(reflection, base);
  if (base !== undefined) warnings.push(ledWarning(header, ledState));
  await say({ type: "begins", header, warnings });
  const replayed = await onStage({ ...type, declared: {} }, () =>
    new RoomReplay(header, job, say, ledState).run(decodeExport(createReadStream(job.file))),
  );
  await say({ type: "done", replayed });
}

async function readWhole(file: string): Promise<{ header: ExportHeader; reflection: Uint8Array | null }> {
  let header: ExportHeader | null = null;
  let reflection: Uint8Array | null = null;
  const steps = new LedSteps();
  for await (const record of decodeExport(createReadStream(file))) {
    if (record.type === "room") header = record;
    if (record.type !== "entries") continue;
    for (const { command } of record.entries) {
      if (reflection !== null) break;
      const { name, argument } = sessionMenu.decode(command);
      const step = name === "step" ? steps.take(argument as StepPiece) : null;
      if (step !== null) reflection = reflectionOf(step);
    }
  }
  // What has no header is refused as damaged.
  return { header: header as unknown as ExportHeader, reflection };
}

function ledWarning({ roomName }: ExportHeader, state: LedState | null): string {
  const shown = `${ledWords(roomName)}: each entry \`step\` shows what came of it`;
  if (state !== null) return shown;
  return `${shown}, but not the state: nobody joins within this export, and the class makes no state before onCreate`;
}

function checkRange({ to }: ReplayJob, { firstIndex, lastIndex, completeFrom }: ExportHeader): void {
  if (to === null || (to >= firstIndex && to <= lastIndex)) return;
  const from = completeFrom === "creation" ? "its creation" : "its last checkpoint";
  throw new ReplayError(
    "TO_OUT_OF_RANGE",
    `--to ${to}: the export has the room's entries ${firstIndex} (behind ${from}) to ${lastIndex}`,
  );
}

/** @returns what is to be said loudly */
function checkEngine({ otherEngine }: ReplayJob, { engine }: ExportHeader): string[] {
  const difference = engineDifference(engine, engineWords());
  if (difference === "") return [];
  const what = `the match was played on another engine: ${difference}`;
  if (otherEngine)
    return [
      `${what}: what follows may differ from what happened, and a difference may be the engine's alone`,
    ];
  throw new ReplayError(
    "ENGINE_DIFFERS",
    `${what}: numbers, sorting and local time may differ. Use the same Node.js, Testudo and Colyseus, and TZ=… and LC_ALL=… as the cluster has them; --other-engine replays it all the same, and the result may differ`,
  );
}
