import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { codecLimits } from "./codec-limits.ts";
import {
  readChangeMembers,
  readChangeMembersAnswer,
  readGroupMembers,
  writeChangeMembers,
  writeChangeMembersAnswer,
  writeGroupMembers,
} from "./members-codec.ts";
import type { PeerMessage, StoreSighting } from "./peer-message.ts";
import {
  readAddresses,
  readChoice,
  readMembers,
  readRaftMessage,
  writeAddresses,
  writeMembers,
  writeRaftMessage,
} from "./raft-codec.ts";

const { membersMax, stringBytesMax, groupIdMax, groupsMax, proposalsMax, frameBytesMax } = codecLimits;

// The numbers are the format: new ones are added, old ones are never used again.
const tags = {
  raft: 1,
  heartbeat: 2,
  leads: 3,
  propose: 4,
  proposeRefused: 5,
  found: 6,
  founded: 7,
  gossip: 8,
  stores: 9,
  session: 10,
  changeMembers: 11,
  changeMembersAnswer: 12,
  members: 13,
  rows: 14,
  rowsWanted: 15,
} as const;

const refusalReasons = ["NOT_LEADER", "OVERLOADED"] as const;

/** nodeId, bootCount, sequence and the length of the data: one byte each at least. */
const proposalBytesMin = 4;
const ledGroupBytesMin = 2;
/** Three lengths and two counters. */
const sightingBytesMin = 5;

/**
 * One message after what is in the writer already.
 * Counters, indexes, terms, stamps and digests are safe integers from 0; `echoDelayMs` may have fractions.
 * @throws FRAME_TOO_LONG for lists, strings or byte arrays past the limits
 */
export function writeMessage(writer: ByteWriter, message: PeerMessage): void {
  switch (message.type) {
    case "raft":
      writer.byte(tags.raft);
      writer.uint(message.group);
      writeRaftMessage(writer, message.message);
      return;
    case "heartbeat":
      writer.byte(tags.heartbeat);
      writer.uint(message.sequence);
      writer.uint(message.digest);
      writer.uint(message.confirms);
      writer.bool(message.takesLeads);
      writer.uint(message.echo);
      writer.float(message.echoDelayMs);
      return;
    case "leads":
      writer.byte(tags.leads);
      writeLeads(writer, message);
      return;
    case "propose":
      writer.byte(tags.propose);
      writePropose(writer, message);
      return;
    case "proposeRefused":
      writer.byte(tags.proposeRefused);
      writer.uint(message.group);
      writer.uint(message.sequence);
      writer.byte(refusalReasons.indexOf(message.reason));
      return;
    case "changeMembers":
      writer.byte(tags.changeMembers);
      writeChangeMembers(writer, message);
      return;
    case "changeMembersAnswer":
      writer.byte(tags.changeMembersAnswer);
      writeChangeMembersAnswer(writer, message);
      return;
    case "members":
      writer.byte(tags.members);
      writeGroupMembers(writer, message);
      return;
    case "found":
      writer.byte(tags.found);
      writer.string(message.founding.clusterId, stringBytesMax);
      writeMembers(writer, message.founding.members);
      writeAddresses(writer, message.founding.addresses);
      writer.uint(message.founding.groups);
      writer.uint(message.founding.level);
      return;
    case "founded":
      writer.byte(tags.founded);
      writer.string(message.clusterId, stringBytesMax);
      return;
    case "session":
      writer.byte(tags.session);
      writer.uint(message.group);
      writer.bytes(message.body);
      return;
    case "gossip":
    case "rows":
    case "rowsWanted":
      writeGossip(writer, message);
      return;
    case "stores":
      writer.byte(tags.stores);
      writeSighting(writer, message.own);
      writer.count(message.seen.length, membersMax);
      for (const sighting of message.seen) writeSighting(writer, sighting);
      return;
  }
  message satisfies never;
}

function writePropose(
  writer: ByteWriter,
  { group, proposals }: Extract<PeerMessage, { type: "propose" }>,
): void {
  writer.uint(group);
  writer.count(proposals.length, proposalsMax);
  for (const { id, data } of proposals) {
    writer.string(id.nodeId, stringBytesMax);
    writer.uint(id.bootCount);
    writer.uint(id.sequence);
    writer.bytes(data);
  }
}

function writeLeads(writer: ByteWriter, { groups }: Extract<PeerMessage, { type: "leads" }>): void {
  writer.count(groups.length, groupsMax);
  for (const { group, term } of groups) {
    writer.uint(group);
    writer.uint(term);
  }
}

/** @throws FrameError */
export function readMessage(reader: ByteReader): PeerMessage {
  const tag = reader.byte("message type");
  switch (tag) {
    case tags.raft:
      return { type: "raft", group: reader.uint("group", groupIdMax), message: readRaftMessage(reader) };
    case tags.heartbeat:
      return {
        type: "heartbeat",
        sequence: reader.uint("sequence"),
        digest: reader.uint("digest"),
        confirms: reader.uint("confirms"),
        takesLeads: reader.bool("takesLeads"),
        echo: reader.uint("echo"),
        echoDelayMs: reader.float("echoDelayMs"),
      };
    case tags.leads:
      return readLeads(reader);
    case tags.propose:
      return readPropose(reader);
    case tags.proposeRefused:
      return {
        type: "proposeRefused",
        group: reader.uint("group", groupIdMax),
        sequence: reader.uint("sequence"),
        reason: readChoice(reader, "reason", refusalReasons),
      };
    case tags.changeMembers:
      return readChangeMembers(reader);
    case tags.changeMembersAnswer:
      return readChangeMembersAnswer(reader);
    case tags.members:
      return readGroupMembers(reader);
    case tags.found:
      return {
        type: "found",
        founding: {
          clusterId: reader.string("clusterId", stringBytesMax),
          members: readMembers(reader, "members"),
          addresses: readAddresses(reader),
          groups: reader.uint("groups", groupsMax),
          level: reader.uint("level"),
        },
      };
    case tags.founded:
      return { type: "founded", clusterId: reader.string("clusterId", stringBytesMax) };
    case tags.gossip:
      return { type: "gossip", version: reader.uint("version"), body: reader.bytes("body") };
    case tags.rows:
      return {
        type: "rows",
        question: reader.uint("question"),
        version: reader.uint("version"),
        from: reader.uint("from"),
        to: reader.uint("to"),
        body: reader.bytes("body"),
      };
    case tags.rowsWanted:
      return { type: "rowsWanted", question: reader.uint("question"), after: reader.uint("after") };
    case tags.stores:
      return readStores(reader);
    case tags.session:
      return { type: "session", group: reader.uint("group", groupIdMax), body: reader.bytes("body") };
    default:
      reader.fail("MESSAGE_UNKNOWN", { back: 1, found: `message type ${tag}`, allowed: "1 to 15" });
  }
}

function writeGossip(
  writer: ByteWriter,
  message: Extract<PeerMessage, { type: "gossip" | "rows" | "rowsWanted" }>,
): void {
  writer.byte(tags[message.type]);
  if (message.type === "rowsWanted") {
    writer.uint(message.question);
    writer.uint(message.after);
    return;
  }
  const { version, body } = message;
  const numbers =
    message.type === "gossip" ? [version] : [message.question, version, message.from, message.to];
  for (const number of numbers) writer.uint(number);
  writer.bytes(body);
}

function writeSighting(writer: ByteWriter, sighting: StoreSighting): void {
  writer.string(sighting.nodeId, stringBytesMax);
  writer.string(sighting.storeId, stringBytesMax);
  // An id is never empty, so "" can stand for none.
  writer.string(sighting.bootId ?? "", stringBytesMax);
  writer.uint(sighting.bootCount);
  writer.uint(sighting.saves);
}

function readSighting(reader: ByteReader): StoreSighting {
  return {
    nodeId: reader.string("nodeId", stringBytesMax),
    storeId: reader.string("storeId", stringBytesMax),
    bootId: reader.string("bootId", stringBytesMax) || null,
    bootCount: reader.uint("bootCount"),
    saves: reader.uint("saves"),
  };
}

function readStores(reader: ByteReader): PeerMessage {
  const own = readSighting(reader);
  const count = reader.count("seen", { max: membersMax, elementBytesMin: sightingBytesMin });
  return { type: "stores", own, seen: Array.from({ length: count }, () => readSighting(reader)) };
}

function readLeads(reader: ByteReader): PeerMessage {
  const count = reader.count("groups", { max: groupsMax, elementBytesMin: ledGroupBytesMin });
  const groups: { group: number; term: number }[] = [];
  for (let index = 0; index < count; index++) {
    groups.push({ group: reader.uint("group", groupIdMax), term: reader.uint("term") });
  }
  return { type: "leads", groups };
}

function readPropose(reader: ByteReader): PeerMessage {
  const group = reader.uint("group", groupIdMax);
  const count = reader.count("proposals", { max: proposalsMax, elementBytesMin: proposalBytesMin });
  const proposals: { id: { nodeId: string; bootCount: number; sequence: number }; data: Uint8Array }[] = [];
  for (let index = 0; index < count; index++) {
    const id = {
      nodeId: reader.string("nodeId", stringBytesMax),
      bootCount: reader.ordinal("bootCount"),
      sequence: reader.ordinal("sequence"),
    };
    proposals.push({ id, data: reader.bytes("proposal data") });
  }
  return { type: "propose", group, proposals };
}

/** A single message, as its own bytes. @throws FRAME_TOO_LONG */
export function encodeMessage(message: PeerMessage): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(frameBytesMax);
  writeMessage(writer, message);
  return writer.take();
}

/** The inverse. Byte arrays in the message are views on `bytes`. @throws FrameError */
export function decodeMessage(bytes: Uint8Array): PeerMessage {
  const reader = new ByteReader(bytes);
  const message = readMessage(reader);
  reader.end();
  return message;
}
