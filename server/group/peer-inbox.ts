import type { PeerMessage } from "../network/peer-message.ts";
import type { AwakeGroups } from "./awake-groups.ts";
import type { Group } from "./group.ts";
import type { Heartbeats } from "./heartbeats.ts";
import type { Log } from "./log.ts";

interface PeerInboxParts {
  readonly groups: readonly Group[];
  readonly awake: AwakeGroups;
  readonly heartbeats: Heartbeats;
  readonly log: Log;
}

/** What other nodes say to this node's groups, and where it goes. Runs in the pipe. */
export class PeerInbox {
  readonly #parts: PeerInboxParts;

  constructor(parts: PeerInboxParts) {
    this.#parts = parts;
  }

  receive(from: string, message: PeerMessage, nowMs: number): void {
    const { heartbeats } = this.#parts;
    switch (message.type) {
      case "raft":
        this.#known(from, message.group)?.message(from, message.message);
        return;
      case "heartbeat":
        heartbeats.heard(from, message, nowMs);
        return;
      case "leads":
        heartbeats.heardLeads(from, message.groups);
        return;
      case "propose":
        this.#known(from, message.group)?.router.receive(from, message.proposals);
        return;
      case "proposeRefused":
        this.#known(from, message.group)?.proposeRefused(from);
        return;
      case "session":
        this.#known(from, message.group)?.machine.heard?.(from, message.body);
        return;
      case "changeMembers":
        this.#known(from, message.group)?.memberChanges.receive(from, message);
        return;
      case "changeMembersAnswer":
        this.#known(from, message.group)?.memberChanges.answer(message);
        return;
      case "members":
      case "found":
      case "founded":
      case "gossip":
      case "rows":
      case "rowsWanted":
      case "stores":
        return;
    }
  }

  #known(from: string, id: number): Group | null {
    const { groups, awake } = this.#parts;
    const group = groups[id];
    if (group !== undefined) {
      awake.wake(group);
      return group;
    }
    this.#parts.log.warn({ from, group: id }, "a message for a group that there is not");
    return null;
  }
}
