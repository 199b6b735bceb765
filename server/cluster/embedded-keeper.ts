import { randomBytes, randomUUID } from "node:crypto";
import { GroupEngine } from "../group/engine.ts";
import { Keeper } from "../menu/keeper.ts";
import { levels } from "../raft/level.ts";
import { MemoryDisk, MemoryStorage } from "../storage/memory-storage.ts";
import { type Clock, realClock } from "./clock.ts";
import { fractionSource } from "./fraction.ts";
import { noNetwork } from "./no-network.ts";

const nodeId = "embedded";
const bootId = "embedded";

const farOffMs = 1 << 30;

/** A process that waits for nothing ends. */
const clock: Clock = {
  ...realClock,
  setTimer: (fn, ms) => {
    const timer = setTimeout(fn, ms).unref();
    return () => clearTimeout(timer);
  },
};

const noLog = { info: () => {}, warn: () => {}, error: () => {} };

/** A cluster of one, in memory: for a single process, and for tests. What it keeps ends with it. */
export class EmbeddedKeeper {
  readonly keeper: Keeper;
  readonly #started: Promise<GroupEngine>;

  /** @param guard throws where nothing may be asked for */
  constructor(guard: (what: string) => void = () => {}) {
    this.keeper = new Keeper({ clock, newId: randomUUID, failed: throwLater, guard });
    this.#started = this.#start();
    this.keeper.bind({
      propose: (command, how) => this.#ask((engine) => engine.propose(0, command, how)),
      read: (how) => this.#ask((engine) => engine.read(0, how)),
      talk: { self: nodeId, members: () => [nodeId], tell: () => {} },
      // Nobody else has to know it.
      level: { level: levels.max, heldBackBy: () => [] },
    });
    this.keeper.beginAnew();
  }

  async #ask<T>(ask: (engine: GroupEngine) => Promise<T>): Promise<T> {
    const stay = setInterval(() => {}, farOffMs);
    try {
      return await ask(await this.#started);
    } finally {
      clearInterval(stay);
    }
  }

  async #start(): Promise<GroupEngine> {
    const storage = new MemoryStorage({ disk: new MemoryDisk(), nodeId, random: randomBytes });
    const { identity, groups } = await storage.open();
    const self = { nodeId, storeId: identity.storeId };
    const engine = new GroupEngine({
      self,
      bootId,
      bootCount: identity.bootCount,
      founding: { clusterId: nodeId, members: [self], addresses: [], groups: 1, level: levels.max },
      persisted: groups,
      storage,
      network: noNetwork,
      machineFor: () => this.keeper.machine,
      clock,
      random: fractionSource(randomBytes),
      log: noLog,
      fail: throwLater,
    });
    engine.start();
    return engine;
  }

  /** Whoever still waits gets STOPPED. */
  async stop(): Promise<void> {
    await (await this.#started).stop();
  }
}

/** Nobody is there to catch it. */
function throwLater(error: unknown): never {
  setImmediate(() => {
    throw error;
  });
  throw error;
}
