import type { TestudoNode } from "../cluster/node.ts";
import type { OperatorRoute } from "./operator-handler.ts";

/** Everything that an operator may ask of a node: the other end of `testudo …` (admin/cli). */
export function operatorRoutes(node: TestudoNode): readonly OperatorRoute[] {
  return [
    {
      method: "GET",
      path: "groups",
      answer: async () => ({ node: node.options.id, groups: node.groups() }),
    },
  ];
}
