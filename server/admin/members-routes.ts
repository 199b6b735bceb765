import { z } from "zod";
import type { ChangeProgress, MembersRequest } from "../cluster/members.ts";
import { MembersError } from "../cluster/members-error.ts";
import type { MembersList } from "../cluster/members-list.ts";
import type { TestudoNode } from "../cluster/node.ts";
import { nodeIdKind, url } from "../cluster/option-kind.ts";
import { nodesMax } from "../cluster/options.ts";
import { readBody } from "./asked-body.ts";
import { notFounded, OperatorError } from "./operator-error.ts";
import type { OperatorRoute } from "./operator-handler.ts";

const node = nodeIdKind.schema;

const requestSchema: z.ZodType<MembersRequest> = z.strictObject({
  members: z
    .array(
      z.strictObject({
        node,
        url: url(["ws:", "wss:"]).schema.nullable(),
        role: z.enum(["voter", "learner"]),
      }),
    )
    .max(nodesMax),
  remove: z.array(node).max(nodesMax),
  cancel: z.boolean(),
  again: z.boolean(),
  dryRun: z.boolean(),
});

/** GET members: who they are. POST members: a change, begun or looked at; the answer says whether it is done. */
export function membersRoutes(
  asked: Pick<TestudoNode, "listMembers" | "members" | "options">,
): OperatorRoute[] {
  return [
    { method: "GET", path: "members", answer: async () => list(asked) },
    { method: "POST", path: "members", answer: ({ body }) => change(asked, body) },
  ];
}

type Asked = Parameters<typeof membersRoutes>[0];

function list(asked: Asked): MembersList {
  const told = asked.listMembers();
  if (told === null) throw notFounded(asked.options.id);
  return told;
}

async function change({ members, options }: Asked, body: unknown): Promise<ChangeProgress> {
  if (members === null) throw notFounded(options.id);
  const request = readBody(requestSchema, body);
  try {
    return await members.change(request);
  } catch (error) {
    if (error instanceof MembersError) throw new OperatorError(409, error.code, error.message);
    throw error;
  }
}
