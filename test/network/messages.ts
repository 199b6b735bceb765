import fc from "fast-check";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import type { Address, Configuration, Member } from "../../server/raft/configuration.ts";
import type { Base, Entry } from "../../server/raft/entry.ts";
import type { RaftMessage } from "../../server/raft/message.ts";

/** Every message that nodes may say, for property tests. */

/** Plain objects, as decoding makes them. */
function record<Fields>(model: { [Name in keyof Fields]: fc.Arbitrary<Fields[Name]> }): fc.Arbitrary<Fields> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<Fields>;
}

const uint = fc.oneof(fc.nat(300), fc.maxSafeNat());
const ordinal = uint.filter((number) => number > 0);
const id = fc.oneof(
  fc.stringMatching(/^[0-9a-f]{16}$/),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constant("n".repeat(255)),
);
const bytes = fc.uint8Array({ maxLength: 200 });
const group = fc.nat(65_535);

const member: fc.Arbitrary<Member> = record({ nodeId: id, storeId: id });
const members = fc.array(member, { maxLength: 5 });
const configuration: fc.Arbitrary<Configuration> = record({
  voters: members,
  votersOutgoing: members,
  learners: members,
  nextVoters: members,
  addresses: fc.array(record<Address>({ nodeId: id, url: id }), { maxLength: 5 }),
  level: uint,
});

const entry: fc.Arbitrary<Entry> = record({
  index: uint,
  term: uint,
  type: fc.constantFrom("noop", "command", "configuration"),
  logTimeMs: uint,
  wallTimeMs: uint,
  data: bytes,
});

const base: fc.Arbitrary<Base> = record({
  index: uint,
  term: uint,
  logTimeMs: uint,
  wallTimeMs: uint,
  configuration,
});

const head = { term: uint, storeId: id };
const lastLog = { lastLogIndex: uint, lastLogTerm: uint };

export const raftMessages: { readonly [Name in string]: fc.Arbitrary<RaftMessage> } = {
  preVote: record({ type: fc.constant("preVote"), ...head, ...lastLog, leaderLost: fc.boolean() }),
  preVoteResponse: record({ type: fc.constant("preVoteResponse"), ...head, granted: fc.boolean() }),
  requestVote: record({
    type: fc.constant("requestVote"),
    ...head,
    ...lastLog,
    cause: fc.constantFrom("timeout", "leaderLost", "transfer"),
  }),
  requestVoteResponse: record({ type: fc.constant("requestVoteResponse"), ...head, granted: fc.boolean() }),
  appendEntries: record({
    type: fc.constant("appendEntries"),
    ...head,
    prevLogIndex: uint,
    prevLogTerm: uint,
    commitIndex: uint,
    entries: fc.array(entry, { maxLength: 8 }),
  }),
  appendEntriesAccepted: record({
    type: fc.constant("appendEntriesResponse"),
    ...head,
    success: fc.constant(true as const),
    receivedIndex: uint,
    matchIndex: uint,
    commitIndex: uint,
  }),
  appendEntriesRejected: record({
    type: fc.constant("appendEntriesResponse"),
    ...head,
    success: fc.constant(false as const),
    rejectedIndex: uint,
    conflictIndex: uint,
    conflictTerm: uint,
  }),
  confirmLead: record({ type: fc.constant("confirmLead"), ...head, round: uint }),
  confirmLeadResponse: record({
    type: fc.constant("confirmLeadResponse"),
    ...head,
    round: uint,
    leaseMs: uint,
  }),
  readIndex: record({ type: fc.constant("readIndex"), ...head, id: uint }),
  readIndexResponse: record({ type: fc.constant("readIndexResponse"), ...head, id: uint, index: uint }),
  timeoutNow: record({ type: fc.constant("timeoutNow"), ...head }),
  timeoutNowRefused: record({ type: fc.constant("timeoutNowRefused"), ...head }),
  installSnapshot: record({
    type: fc.constant("installSnapshot"),
    ...head,
    snapshotId: uint,
    base,
    chunk: uint,
    bytes,
    last: fc.boolean(),
  }),
  installSnapshotResponse: record({
    type: fc.constant("installSnapshotResponse"),
    ...head,
    snapshotId: uint,
    chunk: uint,
    status: fc.constantFrom("received", "installed", "refused"),
    matchIndex: uint,
    answer: bytes,
  }),
};

const proposal = record({
  id: record({ nodeId: id, bootCount: ordinal, sequence: ordinal }),
  data: bytes,
});

const sighting = record({
  nodeId: id,
  storeId: id,
  bootId: fc.option(id.filter((text) => text !== "")),
  bootCount: uint,
  saves: uint,
});

const addresses = fc.array(record<Address>({ nodeId: id, url: id }), { maxLength: 5 });

const outcome: fc.Arbitrary<Extract<PeerMessage, { type: "changeMembersAnswer" }>["outcome"]> = fc.oneof(
  record({ type: fc.constantFrom("appended" as const, "possible" as const, "unchanged" as const) }),
  record({
    type: fc.constant("refused" as const),
    code: fc.constantFrom(
      "CHANGE_UNDER_WAY" as const,
      "NOT_YET" as const,
      "NO_VOTERS" as const,
      "MEMBER_DUPLICATE" as const,
      "MEMBERS_TOO_MANY" as const,
      "QUORUM_LOST" as const,
    ),
    message: id,
  }),
);

const raft = Object.entries(raftMessages).map(
  ([name, message]) =>
    [`raft ${name}`, record({ type: fc.constant("raft" as const), group, message })] as const,
);

export const peerMessages: { readonly [Name in string]: fc.Arbitrary<PeerMessage> } = {
  ...Object.fromEntries(raft),
  heartbeat: record({
    type: fc.constant("heartbeat"),
    sequence: uint,
    digest: uint,
    confirms: uint,
    takesLeads: fc.boolean(),
    echo: uint,
    echoDelayMs: fc.double({ min: 0, max: 1e9, noNaN: true }).map((value) => value + 0),
  }),
  changeMembers: record({
    type: fc.constant("changeMembers"),
    group,
    id: uint,
    dryRun: fc.boolean(),
    change: record({
      add: members,
      learn: members,
      remove: fc.array(id, { maxLength: 5 }),
      cancel: fc.boolean(),
      addresses,
    }),
  }),
  changeMembersAnswer: record({ type: fc.constant("changeMembersAnswer"), group, id: uint, outcome }),
  members: record({
    type: fc.constant("members"),
    groups: fc.array(record({ group, index: uint, members }), { maxLength: 5 }),
  }),
  leads: record({
    type: fc.constant("leads"),
    groups: fc.array(record({ group, term: uint }), { maxLength: 64 }),
  }),
  propose: record({
    type: fc.constant("propose"),
    group,
    proposals: fc.array(proposal, { maxLength: 6 }),
  }),
  proposeRefused: record({
    type: fc.constant("proposeRefused"),
    group,
    sequence: uint,
    reason: fc.constantFrom("NOT_LEADER", "OVERLOADED"),
  }),
  found: record({
    type: fc.constant("found"),
    founding: record({ clusterId: id, members, addresses, groups: fc.nat(64), level: uint }),
  }),
  founded: record({ type: fc.constant("founded"), clusterId: id }),
  gossip: record({ type: fc.constant("gossip"), version: uint, body: bytes }),
  rows: record({
    type: fc.constant("rows"),
    ...{ question: uint, version: uint, from: uint, to: uint, body: bytes },
  }),
  rowsWanted: record({ type: fc.constant("rowsWanted"), question: uint, after: uint }),
  stores: record({ type: fc.constant("stores"), own: sighting, seen: fc.array(sighting, { maxLength: 6 }) }),
};

export const anyPeerMessage: fc.Arbitrary<PeerMessage> = fc.oneof(...Object.values(peerMessages));
