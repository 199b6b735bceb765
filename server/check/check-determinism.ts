import { hasPreload, preloadMissing } from "../colyseus/preload/require-preload.ts";
import type { ReplicatedOptions } from "../colyseus/seam.ts";
import { CheckError } from "./check-error.ts";
import { type CheckReport, NotDeterministic } from "./check-report.ts";
import { type CheckScript, readScript } from "./check-script.ts";
import type { AnyRoomClass } from "./check-stage.ts";
import { checkRoom } from "./room-check.ts";

/** What `replicated(Room, options)` would be given, for a class that is not replicated yet. */
export interface CheckOptions extends ReplicatedOptions {
  /** What the room is called; by default as its class. */
  readonly roomName?: string;
}

/**
 * Runs a room class on several replicas in this process, by the commands that a script gives: one straight through, others
 * after rooms of the same class, with other environment variables and in another time zone, and one that is brought back to
 * life from its checkpoint after every step at which it is at rest. Tells where one differs from the first.
 * @throws CheckError PRELOAD_MISSING, SCRIPT_MALFORMED, SCRIPT_TOO_LONG, SCRIPT_TOO_BIG; SessionError NOT_SUPPORTED from replicated()
 */
export async function checkDeterminism(
  roomClass: AnyRoomClass,
  script: CheckScript,
  { roomName = roomClass.name, ...declared }: CheckOptions = {},
): Promise<CheckReport> {
  if (!hasPreload()) throw new CheckError("PRELOAD_MISSING", preloadMissing);
  const { report } = await checkRoom({ roomClass, roomName, declared }, { source: readScript(script) });
  return report;
}

/**
 * `checkDeterminism` for a test.
 * @throws NotDeterministic with the report, if a replica differs or something stands against replicating the class; and as
 * checkDeterminism
 */
export async function assertDeterminism(
  roomClass: AnyRoomClass,
  script: CheckScript,
  options: CheckOptions = {},
): Promise<CheckReport> {
  const report = await checkDeterminism(roomClass, script, options);
  if (!report.equal || report.problems.length > 0) throw new NotDeterministic(roomClass.name, report);
  return report;
}
