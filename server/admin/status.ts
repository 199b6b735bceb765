import type { TestudoNode } from "../cluster/node.ts";
import type { NodeCodeStatus } from "../colyseus/fingerprint/node-codes.ts";
import type { RoomFailures } from "../colyseus/room-failures.ts";
import type { RoomStatus } from "../colyseus/room-status.ts";
import type { LevelStatus } from "../group/group-status.ts";
import { type Levels, levels } from "../raft/level.ts";
import type { DivergenceCounts } from "../session/divergence/divergence-book.ts";
import type { EventualCounts } from "../session/eventuals.ts";

export interface GroupStatusJson {
  readonly id: number;
  readonly role: string;
  readonly term: number;
  /** The leader's node, as far as this node knows. */
  readonly leader: string | null;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  /** It has nothing to do, and is left alone until something happens. */
  readonly isAsleep: boolean;
  /** What its members have agreed on, and who keeps them from what this node's version of Testudo knows. */
  readonly level: LevelStatus;
}

export interface PeerStatusJson {
  readonly node: string;
  readonly state: "connecting" | "up" | "down";
  /** Null until it was measured on the present link. */
  readonly roundTripMs: number | null;
}

/** What `GET /testudo/status` answers. */
export interface StatusJson {
  readonly node: string;
  readonly pid: number;
  readonly region: string;
  /** `starting` … `failed`, as in cluster/node-life. */
  readonly state: string;
  readonly bootId: string;
  readonly clusterId: string | null;
  readonly uptimeMs: number;
  readonly development: boolean;
  /** How much this node should lead, 0 to 100. */
  readonly leadPriority: number;
  /** What this node's version of Testudo can read and write. */
  readonly levels: Levels;
  readonly groups: readonly GroupStatusJson[];
  /** What each node runs rooms with, this one first; empty until it serves. */
  readonly codes: readonly NodeCodeStatus[];
  readonly rooms: readonly RoomStatus[];
  readonly roomFailures: RoomFailures;
  readonly peers: readonly PeerStatusJson[];
  /** How often a replica of this node was found to differ from the others', since its start. */
  readonly divergences: DivergenceCounts;
  /** Messages that are in no log, since this node's start: run here, and dropped because too much waited. */
  readonly eventuals: EventualCounts;
}

const noDivergences: DivergenceCounts = { count: 0, healed: 0, newest: [] };
const noFailures: RoomFailures = { standing: [], quarantined: [], quarantines: 0 };

export function buildStatus({
  node,
  rooms,
  divergences,
  eventuals,
  roomFailures,
  codes,
}: {
  readonly node: TestudoNode;
  readonly rooms: () => readonly RoomStatus[];
  readonly divergences?: () => DivergenceCounts;
  readonly eventuals?: () => EventualCounts;
  readonly roomFailures?: () => RoomFailures;
  readonly codes?: () => readonly NodeCodeStatus[];
}): StatusJson {
  return {
    node: node.options.id,
    pid: process.pid,
    region: node.options.region,
    state: node.life.state,
    bootId: node.bootId,
    clusterId: node.founding?.clusterId ?? null,
    uptimeMs: node.uptimeMs,
    development: node.options.development,
    leadPriority: node.options.leadPriority,
    levels,
    groups: node.groups().map(({ id, role, term, leader, commitIndex, appliedIndex, isAsleep, level }) => ({
      id,
      role,
      term,
      leader,
      commitIndex,
      appliedIndex,
      isAsleep,
      level,
    })),
    codes: codes?.() ?? [],
    rooms: rooms(),
    roomFailures: roomFailures?.() ?? noFailures,
    peers: node.peers(),
    divergences: divergences?.() ?? noDivergences,
    eventuals: eventuals?.() ?? { run: 0, dropped: 0 },
  };
}
