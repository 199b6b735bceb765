import { FoundingProtocol } from "../../server/cluster/founding.ts";
import { makeLog } from "../../server/cluster/log.ts";
import type { NodeError } from "../../server/cluster/node-error.ts";
import type { PeerIdentity } from "../../server/network/network.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import type { Founding } from "../../server/raft/founding.ts";
import { levels } from "../../server/raft/level.ts";
import { ManualClock } from "./manual-clock.ts";

/** One node's disk, and its process while it runs. */
export interface WorldNode {
  readonly nodeId: string;
  storeId: string;
  disk: Founding | null;
  run: Run | null;
}

interface Run {
  readonly bootId: string;
  readonly protocol: FoundingProtocol;
  /** The save under way; it becomes durable as a step of its own. */
  saving: { readonly founding: Founding; readonly done: () => void } | null;
  readonly admitted: Map<string, string>;
  error: NodeError | null;
  founded: number;
}

const silent = makeLog({ node: "world", level: "silent" });

/** Nodes that only found a cluster: every message, save and link is a step, so that a test may crash a node between any two. */
export class FoundingWorld {
  readonly clock = new ManualClock();
  readonly nodes = new Map<string, WorldNode>();
  readonly #inFlight: { from: string; to: string; link: string; message: PeerMessage }[] = [];
  readonly #ids: readonly string[];
  #count = 0;
  /** Every founding that was ever durable anywhere. */
  readonly saved: Founding[] = [];
  /** Drops what a test wants dropped. */
  lose: (message: PeerMessage) => boolean = () => false;

  constructor(ids: readonly string[]) {
    this.#ids = ids;
    for (const nodeId of ids)
      this.nodes.set(nodeId, { nodeId, storeId: `store-${nodeId}`, disk: null, run: null });
  }

  node(nodeId: string): WorldNode {
    return this.nodes.get(nodeId) as WorldNode;
  }

  boot(nodeId: string, peerIds = this.#ids.filter((id) => id !== nodeId)): void {
    const node = this.node(nodeId);
    const protocol = new FoundingProtocol({
      self: { nodeId, storeId: node.storeId },
      peerIds,
      addresses: peerIds.map((id) => ({ nodeId: id, url: `ws://${id}` })),
      groups: 4,
      levels,
      founding: node.disk,
      clock: this.clock,
      log: silent,
      newClusterId: () => (++this.#count).toString(16).padStart(16, "0"),
      send: (to, message) => {
        const [link, other] = [this.#link(nodeId, to), this.node(to).run];
        if (node.run === run && other !== null && !this.lose(message))
          this.#inFlight.push({ from: nodeId, to, link, message });
      },
      save: (founding) => new Promise((resolve) => (run.saving = { founding, done: resolve })),
      founded: () => run.founded++,
      admitted: (peer) => run.admitted.set(peer.nodeId, peer.bootId),
      fail: (error) => {
        run.error = error;
        this.crash(nodeId);
        node.run = null;
        this.failed.set(nodeId, error);
      },
    });
    const run: Run = {
      bootId: `boot-${++this.#count}`,
      protocol,
      saving: null,
      admitted: new Map(),
      error: null,
      founded: 0,
    };
    node.run = run;
    protocol.start();
    for (const [id, other] of this.nodes) {
      if (id === nodeId || other.run === null || node.run !== run) continue;
      const [mine, theirs] = [this.#identity(node), this.#identity(other)];
      protocol.linkUp(theirs);
      other.run.protocol.linkUp(mine);
    }
  }

  readonly failed = new Map<string, NodeError>();

  crash(nodeId: string): void {
    const node = this.node(nodeId);
    node.run?.protocol.stop();
    node.run = null;
    for (const other of this.nodes.values()) other.run?.protocol.linkDown(nodeId);
  }

  /** An emptied disk. */
  wipe(nodeId: string): void {
    const node = this.node(nodeId);
    node.disk = null;
    node.storeId = `${node.storeId}-new`;
  }

  /** One message arrives or one save becomes durable; false if nothing is left to do. */
  async step(): Promise<boolean> {
    const next = this.#inFlight.shift();
    if (next !== undefined) {
      const { run } = this.node(next.to);
      const { message } = next;
      if (
        run !== null &&
        next.link === this.#link(next.from, next.to) &&
        (message.type === "found" || message.type === "founded")
      ) {
        run.protocol.message(next.from, message);
      }
      return true;
    }
    for (const node of this.nodes.values()) {
      const saving = node.run?.saving;
      if (node.run === null || saving === null || saving === undefined) continue;
      node.run.saving = null;
      node.disk = saving.founding;
      this.saved.push(saving.founding);
      saving.done();
      await Promise.resolve();
      return true;
    }
    return false;
  }

  async settle(): Promise<void> {
    while (await this.step());
  }

  /** A link is another one after either end's restart: what was under way on the old one is lost. */
  #link(a: string, b: string): string {
    return [a, b]
      .sort()
      .map((id) => this.node(id).run?.bootId)
      .join("-");
  }

  #identity({ nodeId, storeId, disk, run }: WorldNode): PeerIdentity {
    return {
      nodeId,
      storeId,
      bootId: run?.bootId ?? "",
      clusterId: disk?.clusterId ?? null,
      levels,
      agreedLevel: null,
    };
  }
}
