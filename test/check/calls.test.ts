// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { LocalPresence, type MatchMakerDriver, matchMaker, type Presence, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { callAnswer } from "../../server/check/call-answers.ts";
import { checkDeterminism } from "../../server/check/check-determinism.ts";
import { judgeRoom } from "../../server/check/room-verdict.ts";
import { presenceMethods } from "../../server/colyseus/presence/shared-presence.ts";

const seen: unknown[] = [];

class CallingRoom extends Room {
  told: unknown[] = [];

  override onCreate() {
    this.autoDispose = false;
    void this.presence.subscribe("news", this.onNews);
    this.onMessage("go", async () => {
      this.told.push(await this.presence.incr("turns"), await this.presence.hgetall("ranks"));
      const room = await matchMaker.createRoom("match", {});
      this.told.push((await matchMaker.reserveSeatFor(room, {})).roomId);
      seen.push(...this.told.splice(0));
    });
    this.onMessage("look", () => matchMaker.getLocalRoomById(this.roomId));
  }

  onNews(news: unknown) {
    this.told.push(news);
    seen.push(news);
  }
}

const go = [
  { type: "join", client: "ann" },
  { type: "message", client: "ann", message: "go" },
] as const;

test("[Y140] a script says what presence and matchmaker answer; else they answer as if there was nothing yet", async () => {
  seen.length = 0;
  const said = await checkDeterminism(CallingRoom, {
    effects: { "presence.incr": 7, "matchMaker.createRoom": { roomId: "m1", name: "match" } },
    steps: [...go],
  });
  assert.equal([said.firstDifference, said.problems, said.warnings, said.restless], [null, [], [], null]);
  assert.equal(seen.slice(0, 3), [7, {}, "m1"]);
  seen.length = 0;
  const unsaid = await checkDeterminism(CallingRoom, { steps: [...go] });
  assert.equal([unsaid.firstDifference, unsaid.problems, unsaid.warnings], [null, [], []]);
  assert.equal(seen.slice(0, 3), [1, {}, "a room"]);
});

test("[Y140] whatever a room may ask has an answer", () => {
  const names = [
    ...presenceMethods.map((name) => `presence.${name}`),
    ...["createRoom", "create", "join", "joinById", "joinOrCreate", "reserveSeatFor", "query"],
    ...["reserveMultipleSeatsFor", "remoteRoomCall", "findOneRoomAvailable", "getRoomById"],
    ...["findRoomsByIds", "stats.fetchAll", "stats.getGlobalCCU"],
  ].map((name) => (name.startsWith("presence.") ? name : `matchMaker.${name}`));
  for (const name of names) assert.ok(callAnswer(name, ["a", "b", 3]), name);
  assert.is(callAnswer("profile", null), null);
});

test("[Y140] a script says what is published, and a saved room hears it, too", async () => {
  seen.length = 0;
  const steps = [{ type: "news", channel: "news", message: { gold: 7 } }] as const;
  const report = await checkDeterminism(CallingRoom, { steps: [...steps] });
  assert.equal([report.firstDifference, report.problems, report.restless], [null, [], null]);
  assert.equal(seen[0], { gold: 7 });
  assert.ok(report.checkpoints > 0);
});

test("[Y140] what a node has for itself is a reason to change the room, with what to do", async () => {
  const report = await checkDeterminism(CallingRoom, {
    steps: [go[0], { type: "message", client: "ann", message: "look" }],
  });
  assert.match(
    report.problems[0]?.what ?? "",
    /getLocalRoomById\(\) inside room .*await matchMaker\.getRoomById/,
  );
});

test("[Y140] a verdict on this.presence depends on the presence that the server has", async () => {
  const judge = async (presence: Presence) => {
    await matchMaker.setup(presence, undefined as unknown as MatchMakerDriver, "");
    const type = { roomName: "calling", roomClass: CallingRoom, defaultOptions: undefined };
    return (await judgeRoom(type, { steps: [...go] })).verdict;
  };
  // That of the server's own choice; without one it is the cluster's.
  class OwnPresence extends LocalPresence {}
  const unshared = await judge(new OwnPresence());
  assert.is(unshared.verdict, "change");
  const finding = unshared.findings.find(({ what }) => /uses this\.presence/.test(what));
  assert.match(finding?.what ?? "", /in the memory of each node alone/);
  assert.match(finding?.remedy ?? "", /RedisPresence/);
  assert.match(finding?.at ?? "", /calls\.test\.ts:\d+$/);
  for (const presence of [new LocalPresence(), Object.assign(new OwnPresence(), { shared: true })]) {
    const shared = await judge(presence);
    assert.is(shared.findings.filter(({ what }) => /uses this\.presence/.test(what)).length, 0);
  }
});

test.run();
