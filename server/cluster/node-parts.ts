import { randomBytes } from "node:crypto";
import type { EngineOptions } from "../group/engine-options.ts";
import { Links } from "../network/links.ts";
import type { Network, PeerIdentity } from "../network/network.ts";
import type { Levels } from "../raft/level.ts";
import { LevelDatabase } from "../storage/level-database.ts";
import { LevelStorage } from "../storage/level-storage.ts";
import type { Storage } from "../storage/storage.ts";
import { type Clock, realClock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { NodeOptions } from "./options.ts";
import { type NodeWatchdog, Watchdog } from "./watchdog.ts";

/** A network that learns what cluster its node is in. */
export interface NodeNetwork extends Network {
  setClusterId(clusterId: string): void;
  /** What its groups have agreed on: who does not know it is linked no longer. */
  setAgreedLevel(level: number): void;
  /** Who is to be linked from now on, and where each listens, if that is known. */
  setPeers(peers: ReadonlyMap<string, string | null>): void;
}

/** What this node runs rooms with: see roomCode. */
export interface NodeCode {
  readonly code: string;
  /** In words. */
  readonly engine: string;
}

/** What a node is made of, handed in: a simulator hands in its own (design 4.1). */
export interface NodeParts {
  readonly clock: Clock;
  /** Unpredictable ones. */
  randomBytes(count: number): Uint8Array;
  readonly storage: Storage;
  network(identity: PeerIdentity): NodeNetwork;
  /** Watches room code. Without one, code that does not come back stops the node for ever, and nothing is remembered. */
  readonly watchdog?: NodeWatchdog;
  /** Limits and rhythms of the groups that no option of the node sets; by default `engineDefaults`. */
  readonly engine?: Partial<EngineOptions>;
  /** What the node can read and write, its storage too; by default what this build can. */
  readonly levels?: Levels;
  /** Asked once the game is loaded; by default the option `code`, on an engine that has no name. */
  code?(): NodeCode;
}

/** The machine's own clock, chance, disk and network. */
export function realNodeParts(options: NodeOptions, log: Log): NodeParts {
  return {
    clock: realClock,
    randomBytes,
    storage: new LevelStorage({
      database: new LevelDatabase(options.data),
      nodeId: options.id,
      random: randomBytes,
      // Milliseconds: whatever a node's earlier disk had come to, it was not started once in each of them since 1970.
      firstBootCount: Date.now(),
    }),
    watchdog: new Watchdog({
      nodeId: options.id,
      data: options.data,
      limitMs: options.applyLimitMs,
      clock: realClock,
      monotonicMs: () => performance.now(),
      log: log.child({ part: "watchdog" }),
    }),
    network: (identity) =>
      new Links(
        {
          identity,
          secret: options.secret,
          listen: { host: options.peerHost, port: options.peerPort },
          peers: options.peers,
          linkDelayMs: options.linkDelayMs,
          linkLoss: options.linkLoss,
        },
        { log: log.child({ part: "network" }), randomBytes, monotonicMs: () => performance.now() },
      ),
  };
}
