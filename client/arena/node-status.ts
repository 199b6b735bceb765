/** What `GET /testudo/status` of a node says, as far as the page shows it. */
export interface NodeStatus {
  readonly node: string;
  readonly pid: number;
  readonly region: string;
  readonly uptimeMs: number;
  /** Killing by button is allowed. */
  readonly development: boolean;
  readonly groups: readonly GroupStatus[];
  readonly rooms: readonly RoomStatus[];
  readonly peers: readonly PeerStatus[];
}

export interface GroupStatus {
  readonly id: string;
  readonly role: string;
  readonly term: number;
  /** The leader's node, as far as this node knows. */
  readonly leader: string | null;
  readonly commitIndex: number;
  readonly appliedIndex: number;
}

export interface RoomStatus {
  readonly roomId: string;
  readonly name: string;
  readonly group: string;
  readonly appliedIndex: number;
  /** Of the room's state, taken at `hashIndex`: equal indexes must have equal hashes. */
  readonly stateHash: string | null;
  readonly hashIndex: number | null;
}

export interface PeerStatus {
  readonly node: string;
  readonly state: string;
  readonly roundTripMs: number | null;
}

export interface Endpoint {
  readonly node: string;
  readonly region: string;
  /** Where the node serves clients: `http://host:port`. */
  readonly url: string;
}

/** @throws TypeError when it is something else than a status */
export function readStatus(value: unknown): NodeStatus {
  const status = value as Partial<NodeStatus> | null;
  if (typeof status?.node !== "string" || !Array.isArray(status.groups))
    throw new TypeError("not a node's status");
  return {
    node: status.node,
    pid: Number(status.pid),
    region: String(status.region ?? ""),
    uptimeMs: Number(status.uptimeMs ?? 0),
    development: status.development === true,
    groups: status.groups.map((group) => ({ ...group, id: String(group.id) })),
    rooms: Array.isArray(status.rooms)
      ? status.rooms.map((room) => ({ ...room, group: String(room.group) }))
      : [],
    peers: Array.isArray(status.peers) ? status.peers : [],
  };
}

/** @throws TypeError when it is something else than a list of endpoints */
export function readEndpoints(value: unknown): Endpoint[] {
  const { endpoints } = (value ?? {}) as { endpoints?: unknown };
  if (!Array.isArray(endpoints) || endpoints.length === 0) throw new TypeError("not a list of endpoints");
  return endpoints.map((endpoint: Partial<Endpoint>) => {
    const url = new URL(String(endpoint.url).replace(/^ws/, "http"));
    return { node: String(endpoint.node), region: String(endpoint.region ?? ""), url: url.origin };
  });
}
