/** Two nodes with a session layer each, and a log for each group that both apply; either may lead, and fall. */
import { randomBytes } from "node:crypto";
import { matchMaker } from "@colyseus/core";
import { ColyseusPrograms } from "../../server/colyseus/colyseus-programs.ts";
import { Matchmaking } from "../../server/colyseus/matchmaking.ts";
import { KeyedMatchmaking } from "../../server/colyseus/presence/keyed-matchmaking.ts";
import { TestudoDriver } from "../../server/colyseus/testudo-driver.ts";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { sessionMenu } from "../../server/session/session-menu.ts";
import { Sessions } from "../../server/session/sessions.ts";
import { SharedPresence } from "./calling-room.ts";

const groups = 2;
const secret = "a secret of the cluster that players do not know";

type Name = keyof typeof sessionMenu.commands;

class TestNode {
  readonly programs = new ColyseusPrograms();
  readonly driver = new TestudoDriver(this.programs.listings);
  readonly sessions: Sessions;
  readonly matchmaking: Matchmaking;

  constructor(nodeId: string, nodes: TwoNodes) {
    this.sessions = new Sessions({
      ...{ nodeId, bootCount: 1, groups, programs: this.programs, isLost: () => false, random: randomBytes },
      log: { info: () => {}, warn: () => {}, error: () => {} },
      clock: {
        setTimer: (act: () => void, ms: number) => {
          const timer = setTimeout(act, ms);
          return () => clearTimeout(timer);
        },
        now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
      },
    });
    this.sessions.bind({
      propose: (group, command) => nodes.propose(nodeId, group, command),
      accepts: () => true,
      barrier: async () => {
        await nodes.applied;
      },
      isLeader: () => nodes.leader === nodeId,
      leaderlessMs: () => null,
      lead: () => ({ leaderId: nodes.leader, term: nodes.term }),
      level: () => ({ level: 1, heldBackBy: () => [] }),
      configuration: () => ({ ...emptyConfiguration, voters: [{ nodeId, storeId: nodeId }] }),
      tell: () => {},
      isBusy: () => false,
    });
    this.programs.bind(this.sessions);
    this.matchmaking = new Matchmaking(this.sessions, this.driver);
    this.programs.calls.begin(
      new KeyedMatchmaking({ sessions: this.sessions, matchmaking: this.matchmaking, secret }),
    );
  }
}

export class TwoNodes {
  leader = "A";
  term = 1;
  applied: Promise<unknown> = Promise.resolve();
  /** What was agreed, by name. */
  readonly agreed: { readonly name: Name; readonly nodeId: string; readonly argument: object }[] = [];
  /** The proposer's node falls with what it had to say. */
  swallows: (nodeId: string, name: Name) => boolean = () => false;
  /** Agreed, but its proposer never hears of it. */
  silences: (nodeId: string, name: Name) => boolean = () => false;
  readonly nodes = new Map<string, TestNode>();
  #index = 0;

  constructor() {
    for (const nodeId of ["A", "B"]) this.nodes.set(nodeId, new TestNode(nodeId, this));
  }

  node(nodeId: string): TestNode {
    return this.nodes.get(nodeId) as TestNode;
  }

  get index(): number {
    return this.#index;
  }

  /** The process has one matchmaker, which is the leader's. */
  async begin(): Promise<this> {
    await matchMaker.setup(new SharedPresence(), this.node(this.leader).driver, "");
    return this;
  }

  propose(nodeId: string, group: number, command: Uint8Array): Promise<unknown> {
    const { name, argument } = sessionMenu.decode(command) as { name: Name; argument: object };
    if (this.swallows(nodeId, name)) return new Promise(() => {});
    const applied = this.applied.then(() =>
      inMacrotask(() => {
        const index = ++this.#index;
        const stamps = { index, logTimeMs: index * 10, wallTimeMs: 1_700_000_000_000 + index * 10, level: 1 };
        const id = { nodeId, bootCount: 1, sequence: index };
        this.agreed.push({ name, nodeId, argument });
        let value: unknown;
        for (const [each, { sessions }] of this.nodes) {
          const machine = sessions.machines[group];
          const result = machine?.apply({ term: this.term, ...stamps, id, command });
          if (result?.type !== "done") throw new Error(`a gap on ${each}`);
          if (each === nodeId) value = result.value;
          machine?.drained();
        }
        return { value };
      }),
    );
    this.applied = applied.catch(() => {});
    const isSilent = this.silences(nodeId, name);
    return applied.then(({ value }) => (isSilent ? new Promise<never>(() => {}) : value));
  }

  /** The leader falls, and the other one leads. */
  async fall(): Promise<void> {
    const to = this.leader === "A" ? "B" : "A";
    this.node(this.leader).sessions.stop();
    this.leader = to;
    this.term += 1;
    await matchMaker.setup(matchMaker.presence, this.node(to).driver, "");
    this.node(to).sessions.sweep();
  }

  /** All that goes on by itself has come to an end. */
  async quiet(ms = 30): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    await this.applied;
  }

  end(): void {
    for (const { sessions } of this.nodes.values()) sessions.stop();
  }
}
