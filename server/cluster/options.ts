import { resolve } from "node:path";
import { leadPriorityMax } from "./lead-rank.ts";
import { OptionError, type OptionOrigin } from "./option-error.ts";
import {
  fraction,
  nodeIdKind,
  type OptionKind,
  oneOf,
  perNode,
  text,
  toggle,
  url,
  wholeNumber,
} from "./option-kind.ts";
import { describeOptions, type OptionInputs, type OptionSpec, readOptions } from "./option-sources.ts";
import { decideSecret, secretKind } from "./secret-option.ts";

/** Nodes of one cluster, this one included. */
export const nodesMax = 16;
/** A plain room may be a match of hours. */
export const drainTimeoutMsMax = 86_400_000;
export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export const nodeDefaults = Object.freeze({
  id: "n1",
  host: "0.0.0.0",
  port: 2567,
  peerHost: "0.0.0.0",
  peerPort: 2667,
  region: "local",
  homeRegion: "",
  leadPriority: 50,
  groups: 4,
  development: false,
  memory: false,
  shadowRestore: false,
  code: "",
  logLevel: "info" as LogLevel,
  electionTimeoutBaseMs: 50,
  fastFailover: true,
  nodeLostMs: 1000,
  leaderlessMs: 1000,
  drainTimeoutMs: 20_000,
  stopTimeoutMs: 5000,
  applyLimitMs: 5000,
  roomLogBytesMax: 64 << 20,
  logHistoryBytes: 0,
});

/** How one node runs. Times in milliseconds. */
export interface NodeOptions {
  readonly id: string;
  /** Where clients and the page are served. */
  readonly host: string;
  readonly port: number;
  /** Where the other nodes reach this one. */
  readonly peerHost: string;
  readonly peerPort: number;
  /** What clients are told to reach this node by: http:// or https://, without a slash at the end. */
  readonly publicUrl: string;
  readonly region: string;
  /** Nodes of this region lead before those of others; "": all regions are equal. */
  readonly homeRegion: string;
  /** Among the nodes of a region those of the highest priority lead. 0 to 100; 0: only if nobody else can. */
  readonly leadPriority: number;
  /** Where others reach this node, if --peers says so. */
  readonly peerUrl: string | null;
  /** The *other* nodes that it begins with, by id: ws://host:port. */
  readonly peers: Readonly<Record<string, string>>;
  /** An absolute path. */
  readonly data: string;
  /** Instead of `data`: a cluster of this node alone, of which nothing outlives the process. */
  readonly memory: boolean;
  readonly secret: string;
  /** Counts at the founding only: 1 to 64. */
  readonly groups: number;
  readonly development: boolean;
  /** Every checkpoint is brought back to life beside its room, and compared: at the cost of a restore each. */
  readonly shadowRestore: boolean;
  /** Added before each send to a node, by id. */
  readonly linkDelayMs: Readonly<Record<string, number>>;
  /** The part of what is sent to a node that gets lost, by id: 0 to 0.9. */
  readonly linkLoss: Readonly<Record<string, number>>;
  /** The version of the game's code: a room runs only on nodes that have the one under which it was made. */
  readonly code: string;
  readonly logLevel: LogLevel;
  /** T of design 4.3: heartbeats every T, elections after 2T to 4T without a leader. */
  readonly electionTimeoutBaseMs: number;
  /**
   * A closed link to a leader begins an election at once. False: only silence does, and leaders may answer reads on a
   * lease. Nodes that differ in it do no harm: a lease rests on what each voter promises.
   */
  readonly fastFailover: boolean;
  /** A node without a link for so long is lost: its seats are detached. */
  readonly nodeLostMs: number;
  /** A group without a leader for so long: its clients are sent elsewhere. */
  readonly leaderlessMs: number;
  /** A node that is to end waits so long for its clients, and its plain rooms, to be gone. */
  readonly drainTimeoutMs: number;
  readonly stopTimeoutMs: number;
  /** Room code that has not come back by then ends the node; its room is closed everywhere. */
  readonly applyLimitMs: number;
  /** A room that is never at rest holds back so much of its group's log at most: see EngineOptions. 64 KiB to 128 MiB. */
  readonly roomLogBytesMax: number;
  /** Of each group's log, kept behind the checkpoints for `testudo rooms export`: in memory, too. 0 to 256 MiB. */
  readonly logHistoryBytes: number;
}

export const hostKind = text({
  pattern: /^[A-Za-z0-9.:_-]{1,253}$/,
  allowed: "a host name or an IP address",
  argument: "HOST",
});
export const portKind = wholeNumber({ min: 1, max: 65_535 });
export const pathKind = text({ pattern: /^[^\0]{1,4096}$/, allowed: "a path", argument: "PATH" });
function orNull<T>(kind: OptionKind<T>): OptionSpec<T | null>["kind"] {
  return kind;
}

const regionKind = text({
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/,
  allowed: "1 to 32 letters, digits, dots, dashes or underscores",
  argument: "NAME",
});

const codeKind = text({
  pattern: /^[A-Za-z0-9._+-]{0,64}$/,
  allowed: "at most 64 letters, digits, dots, dashes, underscores or plus signs",
  argument: "VERSION",
});

const sharedTable = {
  region: { kind: regionKind, fallback: nodeDefaults.region, summary: "the region that the node is in" },
  groups: {
    kind: wholeNumber({ min: 1, max: 64 }),
    fallback: nodeDefaults.groups,
    summary: "how many groups of rooms the cluster is founded with",
  },
  linkDelayMs: {
    kind: perNode({ value: wholeNumber({ min: 0, max: 10_000 }), nodesMax }),
    fallback: Object.freeze({}) as Readonly<Record<string, number>>,
    summary: "imitate distance: delay what goes to these nodes, in ms",
  },
  linkLoss: {
    kind: perNode({ value: fraction({ min: 0, max: 0.9 }), nodesMax }),
    fallback: Object.freeze({}) as Readonly<Record<string, number>>,
    summary: "imitate bad lines: lose this part of what goes to these nodes",
  },
  code: {
    kind: codeKind,
    fallback: nodeDefaults.code,
    summary: "the version of the game's code, such as a commit: a room runs only where its version is",
  },
  logLevel: {
    kind: oneOf(logLevels),
    fallback: nodeDefaults.logLevel,
    summary: "the least level that is logged",
  },
  electionTimeoutBaseMs: {
    kind: wholeNumber({ min: 10, max: 60_000 }),
    fallback: nodeDefaults.electionTimeoutBaseMs,
    summary: "T in ms: heartbeats go out every T, a follower waits 2T to 4T for its leader",
  },
  fastFailover: {
    kind: toggle(),
    fallback: nodeDefaults.fastFailover,
    summary: "elect as soon as the link to a leader closes; without it leaders hold leases",
  },
  nodeLostMs: {
    kind: wholeNumber({ min: 100, max: 600_000 }),
    fallback: nodeDefaults.nodeLostMs,
    summary: "ms without a link after which a node counts as lost",
  },
  leaderlessMs: {
    kind: wholeNumber({ min: 100, max: 600_000 }),
    fallback: nodeDefaults.leaderlessMs,
    summary: "ms without a leader after which a group's clients are sent elsewhere",
  },
  drainTimeoutMs: {
    kind: wholeNumber({ min: 0, max: drainTimeoutMsMax }),
    fallback: nodeDefaults.drainTimeoutMs,
    summary:
      "ms that a stop may wait for clients to go to other nodes, and for plain rooms to end; 0: not at all",
  },
  stopTimeoutMs: {
    kind: wholeNumber({ min: 100, max: 600_000 }),
    fallback: nodeDefaults.stopTimeoutMs,
    summary: "ms that a clean stop may take after that",
  },
  applyLimitMs: {
    kind: wholeNumber({ min: 200, max: 600_000 }),
    fallback: nodeDefaults.applyLimitMs,
    summary: "ms that a room's code may take at once: then the node ends, and the room is closed everywhere",
  },
  roomLogBytesMax: {
    kind: wholeNumber({ min: 64 << 10, max: 128 << 20 }),
    fallback: nodeDefaults.roomLogBytesMax,
    summary:
      "bytes of the log that a room which is never at rest holds back: past it no restart brings it back",
  },
  logHistoryBytes: {
    kind: wholeNumber({ min: 0, max: 256 << 20 }),
    fallback: nodeDefaults.logHistoryBytes,
    summary:
      "bytes of each group's log kept for testudo rooms export, in memory too; 0: as the nodes need it",
  },
};

/** What the starter hands through to every node as it is. */
export const passedTable: typeof sharedTable = sharedTable;

const nodeTable = {
  id: { kind: nodeIdKind, fallback: nodeDefaults.id, summary: "the node's name in its cluster" },
  host: { kind: hostKind, fallback: nodeDefaults.host, summary: "where clients and the page are served" },
  port: { kind: portKind, fallback: nodeDefaults.port, summary: "the port for clients and the page" },
  peerHost: { kind: hostKind, fallback: nodeDefaults.peerHost, summary: "where other nodes reach this one" },
  peerPort: { kind: portKind, fallback: nodeDefaults.peerPort, summary: "the port for other nodes" },
  publicUrl: {
    kind: orNull(url(["http:", "https:"])),
    fallback: null,
    summary: "what clients reach this node by; needed when a peer is on another machine",
  },
  peers: {
    kind: perNode({ value: url(["ws:"]), nodesMax }),
    fallback: Object.freeze({}) as Readonly<Record<string, string>>,
    summary: "the nodes of the cluster to begin with; this one may be among them",
  },
  memory: {
    kind: toggle(),
    fallback: nodeDefaults.memory,
    summary:
      "keep everything in memory, which ends with the process: for development and tests, without peers",
  },
  data: {
    kind: orNull(pathKind),
    fallback: null,
    summary: "the folder of the node's data; by default data/ID",
  },
  secret: {
    kind: orNull(secretKind),
    fallback: null,
    summary: "what the nodes of a cluster know each other by; needed with peers",
    hidden: true as const,
  },
  secretFile: {
    kind: orNull(pathKind),
    fallback: null,
    summary: "a file that holds the secret, instead of --secret",
  },
  homeRegion: {
    kind: regionKind,
    fallback: nodeDefaults.homeRegion,
    summary: "the region whose nodes should lead; by default all regions are equal",
  },
  leadPriority: {
    kind: wholeNumber({ min: 0, max: leadPriorityMax }),
    fallback: nodeDefaults.leadPriority,
    summary: "how much the node should lead; 0: only if no other can",
  },
  development: { kind: toggle(), fallback: nodeDefaults.development, summary: "let the page kill nodes" },
  shadowRestore: {
    kind: orNull(toggle()),
    fallback: null,
    summary: "bring each checkpoint of a room back at once and compare; by default with --development",
  },
  ...sharedTable,
};

export type ParsedOptions<Options> =
  | { readonly type: "options"; readonly options: Options }
  | { readonly type: "help"; readonly text: string };

/**
 * The options of one node.
 * @throws OptionError, whose message is one line for the operator.
 */
export function readNodeOptions(inputs: OptionInputs): ParsedOptions<NodeOptions> {
  const { values, origins, helpWanted } = readOptions(nodeTable, inputs);
  if (helpWanted) return { type: "help", text: describeOptions(nodeTable, "node server/main.ts [options]") };
  const { secretFile, ...rest } = values;
  const peers = Object.fromEntries(Object.entries(values.peers).filter(([id]) => id !== values.id));
  const options = {
    ...rest,
    // A restore each costs time on the thread that serves the rooms: while a room is written, not while it is played.
    shadowRestore: values.shadowRestore ?? values.development,
    peers: Object.freeze(peers),
    peerUrl: values.peers[values.id] ?? null,
    publicUrl: values.publicUrl?.replace(/\/+$/, "") ?? `http://${urlHost(values.host)}:${values.port}`,
    data: resolve(inputs.cwd, values.data ?? `data/${values.id}`),
    secret: decideSecret({
      secret: values.secret,
      secretFile,
      origins,
      cwd: inputs.cwd,
      alone: Object.keys(peers).length === 0,
    }),
  };
  checkTogether(options, origins, values.publicUrl !== null);
  return { type: "options", options: Object.freeze(options) };
}

/** What depends on more than one option. */
function checkTogether(
  options: NodeOptions,
  origins: Readonly<Record<string, OptionOrigin>>,
  publicUrlGiven: boolean,
): void {
  const wrong = (option: keyof NodeOptions, allowed: string) =>
    new OptionError({
      option,
      origin: origins[option] ?? { type: "default" },
      value: options[option],
      allowed,
    });
  if (options.peerPort === options.port) throw wrong("peerPort", "another port than --port");
  if (Object.keys(options.peers).length >= nodesMax)
    throw wrong("peers", `at most ${nodesMax} nodes with this one`);
  if (options.memory) checkAlone(options, origins, wrong);
  const known = new Set([options.id, ...Object.keys(options.peers)]);
  for (const option of ["linkDelayMs", "linkLoss"] as const) {
    const stranger = Object.keys(options[option]).find((id) => !known.has(id));
    if (stranger !== undefined) throw wrong(option, `about nodes of --peers, which ${stranger} is not`);
  }
  // Clients elsewhere would be told to come to their own machine.
  const far = Object.values(options.peers).find((peer) => !isLoopback(new URL(peer).hostname));
  if (far !== undefined && !publicUrlGiven && (isWildcard(options.host) || isLoopback(options.host))) {
    throw wrong("publicUrl", `given, since ${far} is on another machine and --host is ${options.host}`);
  }
}

function checkAlone(
  { peers }: NodeOptions,
  origins: Readonly<Record<string, OptionOrigin>>,
  wrong: (option: keyof NodeOptions, allowed: string) => OptionError,
): void {
  if (Object.keys(peers).length > 0)
    throw wrong(
      "memory",
      "false, or no other node in --peers: what is in memory only is in one process only",
    );
  if (origins["data"]?.type !== "default")
    throw wrong("data", "left out, since with --memory nothing comes to a disk");
}

export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127\./.test(host);
}

/** A host as it stands in a URL that a browser on this machine can open. */
export function urlHost(host: string): string {
  if (isWildcard(host) || isLoopback(host)) return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
