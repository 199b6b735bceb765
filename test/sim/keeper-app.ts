import { TestudoNode } from "../../server/cluster/node.ts";
import { Keeper } from "../../server/menu/keeper.ts";
import type { KeeperModel } from "./keeper-model.ts";
import { KeeperWatch } from "./keeper-watch.ts";
import type { Laws } from "./laws.ts";
import type { ReplicaBook } from "./machine-watch.ts";
import type { AppSetup, SimApp } from "./sim-app.ts";

interface KeeperLooks {
  readonly laws: Laws;
  readonly book: ReplicaBook;
  readonly kvBytesMax: number;
  readonly modelOf: (group: number) => KeeperModel;
}

/** A keeper in each group of a simulated node. */
export class KeeperApp implements SimApp {
  readonly node: TestudoNode;
  /** By group. */
  readonly keepers: Keeper[] = [];
  /** By group. */
  readonly watches: KeeperWatch[] = [];

  constructor({ options, log, fail, parts }: AppSetup, { kvBytesMax, modelOf, ...looks }: KeeperLooks) {
    this.node = new TestudoNode({
      options,
      log,
      fail,
      parts,
      machineFor: (group) => {
        const { clock, randomBytes } = parts;
        const newId = () => Buffer.from(randomBytes(12)).toString("hex");
        const keeper = new Keeper({ clock, newId, failed: fail, guard: () => {}, kvBytesMax });
        const { machine } = keeper;
        const watch = new KeeperWatch({ ...looks, node: options.id, group, machine, model: modelOf(group) });
        this.keepers[group] = keeper;
        this.watches[group] = watch;
        return watch;
      },
    });
  }

  async start(): Promise<void> {
    const { node } = this;
    await node.start();
    await node.ready();
    for (const [group, keeper] of this.keepers.entries()) {
      const { id } = node.options;
      keeper.bind({
        propose: (command, how) => node.engine.propose(group, command, how),
        read: (how) => node.engine.read(group, how),
        talk: {
          self: id,
          members: () => [id, ...node.engine.talk.others(group)],
          tell: (to, body) => node.engine.talk.tell(group, to, body),
        },
        get level() {
          return node.engine.level(group);
        },
      });
      void keeper.begin();
    }
  }

  stop(): Promise<void> {
    return this.node.stop();
  }

  discard(): void {}
}
