import type { PeerMessage } from "../network/peer-message.ts";
import type { Member } from "../raft/configuration.ts";
import type { Now } from "../raft/ready.ts";
import type { Checkpoint } from "../storage/storage.ts";
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
  readonly log: Log;
  readonly saver: Saver;
  readonly settlements: Settlements;
  /** The clocks, as read for the present turn. */
  readonly now: () => Now;
  readonly isUp: (nodeId: string) => boolean;
  readonly send: (nodeId: string, message: PeerMessage) => void;
  readonly bufferedBytes: (nodeId: string) => number;
  /** The answer comes back through the pipe, into `checkpointsRead`. */
  readonly readCheckpoints: (group: number, snapshotId: number) => void;
}

/** The engine's own parts, as its groups see them. */
interface HostParts extends Pick<GroupHost, "engine" | "saver" | "settlements" | "now" | "isUp"> {
  readonly push: (event: EngineEvent) => void;
  readonly failed: (error: unknown) => void;
}

export function groupHost(
  construction: EngineConstruction,
  { push, failed, ...parts }: HostParts,
): GroupHost {
  const { self, bootCount, random, log, network, storage } = construction;
  return {
    ...parts,
    self,
    bootCount,
    random,
    log,
    send: (nodeId, message) => network.send(nodeId, message),
    bufferedBytes: (nodeId) => network.bufferedBytes(nodeId),
    readCheckpoints: (group, snapshotId) => {
      const readAll = async () => {
        const keys = [...(await storage.listCheckpoints(group)).keys()];
        const read = await storage.readCheckpoints(group, { keys, bytesMax: Number.POSITIVE_INFINITY });
        const checkpoints = new Map<string, Checkpoint>();
        for (const [key, checkpoint] of read) if (checkpoint !== null) checkpoints.set(key, checkpoint);
        push({ type: "checkpointsRead", group, snapshotId, checkpoints });
      };
      readAll().catch(failed);
    },
  };
}
