import { setImmediate } from "node:timers/promises";
import type { AppliedCommand } from "../../group/machine.ts";
import { decodeEnvelope } from "../../group/proposal-envelope.ts";
import { decodeConfiguration } from "../../raft/configuration-codec.ts";
import type { Entry } from "../../raft/entry.ts";
import type { Verdicts } from "../../session/divergence/verdict.ts";
import type { Allocate } from "../../session/session-menu.ts";
import { sessionMenu } from "../../session/session-menu.ts";

/** So many are looked at in one turn: heartbeats go on meanwhile. */
const entriesPerTurn = 1_000;
/** Addressed to no room by name: what they do to one depends on that room alone. */
const groupWide: ReadonlySet<string> = new Set(["tick", "nodeLost", "nodeMissing", "nodeFound"]);
const endings: ReadonlySet<string> = new Set(["forget", "quarantine"]);

export interface RoomEntries {
  readonly entries: readonly AppliedCommand[];
  /** What created the room, if it is among them. */
  readonly creation: { readonly index: number; readonly roomName: string; readonly code: string } | null;
  /** It was to go on under other code. */
  readonly isSwitched: boolean;
  /** The entry that ended it, if it is among them. */
  readonly endedAt: number | null;
  /** Any of them names the room. */
  readonly isNamed: boolean;
}

/**
 * What of a group's log one room has applied; nothing that other rooms have said is among it.
 * @param levelBefore what was agreed on where the log begins
 */
export async function entriesOfRoom(
  log: readonly Entry[],
  roomId: string,
  levelBefore: number,
): Promise<RoomEntries> {
  const entries: AppliedCommand[] = [];
  let level = levelBefore;
  let creation: RoomEntries["creation"] = null;
  let isSwitched = false;
  let isNamed = false;
  for (const [at, entry] of log.entries()) {
    if (at % entriesPerTurn === entriesPerTurn - 1) await setImmediate();
    if (entry.type === "configuration") level = decodeConfiguration(entry.data).level;
    const envelope = entry.type === "command" ? decodeEnvelope(entry.data) : null;
    if (envelope === null) continue;
    const { index, term, logTimeMs, wallTimeMs } = entry;
    const place = { index, term, logTimeMs, wallTimeMs, level, id: envelope.id };
    const kept = (command: Uint8Array) => entries.push({ ...place, command });
    const { name, argument } = sessionMenu.decode(envelope.command);
    if (groupWide.has(name)) kept(envelope.command);
    else if (name === "verdicts") {
      const verdicts = (argument as Verdicts).verdicts.filter((verdict) => verdict.roomId === roomId);
      // Known in the log where it stands.
      const agreed = { level, heldBackBy: () => [] };
      if (verdicts.length > 0) kept(sessionMenu.encode("verdicts", { verdicts }, agreed));
    } else if ((argument as { roomId: string }).roomId === roomId) {
      isNamed = true;
      if (name === "switchCode") isSwitched = true;
      if (name === "allocate") {
        const { roomName, code } = argument as Allocate;
        creation ??= { index, roomName, code };
      }
      kept(envelope.command);
      if (endings.has(name)) return { entries, creation, isSwitched, endedAt: index, isNamed };
    }
  }
  return { entries, creation, isSwitched, endedAt: null, isNamed };
}
