import type { Address, Configuration, Member } from "../raft/configuration.ts";
import type { Base, Entry } from "../raft/entry.ts";
import type { RaftMessage } from "../raft/message.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { codecLimits } from "./codec-limits.ts";

const { stringBytesMax, membersMax, entriesMax } = codecLimits;

// The numbers are the format: new ones are added, old ones are never used again.
const tags = {
  preVote: 1,
  preVoteResponse: 2,
  requestVote: 3,
  requestVoteResponse: 4,
  appendEntries: 5,
  appendEntriesAccepted: 6,
  appendEntriesRejected: 7,
  timeoutNow: 8,
  installSnapshot: 9,
  installSnapshotResponse: 10,
  confirmLead: 11,
  confirmLeadResponse: 12,
  readIndex: 13,
  readIndexResponse: 14,
  timeoutNowRefused: 15,
} as const;

const entryTypes = ["noop", "command", "configuration"] as const;
const voteCauses = ["timeout", "leaderLost", "transfer"] as const;
const snapshotStatuses = ["received", "installed", "refused"] as const;

/** Type, index, term, the two stamps and the length of the data: one byte each at least. */
const entryBytesMin = 6;
/** Two lengths. */
const memberBytesMin = 2;

export function writeMember(writer: ByteWriter, member: Member): void {
  writer.string(member.nodeId, stringBytesMax);
  writer.string(member.storeId, stringBytesMax);
}

export function writeMembers(writer: ByteWriter, members: readonly Member[]): void {
  writer.count(members.length, membersMax);
  for (const member of members) writeMember(writer, member);
}

export function readMembers(reader: ByteReader, what: string): Member[] {
  const count = reader.count(what, { max: membersMax, elementBytesMin: memberBytesMin });
  const members: Member[] = [];
  for (let index = 0; index < count; index++) {
    members.push({
      nodeId: reader.string("nodeId", stringBytesMax),
      storeId: reader.string("storeId", stringBytesMax),
    });
  }
  return members;
}

export function writeAddresses(writer: ByteWriter, addresses: readonly Address[]): void {
  writer.count(addresses.length, membersMax);
  for (const { nodeId, url } of addresses) {
    writer.string(nodeId, stringBytesMax);
    writer.string(url, stringBytesMax);
  }
}

export function readAddresses(reader: ByteReader): Address[] {
  const count = reader.count("addresses", { max: membersMax, elementBytesMin: memberBytesMin });
  const addresses: Address[] = [];
  for (let index = 0; index < count; index++) {
    addresses.push({
      nodeId: reader.string("nodeId", stringBytesMax),
      url: reader.string("url", stringBytesMax),
    });
  }
  return addresses;
}

function writeConfiguration(writer: ByteWriter, configuration: Configuration): void {
  writeMembers(writer, configuration.voters);
  writeMembers(writer, configuration.votersOutgoing);
  writeMembers(writer, configuration.learners);
  writeMembers(writer, configuration.nextVoters);
  writeAddresses(writer, configuration.addresses);
  writer.uint(configuration.level);
}

function readConfiguration(reader: ByteReader): Configuration {
  return {
    voters: readMembers(reader, "voters"),
    votersOutgoing: readMembers(reader, "votersOutgoing"),
    learners: readMembers(reader, "learners"),
    nextVoters: readMembers(reader, "nextVoters"),
    addresses: readAddresses(reader),
    level: reader.uint("level"),
  };
}

function writeBase(writer: ByteWriter, base: Base): void {
  writer.uint(base.index);
  writer.uint(base.term);
  writer.uint(base.logTimeMs);
  writer.uint(base.wallTimeMs);
  writeConfiguration(writer, base.configuration);
}

function readBase(reader: ByteReader): Base {
  return {
    index: reader.uint("base.index"),
    term: reader.uint("base.term"),
    logTimeMs: reader.uint("base.logTimeMs"),
    wallTimeMs: reader.uint("base.wallTimeMs"),
    configuration: readConfiguration(reader),
  };
}

// Encoded anew for every follower: about 0.1 µs an entry. Keeping encoded bytes in a WeakMap by entry was measured
// at ten times that, because every new entry then costs the collector an ephemeron.
function writeEntry(writer: ByteWriter, entry: Entry): void {
  const { type, index, term, logTimeMs, wallTimeMs, data } = entry;
  writer.head(entryTypes.indexOf(type), index, term, logTimeMs, wallTimeMs, data.length);
  writer.raw(data);
}

function readEntry(reader: ByteReader): Entry {
  const type = readChoice(reader, "entry.type", entryTypes);
  return {
    index: reader.uint("entry.index"),
    term: reader.uint("entry.term"),
    type,
    logTimeMs: reader.uint("entry.logTimeMs"),
    wallTimeMs: reader.uint("entry.wallTimeMs"),
    data: reader.bytes("entry.data"),
  };
}

/** One byte: the place of a word in a list. */
export function readChoice<Word extends string>(
  reader: ByteReader,
  what: string,
  words: readonly Word[],
): Word {
  const place = reader.byte(what);
  const word = words[place];
  if (word === undefined) {
    reader.fail("FRAME_GARBLED", { back: 1, found: `${what} ${place}`, allowed: `0 to ${words.length - 1}` });
  }
  return word;
}

function writeHead(writer: ByteWriter, tag: number, message: { term: number; storeId: string }): void {
  writer.byte(tag);
  writer.uint(message.term);
  writer.string(message.storeId, stringBytesMax);
}

/** Tag, term, storeId, then the rest in the order of the type's fields. */
export function writeRaftMessage(writer: ByteWriter, message: RaftMessage): void {
  switch (message.type) {
    case "preVote":
      writeHead(writer, tags.preVote, message);
      writer.uint(message.lastLogIndex);
      writer.uint(message.lastLogTerm);
      writer.bool(message.leaderLost);
      return;
    case "requestVote":
      writeHead(writer, tags.requestVote, message);
      writer.uint(message.lastLogIndex);
      writer.uint(message.lastLogTerm);
      writer.byte(voteCauses.indexOf(message.cause));
      return;
    case "preVoteResponse":
    case "requestVoteResponse":
      writeHead(writer, tags[message.type], message);
      writer.bool(message.granted);
      return;
    case "appendEntries":
      writeHead(writer, tags.appendEntries, message);
      writer.uint(message.prevLogIndex);
      writer.uint(message.prevLogTerm);
      writer.uint(message.commitIndex);
      writer.count(message.entries.length, entriesMax);
      for (const entry of message.entries) writeEntry(writer, entry);
      return;
    case "appendEntriesResponse":
      writeAppendEntriesResponse(writer, message);
      return;
    case "timeoutNow":
    case "timeoutNowRefused":
      writeHead(writer, tags[message.type], message);
      return;
    case "confirmLead":
      writeHead(writer, tags.confirmLead, message);
      writer.uint(message.round);
      return;
    case "confirmLeadResponse":
      writeHead(writer, tags.confirmLeadResponse, message);
      writer.uint(message.round);
      writer.uint(message.leaseMs);
      return;
    case "readIndex":
      writeHead(writer, tags.readIndex, message);
      writer.uint(message.id);
      return;
    case "readIndexResponse":
      writeHead(writer, tags.readIndexResponse, message);
      writer.uint(message.id);
      writer.uint(message.index);
      return;
    case "installSnapshot":
      writeHead(writer, tags.installSnapshot, message);
      writer.uint(message.snapshotId);
      writeBase(writer, message.base);
      writer.uint(message.chunk);
      writer.bytes(message.bytes);
      writer.bool(message.last);
      return;
    case "installSnapshotResponse":
      writeHead(writer, tags.installSnapshotResponse, message);
      writer.uint(message.snapshotId);
      writer.uint(message.chunk);
      writer.byte(snapshotStatuses.indexOf(message.status));
      writer.uint(message.matchIndex);
      writer.bytes(message.answer);
      return;
  }
  message satisfies never;
}

function writeAppendEntriesResponse(
  writer: ByteWriter,
  message: Extract<RaftMessage, { type: "appendEntriesResponse" }>,
): void {
  if (message.success) {
    writeHead(writer, tags.appendEntriesAccepted, message);
    writer.uint(message.receivedIndex);
    writer.uint(message.matchIndex);
    writer.uint(message.commitIndex);
    return;
  }
  writeHead(writer, tags.appendEntriesRejected, message);
  writer.uint(message.rejectedIndex);
  writer.uint(message.conflictIndex);
  writer.uint(message.conflictTerm);
}

/** @throws FrameError */
export function readRaftMessage(reader: ByteReader): RaftMessage {
  const tag = reader.byte("raft message type");
  if (tag < tags.preVote || tag > tags.timeoutNowRefused) {
    const allowed = `1 to ${tags.timeoutNowRefused}`;
    reader.fail("MESSAGE_UNKNOWN", { back: 1, found: `raft message type ${tag}`, allowed });
  }
  const term = reader.uint("term");
  const storeId = reader.string("storeId", stringBytesMax);
  switch (tag) {
    case tags.preVote:
      return {
        type: "preVote",
        term,
        storeId,
        ...readLastLog(reader),
        leaderLost: reader.bool("leaderLost"),
      };
    case tags.preVoteResponse:
      return { type: "preVoteResponse", term, storeId, granted: reader.bool("granted") };
    case tags.requestVote:
      return {
        type: "requestVote",
        term,
        storeId,
        ...readLastLog(reader),
        cause: readChoice(reader, "cause", voteCauses),
      };
    case tags.requestVoteResponse:
      return { type: "requestVoteResponse", term, storeId, granted: reader.bool("granted") };
    case tags.appendEntries:
      return readAppendEntries(reader, term, storeId);
    case tags.appendEntriesAccepted:
      return {
        type: "appendEntriesResponse",
        term,
        storeId,
        success: true,
        receivedIndex: reader.uint("receivedIndex"),
        matchIndex: reader.uint("matchIndex"),
        commitIndex: reader.uint("commitIndex"),
      };
    case tags.appendEntriesRejected:
      return {
        type: "appendEntriesResponse",
        term,
        storeId,
        success: false,
        rejectedIndex: reader.uint("rejectedIndex"),
        conflictIndex: reader.uint("conflictIndex"),
        conflictTerm: reader.uint("conflictTerm"),
      };
    case tags.timeoutNow:
    case tags.timeoutNowRefused:
      return { type: tag === tags.timeoutNow ? "timeoutNow" : "timeoutNowRefused", term, storeId };
    case tags.installSnapshot:
      return {
        type: "installSnapshot",
        term,
        storeId,
        snapshotId: reader.uint("snapshotId"),
        base: readBase(reader),
        chunk: reader.uint("chunk"),
        bytes: reader.bytes("chunk bytes"),
        last: reader.bool("last"),
      };
    case tags.installSnapshotResponse:
      return {
        type: "installSnapshotResponse",
        term,
        storeId,
        snapshotId: reader.uint("snapshotId"),
        chunk: reader.uint("chunk"),
        status: readChoice(reader, "status", snapshotStatuses),
        matchIndex: reader.uint("matchIndex"),
        answer: reader.bytes("answer"),
      };
    default:
      return readReadMessage(reader, tag, { term, storeId });
  }
}

function readReadMessage(
  reader: ByteReader,
  tag: number,
  head: { readonly term: number; readonly storeId: string },
): RaftMessage {
  switch (tag) {
    case tags.confirmLead:
      return { type: "confirmLead", ...head, round: reader.uint("round") };
    case tags.confirmLeadResponse:
      return {
        type: "confirmLeadResponse",
        ...head,
        round: reader.uint("round"),
        leaseMs: reader.uint("leaseMs"),
      };
    case tags.readIndex:
      return { type: "readIndex", ...head, id: reader.uint("id") };
    default:
      return { type: "readIndexResponse", ...head, id: reader.uint("id"), index: reader.uint("index") };
  }
}

function readLastLog(reader: ByteReader): { lastLogIndex: number; lastLogTerm: number } {
  return { lastLogIndex: reader.uint("lastLogIndex"), lastLogTerm: reader.uint("lastLogTerm") };
}

function readAppendEntries(reader: ByteReader, term: number, storeId: string): RaftMessage {
  const prevLogIndex = reader.uint("prevLogIndex");
  const prevLogTerm = reader.uint("prevLogTerm");
  const commitIndex = reader.uint("commitIndex");
  const count = reader.count("entries", { max: entriesMax, elementBytesMin: entryBytesMin });
  const entries: Entry[] = [];
  for (let index = 0; index < count; index++) entries.push(readEntry(reader));
  return { type: "appendEntries", term, storeId, prevLogIndex, prevLogTerm, commitIndex, entries };
}
