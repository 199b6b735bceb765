import { z } from "zod";
import type { MembersList } from "../../cluster/members-list.ts";

/** What GET members answers. */
export const membersListSchema: z.ZodType<MembersList> = z.object({
  node: z.string(),
  clusterId: z.string(),
  groups: z.number(),
  changing: z.array(z.number()),
  members: z.array(
    z.object({
      node: z.string(),
      storeId: z.string(),
      votes: z.number(),
      learns: z.number(),
      leads: z.number(),
      link: z.enum(["self", "up", "down"]),
      url: z.string().nullable(),
      clientUrl: z.string().nullable(),
    }),
  ),
});
