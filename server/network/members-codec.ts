import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { codecLimits } from "./codec-limits.ts";
import type { PeerMessage } from "./peer-message.ts";
import { readAddresses, readChoice, readMembers, writeAddresses, writeMembers } from "./raft-codec.ts";

type Members = Extract<PeerMessage, { type: "members" }>;
type ChangeMembers = Extract<PeerMessage, { type: "changeMembers" }>;
type ChangeMembersAnswer = Extract<PeerMessage, { type: "changeMembersAnswer" }>;

const { groupIdMax, groupsMax, stringBytesMax, membersMax, reasonBytesMax } = codecLimits;

const refusalCodes = [
  "CHANGE_UNDER_WAY",
  "NOT_YET",
  "NO_VOTERS",
  "MEMBER_DUPLICATE",
  "MEMBERS_TOO_MANY",
  "QUORUM_LOST",
  "LEVEL_TOO_LOW",
] as const;
/** Group, index and a count. */
const groupBytesMin = 3;
const outcomes = ["appended", "possible", "unchanged", "refused"] as const;

export function writeChangeMembers(writer: ByteWriter, { group, id, dryRun, change }: ChangeMembers): void {
  writer.uint(group);
  writer.uint(id);
  writer.bool(dryRun);
  writeMembers(writer, change.add);
  writeMembers(writer, change.learn);
  writer.count(change.remove.length, membersMax);
  for (const nodeId of change.remove) writer.string(nodeId, stringBytesMax);
  writer.bool(change.cancel);
  writeAddresses(writer, change.addresses);
}

export function readChangeMembers(reader: ByteReader): ChangeMembers {
  return {
    type: "changeMembers",
    group: reader.uint("group", groupIdMax),
    id: reader.uint("id"),
    dryRun: reader.bool("dryRun"),
    change: {
      add: readMembers(reader, "add"),
      learn: readMembers(reader, "learn"),
      remove: readNodeIds(reader),
      cancel: reader.bool("cancel"),
      addresses: readAddresses(reader),
    },
  };
}

function readNodeIds(reader: ByteReader): string[] {
  const count = reader.count("remove", { max: membersMax, elementBytesMin: 1 });
  return Array.from({ length: count }, () => reader.string("nodeId", stringBytesMax));
}

export function writeChangeMembersAnswer(
  writer: ByteWriter,
  { group, id, outcome }: ChangeMembersAnswer,
): void {
  writer.uint(group);
  writer.uint(id);
  writer.byte(outcomes.indexOf(outcome.type));
  if (outcome.type !== "refused") return;
  writer.byte(refusalCodes.indexOf(outcome.code));
  writer.string(outcome.message, reasonBytesMax);
}

export function readChangeMembersAnswer(reader: ByteReader): ChangeMembersAnswer {
  const group = reader.uint("group", groupIdMax);
  const id = reader.uint("id");
  const type = readChoice(reader, "outcome", outcomes);
  const outcome =
    type === "refused"
      ? {
          type,
          code: readChoice(reader, "code", refusalCodes),
          message: reader.string("message", reasonBytesMax),
        }
      : { type };
  return { type: "changeMembersAnswer", group, id, outcome };
}

export function writeGroupMembers(writer: ByteWriter, { groups }: Members): void {
  writer.count(groups.length, groupsMax);
  for (const { group, index, members } of groups) {
    writer.uint(group);
    writer.uint(index);
    writeMembers(writer, members);
  }
}

export function readGroupMembers(reader: ByteReader): Members {
  const count = reader.count("groups", { max: groupsMax, elementBytesMin: groupBytesMin });
  const groups = Array.from({ length: count }, () => ({
    group: reader.uint("group", groupIdMax),
    index: reader.uint("index"),
    members: readMembers(reader, "members"),
  }));
  return { type: "members", groups };
}
