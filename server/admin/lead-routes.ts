import { z } from "zod";
import type { TestudoNode } from "../cluster/node.ts";
import { nodeIdKind } from "../cluster/option-kind.ts";
import { readBody } from "./asked-body.ts";
import { notFounded, OperatorError } from "./operator-error.ts";
import type { OperatorRoute } from "./operator-handler.ts";

const transferSchema = z.strictObject({ group: z.int().nonnegative(), to: nodeIdKind.schema });

/** POST transfer: this node hands the lead of a group to another one; answered once that one leads. */
export function leadRoutes(node: TestudoNode): OperatorRoute[] {
  return [{ method: "POST", path: "transfer", answer: ({ body }) => transfer(node, body) }];
}

async function transfer(node: TestudoNode, body: unknown): Promise<{ group: number; leader: string }> {
  const { founding, options } = node;
  if (founding === null) throw notFounded(options.id);
  const { group, to } = readBody(transferSchema, body);
  if (group >= founding.groups) {
    const last = founding.groups - 1;
    throw new OperatorError(404, "GROUP_UNKNOWN", `there is no group ${group}: they are 0 to ${last}`);
  }
  const outcome = await node.engine.transferLeader(group, to);
  if (outcome.type === "refused") throw new OperatorError(409, outcome.code, outcome.message);
  return { group, leader: to };
}
