import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { encodeBackup } from "../cluster/backup/backup-file.ts";
import type { TestudoNode } from "../cluster/node.ts";
import { leadRoutes } from "./lead-routes.ts";
import { membersRoutes } from "./members-routes.ts";
import { OperatorError } from "./operator-error.ts";
import type { OperatorRoute } from "./operator-handler.ts";

/** Everything that an operator may ask of a node: the other end of `testudo …` (admin/cli). */
export function operatorRoutes(node: TestudoNode): readonly OperatorRoute[] {
  return [
    {
      method: "GET",
      path: "groups",
      answer: async () => ({ node: node.options.id, groups: node.groups() }),
    },
    { method: "GET", path: "backup", answer: ({ response }) => sendBackup(node, response) },
    ...membersRoutes(node),
    ...leadRoutes(node),
  ];
}

/** As fast as the operator takes it: nothing of it waits here. What fails in the middle cuts the answer off. */
async function sendBackup(node: TestudoNode, response: ServerResponse): Promise<undefined> {
  if (!node.life.serves)
    throw new OperatorError(
      503,
      "NOT_SERVING",
      `node ${node.options.id} is ${node.life.state}: ask another one`,
    );
  response.writeHead(200, { "content-type": "application/octet-stream", "cache-control": "no-store" });
  await pipeline(Readable.from(encodeBackup(node.backup())), response);
  return undefined;
}
