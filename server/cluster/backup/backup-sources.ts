import assert from "node:assert/strict";
import type { GroupEngine } from "../../group/engine.ts";
import { emptyConfiguration } from "../../raft/configuration.ts";
import type { Founding } from "../../raft/founding.ts";
import type { Storage, StorageContents } from "../../storage/storage.ts";
import type { Clock } from "../clock.ts";
import { NodeError } from "../node-error.ts";
import type { BackupSource } from "./take-backup.ts";

/** A node that runs: everything that was acknowledged before the backup began, and what came while it was taken. */
export function liveSource(parts: {
  readonly engine: GroupEngine;
  readonly storage: Storage;
  readonly founding: Founding | null;
  readonly nodeId: string;
  readonly clock: Clock;
}): BackupSource {
  const { engine, storage, founding, nodeId, clock } = parts;
  assert(founding !== null, "a cluster that is not founded has nothing to back up");
  return {
    clusterId: founding.clusterId,
    nodeId,
    groups: founding.groups,
    takenAtMs: Math.floor(clock.now().wallMs),
    foundingLevel: founding.level,
    level: Math.max(...engine.status().map(({ members }) => members.configuration.level)),
    caughtUp: (group) => engine.barrier(group),
    base: (group) => engine.log(group).base,
    listCheckpoints: (group) => storage.listCheckpoints(group),
    readCheckpoints: (group, read) => storage.readCheckpoints(group, read),
    entriesSince: (group, after) => engine.log(group).committedSince(after),
  };
}

/**
 * The folder of a node that does not run. Its whole log counts: what was committed last on the nodes that are lost may
 * stand in it or not, and nobody is left to ask.
 * @throws NODE_BLANK if it was never part of a cluster
 */
export function folderSource(storage: Storage, opened: StorageContents, wallMs: number): BackupSource {
  const { identity, groups } = opened;
  const { founding, nodeId } = identity;
  if (founding === null)
    throw new NodeError(
      "NODE_BLANK",
      `the data folder of ${nodeId} was never part of a cluster: it has nothing`,
    );
  const configuration = { ...emptyConfiguration, level: founding.level };
  const noBase = { index: 0, term: 0, logTimeMs: 0, wallTimeMs: 0, configuration };
  return {
    clusterId: founding.clusterId,
    nodeId,
    groups: founding.groups,
    takenAtMs: Math.floor(wallMs),
    foundingLevel: founding.level,
    level: identity.level,
    caughtUp: async () => {},
    base: (group) => groups.get(group)?.base ?? noBase,
    listCheckpoints: (group) => storage.listCheckpoints(group),
    readCheckpoints: (group, read) => storage.readCheckpoints(group, read),
    entriesSince: (group) => groups.get(group)?.entries ?? [],
  };
}
