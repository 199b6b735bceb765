import { createReadStream } from "node:fs";
import { decodeExport } from "../../colyseus/room-export/export-file.ts";
import { sessionMenu } from "../../session/session-menu.ts";
import { ReplayError } from "./replay-error.ts";

/** Before a debugger is waited for. @throws {ReplayError} NO_CODE_RUNS, and what says that the file cannot be read */
export async function checkCodeRuns(file: string): Promise<void> {
  let roomName = "";
  for await (const record of decodeExport(createReadStream(file))) {
    if (record.type === "room") roomName = record.roomName;
    if (record.type !== "entries") continue;
    for (const { command } of record.entries)
      if (sessionMenu.decode(command).name === "beginRun")
        throw new ReplayError(
          "NO_CODE_RUNS",
          `${ledWords(roomName)}: a debugger would find nothing to stop at; --state and --to, without --inspect, show what each step came to`,
        );
  }
}

export function ledWords(roomName: string): string {
  return `the code of "${roomName}" ran on its leader alone ({ run: "leader" }), and is not run again`;
}
