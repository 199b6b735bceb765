import type { TestudoNode } from "../../server/cluster/node.ts";
import { RoomNode } from "../../server/colyseus/room-node.ts";
import type { Sessions } from "../../server/session/sessions.ts";
import type { Coverage } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import { MachineWatch, type ReplicaBook } from "./machine-watch.ts";
import type { RoomTimes } from "./room-times.ts";
import type { AppSetup, SimApp } from "./sim-app.ts";
import type { SimProcess } from "./sim-node.ts";

/** Rooms on a simulated node: the session layer and the Colyseus seam. */
export class RoomApp implements SimApp {
  readonly rooms: RoomNode;
  /** By group. */
  readonly watches: MachineWatch[] = [];

  constructor(
    { options, log, fail, parts }: AppSetup,
    looks: { laws: Laws; book: ReplicaBook; times: RoomTimes; coverage: Coverage },
  ) {
    this.rooms = new RoomNode({
      options,
      log,
      fail,
      parts,
      watch: (group, machine) => {
        const { bootCount } = this.node.identity;
        const watch = new MachineWatch({ ...looks, node: options.id, bootCount, group, machine });
        this.watches[group] = watch;
        return watch;
      },
    });
  }

  get node(): TestudoNode {
    return this.rooms.node;
  }

  async start(): Promise<void> {
    const sessions = await this.rooms.start();
    sessions.begin();
  }

  stop(): Promise<void> {
    return this.rooms.stop();
  }

  /** Its rooms leave Colyseus's books, which all simulated nodes share. */
  discard(): void {
    for (const replica of this.rooms.sessions?.rooms.values() ?? []) replica.discard();
  }
}

/** Where players are served; null: a socket would be refused, or nobody would answer. */
export function servingSessions(process: SimProcess<RoomApp>): Sessions | null {
  return process.isServing ? process.app.rooms.servingSessions : null;
}
