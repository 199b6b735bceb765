import { test } from "uvu";
import * as assert from "uvu/assert";
import { Roster } from "../../server/cluster/roster.ts";
import type { MembersNotice } from "../../server/group/group-status.ts";
import {
  type Address,
  type Configuration,
  emptyConfiguration,
  type Member,
} from "../../server/raft/configuration.ts";

const disk = (nodeId: string, storeId = `${nodeId}-disk`): Member => ({ nodeId, storeId });
const disks = (ids: string): Member[] => ids.split(",").map((id) => disk(id));
const url = (nodeId: string, port = 1): Address => ({ nodeId, url: `ws://${nodeId}:${port}` });

function notice(
  group: number,
  index: number,
  configuration: Partial<Configuration>,
  isCommitted = true,
): MembersNotice {
  return {
    ...{ group, index, isCommitted, hasBeenMember: false },
    configuration: { ...emptyConfiguration, ...configuration },
  };
}

const founding = {
  clusterId: "c",
  level: 1,
  members: disks("n1,n2,n3"),
  addresses: [url("n2"), url("n3")],
  groups: 2,
};

/** Founded, with two groups as they begin. */
function roster(self: Member, given: Record<string, string> = {}): { roster: Roster; changes: () => number } {
  let changes = 0;
  const made = new Roster({ self, given, changed: () => void changes++ });
  const { members, addresses } = founding;
  made.found(
    founding,
    [0, 1].map((group) => notice(group, 0, { voters: members, addresses })),
  );
  return { roster: made, changes: () => changes };
}

test("[C25] before the founding only --peers count; then the members do", () => {
  const blank = new Roster({ self: disk("n1"), given: { n2: "ws://x:2" }, changed: () => {} });
  assert.equal([...blank.peers], [["n2", "ws://x:2"]]);
  assert.is(blank.standing, "joining");
  const { roster: member } = roster(disk("n1"), { n2: "ws://x:2", n9: "ws://x:9" });
  assert.is(member.standing, "member");
  assert.equal(
    [...member.peers],
    [
      ["n2", "ws://n2:1"],
      ["n3", "ws://n3:1"],
    ],
  );
  const { roster: lowest } = roster(disk("n2"), { n1: "ws://x:1" });
  assert.is(lowest.peers.get("n1"), "ws://x:1", "nobody else knows where it is");
});

test("[C25] a node that is no member links with those that --peers names, too", () => {
  const { roster: joining } = roster(disk("n4"), { n1: "ws://x:1", n8: "ws://x:8" });
  assert.is(joining.standing, "joining");
  assert.equal([...joining.peers.keys()], ["n1", "n2", "n3", "n8"]);
  joining.noticed(
    notice(0, 5, { voters: disks("n1,n2,n3"), learners: disks("n4"), addresses: [url("n4")] }, false),
  );
  assert.is(joining.standing, "member");
  assert.is(joining.isWholeMember, false, "of one group only");
  joining.noticed(notice(1, 5, { voters: disks("n1,n2,n3,n4") }));
  assert.is(joining.isWholeMember, true);
  assert.equal([...joining.peers.keys()], ["n1", "n2", "n3"]);
});

test("[C22] who gets a snapshot from before it was made a member is not removed; who was one is, also by its log", () => {
  const { roster: joining } = roster(disk("n4"), { n1: "ws://x:1" });
  joining.noticed(notice(0, 7, { voters: disks("n1,n2,n3") }));
  joining.told([{ group: 1, index: 9, members: disks("n1,n2,n3") }]);
  assert.is(joining.standing, "joining");
  joining.noticed(notice(0, 8, { voters: disks("n1,n2,n3"), learners: disks("n4") }, false));
  assert.is(joining.standing, "member");
  joining.noticed(notice(0, 7, { voters: disks("n1,n2,n3") }));
  assert.is(joining.standing, "joining", "a wish that was taken back makes nobody a member");
  const out = notice(0, 9, { voters: disks("n1,n2,n3") });
  joining.noticed({ ...out, hasBeenMember: true });
  assert.is(joining.standing, "member", "what is known of group 1 may be older than its joining there");
  joining.told([{ group: 1, index: 10, members: disks("n1,n2,n3,n4") }]);
  joining.told([{ group: 1, index: 11, members: disks("n1,n2,n3") }]);
  assert.is(joining.standing, "removed");
});

test("[C25] members are those of any group, with all their disks; the address that was told last counts", () => {
  const { roster: member } = roster(disk("n1"));
  const other = disk("n3", "another");
  member.noticed(
    notice(0, 5, {
      voters: [...disks("n1,n2"), other],
      votersOutgoing: disks("n1,n2,n3"),
      addresses: [url("n3", 7)],
    }),
  );
  assert.equal(new Set(member.disksOf("n3")), new Set([other, disk("n3")]));
  assert.is(member.peers.get("n3"), "ws://n3:7");
  member.noticed(notice(1, 5, { voters: disks("n1,n2"), addresses: [url("n3", 1)] }));
  assert.is(member.peers.get("n3"), "ws://n3:7", "an address that is no news changes nothing");
  member.noticed(notice(1, 6, { voters: disks("n1,n2"), addresses: [url("n3", 8)] }));
  assert.is(member.peers.get("n3"), "ws://n3:8");
  assert.ok(member.isMember("n3") && !member.isMember("n4"));
});

test("[C22] a node is removed once no group counts it by a configuration that cannot be taken back", () => {
  const { roster: member } = roster(disk("n3"));
  member.noticed(notice(0, 5, { voters: disks("n1,n2") }, false));
  member.noticed(notice(1, 5, { voters: disks("n1,n2") }));
  assert.is(member.standing, "member");
  member.noticed(notice(0, 5, { voters: disks("n1,n2") }));
  assert.is(member.standing, "removed");
});

test("[C22] what others know to be committed counts if it is newer, or if this node does not know it to be", () => {
  const { roster: member, changes } = roster(disk("n3"));
  member.noticed(notice(0, 5, { voters: disks("n1,n2,n3") }));
  member.noticed(notice(1, 7, { voters: disks("n1,n2") }, false));
  const before = changes();
  member.told([
    { group: 0, index: 5, members: disks("n1,n2") },
    { group: 1, index: 6, members: disks("n1,n2") },
    { group: 9, index: 99, members: [] },
  ]);
  assert.is(changes(), before, "no news");
  assert.is(member.standing, "member");
  member.told([{ group: 0, index: 6, members: disks("n1,n2") }]);
  assert.is(member.standing, "member", "group 1 may still count it");
  member.told([{ group: 1, index: 7, members: disks("n1,n2") }]);
  assert.is(member.standing, "removed");
  member.noticed(notice(0, 8, { voters: disks("n1,n2,n3") }));
  assert.is(member.standing, "member", "its own log is further");
});

test("[C21] whoever is invited is linked until it is not any more", () => {
  const { roster: member } = roster(disk("n1"));
  const earlier = member.invite("n4", "ws://n4:3");
  const takeBack = member.invite("n4", "ws://n4:4");
  earlier();
  assert.is(member.peers.get("n4"), "ws://n4:4");
  assert.is(member.isMember("n4"), false);
  takeBack();
  assert.is(member.peers.has("n4"), false);
});

test.run();
