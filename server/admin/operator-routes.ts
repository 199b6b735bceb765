import type { ServerResponse } from "node:http";
import { encodeBackup } from "../cluster/backup/backup-file.ts";
import type { TestudoNode } from "../cluster/node.ts";
import { leadRoutes } from "./lead-routes.ts";
import { membersRoutes } from "./members-routes.ts";
import type { OperatorRoute } from "./operator-handler.ts";
import { mustServe, sendBytes } from "./sent-bytes.ts";

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

async function sendBackup(node: TestudoNode, response: ServerResponse): Promise<undefined> {
  mustServe(node);
  return await sendBytes(encodeBackup(node.backup()), response);
}
