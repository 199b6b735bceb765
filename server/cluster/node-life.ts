import { type ActorRefFrom, createActor, setup } from "xstate";
import { NodeError } from "./node-error.ts";

/** What happens to a node, in the order in which it usually does. */
export type NodeLifeEvent =
  | { readonly type: "open" }
  | { readonly type: "recovered"; readonly founded: boolean }
  | { readonly type: "founded" }
  /** Every group has a leader that this node knows. */
  | { readonly type: "led" }
  | { readonly type: "drain" }
  | { readonly type: "stop" }
  | { readonly type: "closed" }
  | { readonly type: "fail" };

/**
 * The life of a node (design 4.2). `starting`: nothing is open. `recovering`: the disk is read. `founding`: blank, until
 * the cluster is founded. `joining`: until every group has a leader. `serving`; once there it stays, leaders may come
 * and go. `draining`: hands over what it leads, and clients go elsewhere while it serves on. `stopping`: closes. `stopped`,
 * `failed`: the end.
 */
export const nodeLifeMachine = setup({
  types: { events: {} as NodeLifeEvent },
  guards: { founded: ({ event }) => event.type === "recovered" && event.founded },
}).createMachine({
  id: "node",
  initial: "starting",
  states: {
    starting: { on: { open: "recovering", stop: "stopped", fail: "failed" } },
    recovering: {
      on: {
        recovered: [{ guard: "founded", target: "joining" }, { target: "founding" }],
        stop: "stopping",
        fail: "failed",
      },
    },
    founding: { on: { founded: "joining", stop: "stopping", fail: "failed" } },
    joining: { on: { led: "serving", stop: "stopping", fail: "failed" } },
    serving: { on: { drain: "draining", stop: "stopping", fail: "failed" } },
    draining: { on: { stop: "stopping", fail: "failed" } },
    stopping: { on: { closed: "stopped", fail: "failed" } },
    stopped: { type: "final" },
    failed: { type: "final" },
  },
});

export type NodeLifeState =
  | "starting"
  | "recovering"
  | "founding"
  | "joining"
  | "serving"
  | "draining"
  | "stopping"
  | "stopped"
  | "failed";

/** The machine as a running actor. */
export class NodeLife {
  readonly #actor: ActorRefFrom<typeof nodeLifeMachine>;
  readonly #listeners = new Set<(state: NodeLifeState) => void>();

  constructor() {
    this.#actor = createActor(nodeLifeMachine);
    let last: NodeLifeState | null = null;
    this.#actor.subscribe((snapshot) => {
      const state: NodeLifeState = snapshot.value;
      if (state === last) return;
      last = state;
      for (const listener of [...this.#listeners]) listener(state);
    });
    this.#actor.start();
  }

  get state(): NodeLifeState {
    return this.#actor.getSnapshot().value;
  }

  /** Clients that are here are served. */
  get serves(): boolean {
    return this.state === "serving" || this.state === "draining";
  }

  /** An event that the state has no use for changes nothing. */
  send(event: NodeLifeEvent): void {
    this.#actor.send(event);
  }

  onState(listener: (state: NodeLifeState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @throws NODE_STOPPED, as a rejection, if it ends before it serves */
  serving(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const { state } = this;
        if (state === "serving") resolve();
        else if (["draining", "stopping", "stopped", "failed"].includes(state))
          reject(new NodeError("NODE_STOPPED", `the node is ${state}`));
        else return false;
        return true;
      };
      if (look()) return;
      const forget = this.onState(() => {
        if (look()) forget();
      });
    });
  }
}
