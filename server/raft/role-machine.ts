import { createMachine, initialTransition, transition } from "xstate";
import { check } from "./check.ts";
import type { Role } from "./ready.ts";

/** Why a role may change (Raft figure 4, with pre-vote of dissertation §9.6). */
export type RoleEvent =
  /** The election timer expired, or the link to the leader closed. */
  | { readonly type: "electionTimeout" }
  /** A quorum would vote for this node; or the leader handed over the lead, which needs no asking. */
  | { readonly type: "campaign" }
  | { readonly type: "won" }
  /** A higher term, a leader in this term, a lost vote, or a leader without a quorum. */
  | { readonly type: "follow" }
  /** This node's place in the configuration. */
  | { readonly type: "promoted" }
  | { readonly type: "demoted" };

export const roleMachine = createMachine({
  types: {} as { events: RoleEvent },
  id: "role",
  initial: "follower",
  on: { demoted: ".learner" },
  states: {
    follower: { on: { electionTimeout: "preCandidate", campaign: "candidate", follow: "follower" } },
    preCandidate: { on: { electionTimeout: "preCandidate", campaign: "candidate", follow: "follower" } },
    candidate: { on: { electionTimeout: "preCandidate", won: "leader", follow: "follower" } },
    leader: { on: { follow: "follower" } },
    learner: { on: { promoted: "follower", follow: "learner" } },
  },
});

type RoleSnapshot = ReturnType<typeof initialTransition<typeof roleMachine>>[0];

const [initial] = initialTransition(roleMachine);

/** Snapshots are values: one for each role, as they are met. */
const snapshots = new Map<Role, RoleSnapshot>([["follower", initial]]);

/** The role after `event`. An event that a role does not know is a programmer's error. */
export function nextRole(role: Role, event: RoleEvent): Role {
  const snapshot = snapshots.get(role) ?? roleMachine.resolveState({ value: role });
  check(snapshot.can(event), `a ${role} cannot ${event.type}`);
  const [next] = transition(roleMachine, snapshot, event);
  const nextRoleValue = next.value as Role;
  snapshots.set(nextRoleValue, next);
  return nextRoleValue;
}
