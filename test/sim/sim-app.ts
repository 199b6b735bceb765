import type { Fail, Log } from "../../server/cluster/log.ts";
import type { TestudoNode } from "../../server/cluster/node.ts";
import type { NodeParts } from "../../server/cluster/node-parts.ts";
import type { NodeOptions } from "../../server/cluster/options.ts";
import type { Owner } from "./schedule.ts";

/** What a simulated process is started with. */
export interface AppSetup {
  readonly owner: Owner;
  readonly options: NodeOptions;
  readonly log: Log;
  readonly fail: Fail;
  readonly parts: NodeParts;
}

/** What runs on a node: whatever its groups' machines and clients are. */
export interface SimApp {
  readonly node: TestudoNode;
  /** Resolves once clients may be served. */
  start(): Promise<void>;
  /** As SIGTERM. */
  stop(): Promise<void>;
  /** Its process has ended: nothing may be left of it in this one. */
  discard(): void;
}
