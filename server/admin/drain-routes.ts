import { z } from "zod";
import type { DrainLeft } from "../cluster/drain.ts";
import type { TestudoNode } from "../cluster/node.ts";
import { nodeIdKind } from "../cluster/option-kind.ts";
import { drainTimeoutMsMax } from "../cluster/options.ts";
import { isQuorum } from "../raft/quorum.ts";
import { readBody } from "./asked-body.ts";
import { notFounded, OperatorError } from "./operator-error.ts";
import type { OperatorRoute } from "./operator-handler.ts";

const drainSchema = z.strictObject({
  /** Who is meant: another node may answer at this address. */
  node: nodeIdKind.schema,
  /** Null: as the node's own option says. */
  timeoutMs: z.int().min(0).max(drainTimeoutMsMax).nullable(),
  force: z.boolean(),
});

/** What is asked: a node that can be emptied and ended. */
export interface Drained {
  readonly node: Pick<TestudoNode, "options" | "bootId" | "founding" | "life" | "groups" | "elsewhere">;
  left(): DrainLeft;
  /** Returns at once. */
  begin(timeoutMs: number | null): void;
}

interface DrainStatus extends DrainLeft {
  readonly node: string;
  readonly bootId: string;
  /** As in cluster/node-life. */
  readonly state: string;
}

/** GET drain: what is still here. POST drain: this node sends its clients elsewhere, and ends. */
export function drainRoutes(asked: Drained): OperatorRoute[] {
  return [
    { method: "GET", path: "drain", answer: async () => statusOf(asked) },
    { method: "POST", path: "drain", answer: async ({ body }) => begin(asked, body) },
  ];
}

function statusOf(asked: Drained): DrainStatus {
  const { options, bootId, life } = asked.node;
  return { node: options.id, bootId, state: life.state, ...asked.left() };
}

function begin(asked: Drained, body: unknown): DrainStatus {
  const { node } = asked;
  const { id } = node.options;
  if (node.founding === null) throw notFounded(id);
  const { node: meant, timeoutMs, force } = readBody(drainSchema, body);
  if (meant !== id)
    throw new OperatorError(409, "ANOTHER_NODE", `this is ${id}, not ${meant}: give ${meant}'s own address`);
  const { state } = node.life;
  if (state === "draining" || state === "stopping")
    throw new OperatorError(409, "DRAINING", `${id} is ${state} already`);
  if (!force) checkQuorum(node);
  asked.begin(timeoutMs);
  return statusOf(asked);
}

/** Without this node the others must be able to go on. */
function checkQuorum(node: Drained["node"]): void {
  const others = node.elsewhere().map((one) => one.node);
  const lost = node
    .groups()
    .filter(
      ({ members: { configuration } }) => !isQuorum(configuration, ({ nodeId }) => others.includes(nodeId)),
    );
  if (lost.length === 0) return;
  const there =
    others.length === 0 ? "no other node takes clients" : `only ${others.join(", ")} would be left`;
  throw new OperatorError(
    409,
    "QUORUM_LOST",
    `without ${node.options.id} group ${lost.map(({ id }) => id).join(", ")} would have no majority: ${there}. Wait until the others are back, or say --force`,
  );
}
