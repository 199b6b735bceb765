import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OperatorClient } from "../../server/admin/cli/operator-client.ts";
import type { RoomStatus } from "../../server/colyseus/room-status.ts";
import { eventually } from "../cluster/spawned.ts";
import { type Operated, withOperator } from "./operated.ts";

const test = suite("testudo drain, over whole nodes");

/** Each node knows that all take clients. */
async function allOpen({ world }: Operated): Promise<void> {
  await eventually("all nodes take clients", () =>
    world.running.every(
      (node) => node.door === "open" && node.elsewhere().length === world.running.length - 1,
    ),
  );
}

test(
  "[C56] a node is drained and ends, whichever is asked, and the end is waited for",
  withOperator(async (operated) => {
    const { world } = operated;
    await allOpen(operated);
    const ended = world.node("n2");
    const drained = await operated.testudo("n1", "drain", "n2", "--json", "--timeout-ms", "1500");
    assert.is(drained.code, 0, drained.err);
    const { node, tookMs, clients } = JSON.parse(drained.out) as Record<string, unknown>;
    assert.equal([node, typeof tookMs, clients], ["n2", "number", 2]);
    assert.match(drained.err, /^n2 is (serving|draining): 2 clients, 0 plain rooms and 0 leads are left\n/);
    assert.equal(operated.drains, [{ id: "n2", timeoutMs: 1_500 }]);
    assert.is(ended.life.state, "stopped");
    await world.start("n2");
    await operated.open("n2");
    await allOpen(operated);
    // Itself, as its own node is asked.
    const other = await operated.testudo("n3", "drain", "n3");
    assert.is(other.code, 0, other.err);
    assert.match(other.out, /^n3 has ended after \d+ ms; 2 clients, 0 plain rooms and 0 leads are left when/);
    assert.equal(operated.drains[1], { id: "n3", timeoutMs: null });
  }),
);

test(
  "[C55] a node takes clients until it drains, and every other one knows it",
  withOperator(async (operated) => {
    const { world } = operated;
    await allOpen(operated);
    const order = (id: string) =>
      world
        .node(id)
        .endpoints()
        .map(({ node }) => node);
    assert.equal(order("n2"), ["n2", "n1", "n3"]);
    let empty = () => {};
    operated.emptied = new Promise((resolve) => (empty = resolve));
    const leaving = operated.testudo("n1", "drain", "n2");
    for (const id of ["n1", "n3"])
      await eventually(`${id} knows`, () => world.node(id).elsewhere().length === 1);
    assert.equal(
      [order("n1"), order("n2")],
      [
        ["n1", "n3", "n2"],
        ["n1", "n3", "n2"],
      ],
    );
    assert.equal(
      world
        .node("n1")
        .endpoints()
        .map(({ draining }) => draining),
      [undefined, undefined, true],
    );
    assert.equal(
      world
        .node("n2")
        .groups()
        .filter(({ role }) => role === "leader"),
      [],
    );
    const again = await operated.testudo("n1", "drain", "n2");
    assert.is(again.code, 1);
    assert.match(again.err, /DRAINING: n2 is draining already/);
    const too = await operated.testudo("n1", "drain", "n3");
    assert.is(too.code, 1);
    assert.match(too.err, /QUORUM_LOST: without n3 group 0, 1 would have no majority: only n1 would be left/);
    empty();
    assert.is((await leaving).code, 0);
    assert.is(operated.drains.length, 1);
    const gone = await operated.testudo("n1", "drain", "n2");
    assert.match(gone.err, /NODE_UNREACHABLE: n1 has no link to n2: is it running/);
    const forced = await operated.testudo("n1", "drain", "n3", "--force");
    assert.is(forced.code, 0, forced.err);
  }),
);

test(
  "[C59] a node that alone has a pinned room is not drained, but by force",
  withOperator(async (operated) => {
    await allOpen(operated);
    const absent = { type: "absent", index: 9, because: "a timer", waitsFor: null } as const;
    const room = (roomId: string, { pinned = true, standing = null as RoomStatus["standing"] } = {}) => ({
      ...{ roomId, name: "maze", pinned, standing },
    });
    operated.rooms.set("n1", [
      room("one", { standing: absent }),
      room("two"),
      room("saved", { pinned: false }),
    ]);
    operated.rooms.set("n2", [room("one"), room("two"), room("saved", { pinned: false })]);
    operated.rooms.set("n3", [room("one", { standing: absent }), room("three")]);
    const refused = await operated.testudo("n1", "drain", "n2");
    assert.is(refused.code, 1);
    assert.match(
      refused.err,
      /ROOMS_LOST: no other node has room one \(maze\), which has long not been at rest/,
    );
    // Whichever is asked.
    assert.match((await operated.testudo("n3", "drain", "n3")).err, /no other node has room three \(maze\)/);
    assert.equal(operated.drains, []);
    const forced = await operated.testudo("n1", "drain", "n3", "--force");
    assert.is(forced.code, 0, forced.err);
    // As soon as it is at rest.
    operated.rooms.set("n2", [room("one", { pinned: false }), room("two")]);
    await operated.world.start("n3");
    await operated.open("n3");
    await allOpen(operated);
    const drained = await operated.testudo("n1", "drain", "n2");
    assert.is(drained.code, 0, drained.err);
  }),
);

test(
  "[C56] what is wrong with the command is told, and nothing is begun",
  withOperator(async (operated) => {
    await allOpen(operated);
    const refused = async (...args: string[]) => {
      const { code, err } = await operated.testudo("n1", "drain", ...args);
      return `${code} ${err.trim()}`;
    };
    assert.match(
      await refused("n9"),
      /^1 testudo: NODE_UNKNOWN: n9 is no member: the members are n1, n2, n3$/,
    );
    assert.match(await refused("n 9"), /^2 testudo: OPTION_WRONG: "n 9" is no node's id/);
    for (const wrong of ["-1", "1.5", "soon", "86400001"])
      assert.match(
        await refused("n2", `--timeout-ms=${wrong}`),
        /^2 testudo: OPTION_WRONG: --timeout-ms .*86400000$/,
      );
    assert.match(await refused(), /^2 /);
    const { url, secret } = {
      url: operated.world.node("n3").options.publicUrl,
      secret: operated.world.secret,
    };
    const told = await new OperatorClient({ url, secret })
      .ask("POST", "drain", { node: "n2", timeoutMs: null, force: false })
      .catch((error: unknown) => error);
    assert.match(String(told), /this is n3, not n2: give n2's own address/);
    assert.equal(operated.drains, []);
    const help = await operated.testudo("n1", "drain", "--help");
    assert.match(help.out, /Example:\n {2}\$ testudo drain n2 --secret-file data\/secret/);
  }),
);

test.run();
