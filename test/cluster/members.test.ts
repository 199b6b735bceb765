// test-run: waits
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MembersError } from "../../server/cluster/members-error.ts";
import { groups, type MembersWorld, nothing, withWorld } from "./members-world.ts";
import { eventually } from "./spawned.ts";

const test = suite("members of whole nodes, with real disks and links");

const everyGroup = Array.from({ length: groups }, (_, group) => group);

async function add(world: MembersWorld, id: string, amount: number): Promise<unknown[]> {
  const { engine } = world.node(id);
  return await Promise.all(everyGroup.map((group) => engine.propose(group, new Uint8Array([amount]))));
}

async function refusal(world: MembersWorld, request: Parameters<MembersWorld["change"]>[1], at = "n1") {
  const { members } = world.node(at);
  assert.ok(members);
  return await members.change({ ...nothing, ...request }).then(
    (): MembersError => {
      throw new Error("it is taken");
    },
    (error: unknown) => {
      assert.instance(error, MembersError);
      return error as MembersError;
    },
  );
}

test(
  "[C21] a blank node waits, is made a member of every group while it runs, catches up and serves",
  withWorld(async (world) => {
    await add(world, "n1", 3);
    const fourth = await world.start("n4");
    await eventually("it is of the cluster", () => fourth.founding !== null);
    assert.is(fourth.life.state, "joining");
    await eventually("it says what it waits for", () =>
      world.logged.some(
        ({ node, msg }) => node === "n4" && /n4 is no member of cluster .*testudo members add n4=/.test(msg),
      ),
    );
    await world.change("n2", { members: [world.adding("n4")] });
    await fourth.ready();
    await world.agreeOn(["n1", "n2", "n3", "n4"]);
    assert.equal(
      await add(world, "n4", 4),
      everyGroup.map(() => 7),
    );
    assert.ok(
      world
        .node("n1")
        .endpoints()
        .some(({ node }) => node === "n4"),
    );
    const again = await world
      .node("n3")
      .members?.change({ ...nothing, members: [world.adding("n4")], again: true });
    assert.is(again?.isDone, true);
    assert.is((await refusal(world, { members: [world.adding("n4")] })).code, "ALREADY_SO");
  }),
);

test(
  "[C21] three become three others in one step, and those find each other again by what the log says",
  withWorld(async (world) => {
    await add(world, "n1", 3);
    for (const id of ["n4", "n5", "n6"]) await world.start(id);
    await world.change("n1", {
      members: ["n4", "n5"].map((id) => world.adding(id)),
      remove: ["n2"],
    });
    await world.agreeOn(["n1", "n3", "n4", "n5"]);
    await world.change("n4", { members: [world.adding("n6")], remove: ["n1", "n3"] });
    await world.agreeOn(["n4", "n5", "n6"]);
    for (const id of ["n1", "n2", "n3"]) {
      await eventually(`${id} knows`, () => world.removed.has(id));
      await world.stop(id);
    }
    assert.equal(
      await add(world, "n6", 4),
      everyGroup.map(() => 7),
    );
    for (const id of ["n4", "n5", "n6"]) await world.stop(id);
    // Their --peers still name nobody who is left.
    for (const id of ["n4", "n5", "n6"]) await world.start(id);
    for (const id of ["n4", "n5", "n6"]) await world.node(id).ready();
    assert.equal(
      await add(world, "n5", 1),
      everyGroup.map(() => 8),
    );
    assert.ok(
      world.logged.some(({ event, msg }) => event === "peers-differ" && /names n1, n2, n3, which/.test(msg)),
    );
  }),
);

test(
  "[C22] a node that is removed is told, says so, and the others go on",
  withWorld(async (world) => {
    await world.change("n1", { remove: ["n3"] });
    await eventually("n3 knows", () => world.removed.has("n3"));
    const error = world.removed.get("n3");
    assert.is(error?.code, "REMOVED");
    assert.match(
      error?.message ?? "",
      /^n3 \(store [0-9a-f]{16}\) was removed from cluster [0-9a-f]{16}, whose members are n1, n2\. .*empty .*add n3=/,
    );
    await world.stop("n3");
    assert.is(world.node("n1").isLost("n3"), true);
    assert.equal(
      await add(world, "n2", 5),
      everyGroup.map(() => 5),
    );
    assert.equal(
      world
        .node("n1")
        .peers()
        .map(({ node }) => node),
      ["n2"],
    );
    await world.start("n3");
    await eventually("and again", () => world.logged.filter(({ event }) => event === "removed").length === 2);
  }),
);

for (const victim of ["n1", "n3"]) {
  test(
    `[C22] ${victim}, which is removed while it is down, is told when it comes back, whoever should dial whom`,
    withWorld(async (world) => {
      await world.stop(victim);
      const asked = victim === "n1" ? "n2" : "n1";
      await world.change(asked, { remove: [victim] });
      await world.start(victim);
      await eventually("it knows", () => world.removed.has(victim));
    }),
  );
}

test(
  "[C23] a node whose disk is lost waits, and is readmitted with its new one by one change",
  withWorld(async (world) => {
    await add(world, "n1", 3);
    await world.stop("n3");
    world.empty("n3");
    const emptied = await world.start("n3");
    await eventually("it says what it waits for", () =>
      world.logged.some(
        ({ node, msg }) => node === "n3" && /with this data folder.*testudo members add n3=/.test(msg),
      ),
    );
    assert.is(emptied.life.state, "joining");
    await eventually("the others see it", () => {
      const linked = world.node("n1").membership.linked("n3");
      return linked?.storeId === emptied.identity.storeId;
    });
    await world.change("n1", { members: [world.adding("n3", { url: null })] });
    await emptied.ready();
    await world.agreeOn(["n1", "n2", "n3"]);
    assert.is(world.node("n1").membership.roster.disksOf("n3")[0]?.storeId, emptied.identity.storeId);
    await world.stop("n2");
    assert.equal(
      await add(world, "n3", 4),
      everyGroup.map(() => 7),
      "and it counts",
    );
  }),
);

test(
  "[C24] what cannot be is refused with a code and a reason, and nothing is begun",
  withWorld(async (world) => {
    const codes: string[] = [];
    const refused = async (...args: [Parameters<MembersWorld["change"]>[1], RegExp]) => {
      const error = await refusal(world, args[0]);
      assert.match(error.message, args[1]);
      codes.push(error.code);
    };
    await refused({}, /nothing is to be changed/);
    await refused({ remove: ["n3", "n3"] }, /n3 is named twice/);
    await refused({ remove: ["n9"] }, /n9 is no member: the members are n1, n2, n3$/);
    await refused({ members: [world.adding("n4", { url: null })] }, /say n4=HOST:PORT/);
    await refused({ remove: ["n1", "n2", "n3"] }, /group 0: nobody would be left to vote/);
    await world.stop("n3");
    await eventually("the leaders miss it", () => world.node("n1").isLost("n3"));
    await refused(
      { remove: ["n2"] },
      /group \d: of the wished voters n1, n3 at least 2 must be there, but n3 is not/,
    );
    assert.equal(codes, [
      "NOTHING_ASKED",
      "NODE_TWICE",
      "NODE_UNKNOWN",
      "ADDRESS_MISSING",
      "NO_VOTERS",
      "QUORUM_LOST",
    ]);
    await world.agreeOn(["n1", "n2", "n3"], ["n1", "n2"]);
  }),
);

test(
  "[C24] a node that does not answer is no member, and a node that is no member changes none",
  withWorld(async (world) => {
    const away = await refusal(world, { members: [world.adding("n4")] });
    assert.is(away.code, "NO_ANSWER");
    assert.match(away.message, /n4 does not answer at ws:.*is it running, with the cluster's secret/);
    await world.start("n5");
    await eventually("it is of the cluster", () => world.node("n5").members !== null);
    assert.is((await refusal(world, { members: [world.adding("n5")] }, "n5")).code, "NOT_A_MEMBER");
    await world.agreeOn(["n1", "n2", "n3"]);
  }),
);

test.run();
