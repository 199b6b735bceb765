import type { Configuration, Member } from "../../server/raft/configuration.ts";
import { decodeConfiguration } from "../../server/raft/configuration-codec.ts";
import type { Entry, HardState } from "../../server/raft/entry.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import type { FollowerStatus } from "../../server/raft/raft-status.ts";
import { textOf } from "./raft-cluster.ts";

/** `[3 t2 a]`: index 3, of term 2, the command "a". */
export function entryWords({ index, term, type, data }: Entry): string {
  let what: string = type;
  if (type === "command") what = textOf(data);
  if (type === "configuration") what = configurationWords(decodeConfiguration(data));
  return what === "" ? `[${index} t${term}]` : `[${index} t${term} ${what}]`;
}

export function entriesWords(entries: readonly Entry[]): string {
  return entries.map(entryWords).join(" ");
}

const newDisk = "-new";

function namesOf(members: readonly Member[]): string {
  return members.map(({ nodeId, storeId }) => (storeId.endsWith(newDisk) ? `${nodeId}*` : nodeId)).join(" ");
}

/** `voters n1 n2, learners n3`; a joint one: `voters n1 n3 and n1 n2`. A node with a new disk has a star. */
export function configurationWords({ voters, votersOutgoing, learners, nextVoters }: Configuration): string {
  return [
    `voters ${namesOf(voters)}${votersOutgoing.length > 0 ? ` and ${namesOf(votersOutgoing)}` : ""}`,
    ...(learners.length > 0 ? [`learners ${namesOf(learners)}`] : []),
    ...(nextVoters.length > 0 ? [`to be voters ${namesOf(nextVoters)}`] : []),
  ].join(", ");
}

const at = (index: number, term: number) => (index === 0 ? "the beginning" : `[${index} t${term}]`);

export function hardStateWords({ term, votedFor, commitIndex }: HardState): string {
  return `term ${term}, vote ${votedFor?.nodeId ?? "none"}, commit ${commitIndex}`;
}

/** Everything that a message says; its sender's disk only if it is not the one that the configuration names. */
export function messageWords(message: RaftMessage): string {
  return message.storeId.endsWith(newDisk) ? `${words(message)}, from a new disk` : words(message);
}

function words(message: RaftMessage): string {
  const head = `${message.type}, term ${message.term}`;
  switch (message.type) {
    case "preVote":
    case "requestVote":
      return `${head}, log ends at ${at(message.lastLogIndex, message.lastLogTerm)}${causeWords(message)}`;
    case "preVoteResponse":
    case "requestVoteResponse":
      return `${head}, ${message.granted ? "granted" : "refused"}`;
    case "appendEntries": {
      const { prevLogIndex, prevLogTerm, entries, commitIndex } = message;
      const what = entries.length === 0 ? "nothing" : entriesWords(entries);
      return `${head}, after ${at(prevLogIndex, prevLogTerm)}: ${what}, commit ${commitIndex}`;
    }
    case "appendEntriesResponse":
      if (message.success) {
        const { receivedIndex, matchIndex } = message;
        return `${head}, match ${matchIndex}${receivedIndex === matchIndex ? "" : ` of ${receivedIndex}`}`;
      }
      return `${head}, not after ${message.rejectedIndex}: at most up to ${at(message.conflictIndex, message.conflictTerm)}`;
    case "installSnapshot":
      return `${head}, up to ${at(message.base.index, message.base.term)}, chunk ${message.chunk}${message.last ? ", the last" : ""}`;
    case "installSnapshotResponse": {
      const match = message.status === "installed" ? `, match ${message.matchIndex}` : "";
      return `${head}, chunk ${message.chunk} ${message.status}${match}`;
    }
    case "confirmLead":
      return `${head}, round ${message.round}`;
    case "confirmLeadResponse": {
      const lease = message.leaseMs > 0 ? `, lease ${message.leaseMs} ms` : "";
      return `${head}, round ${message.round}${lease}`;
    }
    case "readIndexResponse":
      return `${head}, ${message.index}`;
    // Whose question it is, its number says; that is drawn at random.
    case "readIndex":
    case "timeoutNow":
    case "timeoutNowRefused":
      return head;
  }
}

/** Why no lease holds it up. */
function causeWords(message: Extract<RaftMessage, { type: "preVote" | "requestVote" }>): string {
  if (message.type === "preVote") return message.leaderLost ? ", leader lost" : "";
  return { timeout: "", leaderLost: ", leader lost", transfer: ", transfer" }[message.cause];
}

/** How a leader brings a follower up to date. */
export function progressWords({ state, nextIndex, matchIndex }: FollowerStatus): string {
  switch (state) {
    case "probing":
      return `probing at ${nextIndex}`;
    case "replicating":
      return `replicating, match ${matchIndex}`;
    case "installing":
      return "installing a snapshot";
  }
}
