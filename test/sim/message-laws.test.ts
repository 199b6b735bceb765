import { test } from "uvu";
import * as assert from "uvu/assert";
import type { GroupStatus } from "../../server/group/group-status.ts";
import { emptyConfiguration, type Member } from "../../server/raft/configuration.ts";
import type { Entry } from "../../server/raft/entry.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import type { GroupSave } from "../../server/storage/storage.ts";
import { Coverage } from "./coverage.ts";
import { Laws } from "./laws.ts";
import { Schedule } from "./schedule.ts";

const group = 0;
const term = 1;
const leader: Member = { nodeId: "n1", storeId: "s1" };
const voter: Member = { nodeId: "n2", storeId: "s2" };
const learner: Member = { nodeId: "n3", storeId: "s3" };
const configuration = { ...emptyConfiguration, voters: [leader, voter], learners: [learner] };
const base = { index: 0, term: 0, logTimeMs: 0, wallTimeMs: 0, configuration };

function entry(index: number): Entry {
  return { index, term, type: "noop", logTimeMs: 0, wallTimeMs: 0, data: new Uint8Array() };
}

/** A leader with two entries on its disk, and the laws that watch it. */
class Scene {
  readonly laws = new Laws({ coverage: new Coverage(), schedule: new Schedule() });

  constructor() {
    for (const { nodeId, storeId } of [leader, voter, learner]) {
      const identity = { nodeId, storeId, bootCount: 1, founding: null, level: 1 };
      this.laws.opened(nodeId, { identity, groups: new Map() });
      this.save(nodeId, { base, hardState: { term, votedFor: leader, commitIndex: 0 } });
    }
    const [asking, granting] = [leader, voter];
    const request = { type: "requestVote", term, lastLogIndex: 0, lastLogTerm: 0, cause: "timeout" } as const;
    this.#say(asking.nodeId, granting.nodeId, { ...request, storeId: asking.storeId });
    const vote = { type: "requestVoteResponse", term, granted: true } as const;
    this.#say(granting.nodeId, asking.nodeId, { ...vote, storeId: granting.storeId });
    this.save(leader.nodeId, { entries: [entry(1), entry(2)] });
  }

  save(node: string, save: GroupSave): void {
    this.laws.saving(node, { groups: new Map([[group, save]]) });
    this.laws.settled(node, true);
  }

  #say(from: string, to: string, message: RaftMessage): void {
    const members = { group, configuration, index: 0, isCommitted: true, hasBeenMember: true };
    const statuses = [{ id: group, role: "leader", term, members }] as unknown as readonly GroupStatus[];
    this.laws.messages.sent(from, to, { type: "raft", group, message }, () => statuses);
  }

  /** The leader asks it to campaign at once. */
  ask(nodeId: string): void {
    this.#say(leader.nodeId, nodeId, { type: "timeoutNow", term, storeId: leader.storeId });
  }
}

test("[X43] it is noticed that somebody who lacks an entry, or does not vote, is asked to campaign", () => {
  const scene = new Scene();
  scene.save(voter.nodeId, { entries: [entry(1)] });
  assert.throws(() => scene.ask(voter.nodeId), /\[X43\] n1 asks n2 to campaign .* ends at 1, its own at 2/);
  scene.save(voter.nodeId, { entries: [entry(2)] });
  scene.ask(voter.nodeId);
  scene.save(learner.nodeId, { entries: [entry(1), entry(2)] });
  assert.throws(() => scene.ask(learner.nodeId), /\[X43\] n1 asks n3/);
});

test("[X43] whose disk was lost, or became an older one, unseen may be asked if it had everything", () => {
  for (const hadAll of [true, false]) {
    for (const isLost of [true, false]) {
      const scene = new Scene();
      const old = scene.laws.image(voter.nodeId);
      scene.save(voter.nodeId, { entries: hadAll ? [entry(1), entry(2)] : [entry(1)] });
      if (isLost) scene.laws.lost(voter.nodeId);
      else scene.laws.restored(voter.nodeId, old);
      if (hadAll) scene.ask(voter.nodeId);
      else assert.throws(() => scene.ask(voter.nodeId), /\[X43\]/);
    }
  }
});

test.run();
