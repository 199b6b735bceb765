import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Role } from "../../server/raft/ready.ts";
import { nextRole, type RoleEvent } from "../../server/raft/role-machine.ts";

const roles: readonly Role[] = ["follower", "preCandidate", "candidate", "leader", "learner"];
const table: { readonly [K in RoleEvent["type"]]: readonly (Role | null)[] } = {
  electionTimeout: ["preCandidate", "preCandidate", "preCandidate", null, null],
  campaign: ["candidate", "candidate", null, null, null],
  won: [null, null, "leader", null, null],
  follow: ["follower", "follower", "follower", "follower", "learner"],
  promoted: [null, null, null, null, "follower"],
  demoted: ["learner", "learner", "learner", "learner", "learner"],
};

for (const [type, results] of Object.entries(table) as [RoleEvent["type"], readonly (Role | null)[]][]) {
  test(`[R46] role: ${type}`, () => {
    for (const [at, role] of roles.entries()) {
      const next = results[at];
      if (next === null) assert.throws(() => nextRole(role, { type }), `a ${role} cannot ${type}`);
      else assert.is(nextRole(role, { type }), next);
    }
  });
}

test.run();
