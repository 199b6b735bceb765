// test-run: waits
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { MembersList } from "../../server/cluster/members-list.ts";
import { eventually } from "../cluster/spawned.ts";
import { withOperator } from "./operated.ts";

const test = suite("testudo members, over whole nodes");

const rolesOf = ({ members }: MembersList) =>
  members.map(({ node, votes, learns, link }) => `${node} ${votes} ${learns} ${link}`);

test(
  "[C42] the list names every member, and whoever waits to be one, also as one sees it that waits itself",
  withOperator(async (operated) => {
    const { world } = operated;
    await world.start("n4");
    await operated.open("n4");
    await eventually("n4 knows the cluster", () => world.node("n4").founding !== null);
    await eventually("n1 sees it wait", () => world.node("n1").membership.waiting.length === 1);
    const told = await operated.list("n1");
    assert.equal(rolesOf(told), ["n1 2 0 self", "n2 2 0 up", "n3 2 0 up", "n4 0 0 up"]);
    assert.is(told.members[1]?.url, world.url("n2"));
    assert.is(told.members[1]?.storeId, world.node("n2").identity.storeId);
    assert.is(
      told.members.reduce((sum, { leads }) => sum + leads, 0),
      2,
    );
    await eventually("n4 sees all", async () =>
      (await operated.list("n4")).members.every(({ link }) => link !== "down"),
    );
    assert.equal(rolesOf(await operated.list("n4")), ["n1 2 0 up", "n2 2 0 up", "n3 2 0 up", "n4 0 0 self"]);
    const shown = await operated.members("n1", "list");
    assert.match(
      shown.out,
      /^cluster [0-9a-f]{16}, 2 groups\nnode +role +leads +link from n1 +address +store\n/,
    );
    assert.match(shown.out, /\nn3 +voter +\d +up +ws:\/\/127.0.0.1:\d+ +[0-9a-f]{16}\n/);
    assert.match(shown.out, /\nn4 +no member: waits, or leaves +0 +up/);
  }),
);

test(
  "[C43] nodes are added, replaced and removed through any node, one that waits and one that goes included",
  withOperator(async (operated) => {
    const { world } = operated;
    for (const id of ["n4", "n5"]) await world.start(id);
    await operated.open("n4", "n5");
    await eventually("n4 knows the cluster", () => world.node("n4").founding !== null);
    await eventually("n4 is linked with all", () =>
      ["n1", "n2", "n3"].every((id) => world.node("n4").membership.linked(id)),
    );
    const address = (id: string) => `${id}=${world.url(id).slice("ws://".length)}`;
    const added = await operated.members("n4", "add", address("n4"));
    assert.equal([added.code, added.out], [0, "Done: make n4 a voter.\n"], added.err);
    await world.agreeOn(["n1", "n2", "n3", "n4"]);
    const dry = await operated.members("n2", "replace", "n1", address("n5"), "--dry-run");
    assert.equal(
      [dry.code, dry.out],
      [0, "This would be taken: make n5 a voter, remove n1. Nothing was begun.\n"],
      dry.err,
    );
    await world.agreeOn(["n1", "n2", "n3", "n4"]);
    const replaced = await operated.members("n1", "replace", "n1", "n5", world.url("n5"));
    assert.equal([replaced.code, replaced.out], [0, "Done: make n5 a voter, remove n1.\n"], replaced.err);
    await world.agreeOn(["n2", "n3", "n4", "n5"]);
    const removed = await operated.members("n2", "remove", "n2", "--json");
    assert.is(removed.code, 0, removed.err);
    assert.is((JSON.parse(removed.out) as { isDone: boolean }).isDone, true);
    await world.agreeOn(["n3", "n4", "n5"]);
    await eventually("both know", () => ["n1", "n2"].every((id) => world.removed.has(id)));
  }),
);

test(
  "[C43] a learner is added, and made a voter; of a node that is not there nothing is begun; a dead one is removed",
  withOperator(async (operated) => {
    const { world } = operated;
    await world.start("n4");
    const address = `n4=${world.url("n4")}`;
    const learner = await operated.members("n1", "add", address, "--learner");
    assert.is(learner.code, 0, learner.err);
    assert.equal(rolesOf(await operated.list("n1")).at(-1), "n4 0 2 up");
    const voter = await operated.members("n3", "add", "n4");
    assert.is(voter.code, 0, voter.err);
    await world.agreeOn(["n1", "n2", "n3", "n4"]);
    await world.stop("n4");
    await eventually("n1 misses it", () => world.node("n1").membership.linked("n4") === null);
    await world.start("n5");
    const added = await operated.members("n1", "add", `n5=${world.url("n5")}`, "n4");
    assert.is(added.code, 1);
    assert.match(added.err, /NO_ANSWER: n4 does not answer at ws/);
    const nothingWaits = await operated.members("n1", "cancel");
    assert.match(nothingWaits.err, /ALREADY_SO: nothing waits already/);
    const removed = await operated.members("n1", "remove", "n4");
    assert.is(removed.code, 0, removed.err);
    await world.agreeOn(["n1", "n2", "n3"]);
  }),
);

test(
  "[C43] what cannot be is refused with its reason, and a command that is wrong says how it must be",
  withOperator(async (operated) => {
    for (const [args, code, told] of [
      [["remove", "n9"], 1, /NODE_UNKNOWN: n9 is no member: the members are n1, n2, n3/],
      [["add", "n2"], 1, /ALREADY_SO: n2 is a voter of every group already/],
      [["add", "n8"], 1, /ADDRESS_MISSING: nobody knows where.*n8=HOST:PORT/],
      [["remove", "n1", "n2", "n3"], 1, /NO_VOTERS: group 0: nobody would be left to vote/],
      [["add", "n4=nonsense"], 2, /"nonsense" is no address of a node: it must be HOST:PORT/],
      [["add", "n4=10.0.0.4"], 2, /"10.0.0.4" is no address/],
      [["add", "10.0.0.4:2667"], 2, /is nobody's address: NODE=HOST:PORT/],
      [["add", "n 4=10.0.0.4:2667"], 2, /"n 4" is no node's id/],
      [["replace", "n1", "n1=10.0.0.4:2667"], 2, /testudo members add n1/],
      [["replace", "n1", "n4=10.0.0.4:1", "n5=10.0.0.4:2"], 2, /one node by one node/],
      [["remove", "n3", "--wait", "soon"], 2, /--wait soon: whole seconds/],
    ] as const) {
      const { code: ended, err } = await operated.members("n1", ...args);
      assert.is(ended, code, `${args.join(" ")}: ${err}`);
      assert.match(err, told);
    }
    await operated.world.agreeOn(["n1", "n2", "n3"]);
  }),
);

test.run();
