import type { PeerMessage } from "../network/peer-message.ts";
import type { Member } from "../raft/configuration.ts";
import { type Levels, levels } from "../raft/level.ts";
import type { Now } from "../raft/ready.ts";
import type { Checkpoint, CheckpointMark, CheckpointRead } from "../storage/storage.ts";
import type { EngineConstruction } from "./engine-construction.ts";
import type { EngineEvent } from "./engine-event.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Log } from "./log.ts";
import type { Saver } from "./saver.ts";
import type { Settlements } from "./settlements.ts";

/** What the groups of one node share. */
export interface GroupHost {
  readonly self: Member;
  readonly bootCount: number;
  readonly engine: EngineOptions;
  readonly random: () => number;
  readonly levels: Levels;
  readonly log: Log;
  readonly saver: Saver;
  readonly settlements: Settlements;
  /** Before anything happens to a group. */
  readonly wake: (group: number) => void;
  /** The clocks, as read for the present turn. */
  readonly now: () => Now;
  readonly isUp: (nodeId: string) => boolean;
  readonly send: (nodeId: string, message: PeerMessage) => void;
  readonly bufferedBytes: (nodeId: string) => number;
  /** The answer comes back through the pipe. */
  readonly listCheckpoints: (
    group: number,
    done: (checkpoints: ReadonlyMap<string, CheckpointMark>) => void,
  ) => void;
  /** The answer comes back through the pipe. */
  readonly readCheckpoints: (
    group: number,
    read: CheckpointRead,
    done: (checkpoints: ReadonlyMap<string, Checkpoint | null>) => void,
  ) => void;
}

/** The engine's own parts, as its groups see them. */
interface HostParts extends Pick<GroupHost, "engine" | "saver" | "settlements" | "now" | "isUp" | "wake"> {
  readonly push: (event: EngineEvent) => void;
  readonly failed: (error: unknown) => void;
}

export function groupHost(
  construction: EngineConstruction,
  { push, failed, ...parts }: HostParts,
): GroupHost {
  const { self, bootCount, random, levels: known = levels, log, network, storage } = construction;
  const answered = <T>(answer: Promise<T>, done: (answer: T) => void) => {
    answer.then((value) => push({ type: "read", done: () => done(value) }), failed);
  };
  return {
    ...parts,
    self,
    bootCount,
    random,
    levels: known,
    log,
    send: (nodeId, message) => {
      // What waited for the disk is not for a start of that node that nobody here has admitted yet.
      if (parts.isUp(nodeId)) network.send(nodeId, message);
    },
    bufferedBytes: (nodeId) => network.bufferedBytes(nodeId),
    listCheckpoints: (group, done) => answered(storage.listCheckpoints(group), done),
    readCheckpoints: (group, read, done) => answered(storage.readCheckpoints(group, read), done),
  };
}
