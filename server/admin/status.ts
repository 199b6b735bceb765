import type { TestudoNode } from "../cluster/node.ts";

export interface GroupStatusJson {
  readonly id: number;
  readonly role: string;
  readonly term: number;
  /** The leader's node, as far as this node knows. */
  readonly leader: string | null;
  readonly commitIndex: number;
  readonly appliedIndex: number;
}

export interface RoomStatusJson {
  readonly roomId: string;
  readonly name: string;
  readonly group: number;
  /** Taken, attached or not. */
  readonly seats: number;
  readonly appliedIndex: number;
  /** Of the room's graph, taken at `hashIndex`: to be compared with another node's at the same index. */
  readonly stateHash: string | null;
  readonly hashIndex: number | null;
  readonly atRest: boolean;
  /** Why it is not at rest, with the place in the room's code. */
  readonly restlessBecause: string | null;
  readonly pinned: boolean;
  readonly lastError: string | null;
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
  readonly groups: readonly GroupStatusJson[];
  readonly rooms: readonly RoomStatusJson[];
  readonly peers: readonly PeerStatusJson[];
}

export function buildStatus(node: TestudoNode, rooms: () => readonly RoomStatusJson[]): StatusJson {
  return {
    node: node.options.id,
    pid: process.pid,
    region: node.options.region,
    state: node.life.state,
    bootId: node.bootId,
    clusterId: node.founding?.clusterId ?? null,
    uptimeMs: node.uptimeMs,
    development: node.options.development,
    groups: node.groups().map(({ id, role, term, leader, commitIndex, appliedIndex }) => ({
      id,
      role,
      term,
      leader,
      commitIndex,
      appliedIndex,
    })),
    rooms: rooms(),
    peers: node.peers(),
  };
}
