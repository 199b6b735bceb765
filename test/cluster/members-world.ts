import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Log, makeLog } from "../../server/cluster/log.ts";
import type { MembersRequest, MemberToBe } from "../../server/cluster/members.ts";
import { TestudoNode } from "../../server/cluster/node.ts";
import type { NodeError } from "../../server/cluster/node-error.ts";
import { type NodeParts, realNodeParts } from "../../server/cluster/node-parts.ts";
import { type NodeOptions, readNodeOptions } from "../../server/cluster/options.ts";
import { Links } from "../../server/network/links.ts";
import { eventually, freePort } from "./spawned.ts";
import { SumMachine } from "./sum-machine.ts";

const nodesMax = 7;
const lateDialMs = 200;
const secret = "0123456789abcdef";
export const groups = 2;
export const nothing: MembersRequest = {
  members: [],
  remove: [],
  cancel: false,
  again: false,
  dryRun: false,
};

/** Whole nodes with real disks and links, some of which are no members yet. */
export class MembersWorld {
  readonly #folder = mkdtempSync(join(tmpdir(), "testudo-members-"));
  readonly #founders: readonly string[];
  readonly #running = new Map<string, TestudoNode>();
  /** What nodes that were removed say. */
  readonly removed = new Map<string, NodeError>();
  readonly logged: { readonly node: string; readonly event?: string; readonly msg: string }[] = [];
  #port = 0;

  constructor(founders: readonly string[] = ["n1", "n2", "n3"]) {
    this.#founders = founders;
  }

  async open(): Promise<this> {
    const ports = Array.from({ length: nodesMax }, (_, at) => at);
    this.#port = await freePort([...ports, ...ports.map((at) => at + 100)]);
    await Promise.all(this.#founders.map((id) => this.start(id)));
    await Promise.all(this.#founders.map((id) => this.node(id).ready()));
    return this;
  }

  get secret(): string {
    return secret;
  }

  url(id: string): string {
    return `ws://127.0.0.1:${this.#port + 100 + Number(id.slice(1)) - 1}`;
  }

  node(id: string): TestudoNode {
    const node = this.#running.get(id);
    assert.ok(node, `${id} runs`);
    return node;
  }

  get running(): readonly TestudoNode[] {
    return [...this.#running.values()];
  }

  /** By default it begins with the founders. */
  async start(id: string, change: Partial<NodeOptions> = {}): Promise<TestudoNode> {
    const at = Number(id.slice(1)) - 1;
    const peers = this.#founders.map((other) => `${other}=${this.url(other)}`).join(",");
    const argv = `--id=${id} --host=127.0.0.1 --peer-host=127.0.0.1 --port=${this.#port + at} --peer-port=${this.#port + 100 + at} --peers=${peers} --data=${this.#data(id)} --secret=${secret} --node-lost-ms=300 --groups=${groups}`;
    const parsed = readNodeOptions({ argv: argv.split(" "), env: {}, cwd: this.#folder });
    assert.is(parsed.type, "options");
    const options = { ...(parsed as { options: NodeOptions }).options, ...change };
    const write = (line: string) => void this.logged.push(JSON.parse(line) as (typeof this.logged)[number]);
    const log = makeLog({ node: id, level: "info", stream: { write } });
    const node = new TestudoNode({
      options,
      machineFor: () => new SumMachine(),
      log,
      parts: this.#parts(options, log),
      removed: (error) => void this.removed.set(id, error),
      fail: (error: unknown): never => {
        throw error;
      },
    });
    this.#running.set(id, node);
    await node.start();
    return node;
  }

  /** Real ones; but whoever the members do not know does not wait long for them to dial it first. */
  #parts(options: NodeOptions, log: Log): NodeParts {
    const real = realNodeParts(options, log);
    const { peers, peerHost: host, peerPort: port, linkDelayMs, linkLoss } = options;
    return {
      ...real,
      network: (identity) =>
        new Links(
          { identity, secret, listen: { host, port }, peers, linkDelayMs, linkLoss, lateDialMs },
          { log, randomBytes: real.randomBytes, monotonicMs: () => performance.now() },
        ),
    };
  }

  #data(id: string): string {
    return join(this.#folder, id);
  }

  async stop(id: string): Promise<void> {
    const node = this.node(id);
    this.#running.delete(id);
    await node.stop();
  }

  empty(id: string): void {
    rmSync(this.#data(id), { recursive: true });
  }

  /** Asks as an operator's command does: until there is nothing to be done any more. */
  async change(at: string, request: Partial<MembersRequest>): Promise<void> {
    let told: unknown = null;
    for (let tries = 0; tries < 600; tries += 1) {
      const { members } = this.node(at);
      assert.ok(members);
      const progress = await members.change({ ...nothing, ...request, again: tries > 0 });
      if (progress.isDone) return;
      told = progress.outcomes;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.unreachable(`never done: ${JSON.stringify(told)}`);
  }

  adding(id: string, more: Partial<MemberToBe> = {}): MemberToBe {
    return { node: id, url: this.url(id), role: "voter", ...more };
  }

  /** As each node that runs has them. */
  async agreeOn(voters: readonly string[], at: readonly string[] = voters): Promise<void> {
    const expected = [...voters].sort().join();
    await eventually(`all know that ${expected} vote`, () =>
      at.every((id) =>
        this.node(id)
          .groups()
          .every(
            ({ members: { configuration, isCommitted } }) =>
              isCommitted &&
              configuration.votersOutgoing.length === 0 &&
              configuration.voters
                .map(({ nodeId }) => nodeId)
                .sort()
                .join() === expected,
          ),
      ),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((node) => node.stop()));
    rmSync(this.#folder, { recursive: true });
  }
}

export function withWorld(
  run: (world: MembersWorld) => Promise<void>,
  founders?: readonly string[],
): () => Promise<void> {
  return async () => {
    const world = new MembersWorld(founders);
    try {
      await run(await world.open());
    } finally {
      await world.close();
    }
  };
}
