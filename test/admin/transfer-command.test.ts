import { suite } from "uvu";
import * as assert from "uvu/assert";
import { eventually } from "../cluster/spawned.ts";
import { type Operated, withOperator } from "./operated.ts";

const test = suite("testudo transfer, over whole nodes");

const leaders = (operated: Operated, at: string) =>
  operated.world
    .node(at)
    .groups()
    .map(({ leader }) => leader);

test(
  "[C44] the lead of a group, or of all, goes to the node that is named, whichever node is asked",
  withOperator(async (operated) => {
    const before = leaders(operated, "n1");
    const to = ["n1", "n2", "n3"].find((id) => !before.includes(id)) ?? "n3";
    const all = await operated.testudo("n2", "transfer", "all", to, "--json");
    assert.is(all.code, 0, all.err);
    const told = JSON.parse(all.out) as { group: number; from: string; outcome: string }[];
    // On a machine that is short of time another may have come to lead meanwhile, or this very node.
    assert.equal(
      told.map(({ group, outcome }) => [group, outcome]),
      told.map(({ from }, group) => [group, from === to ? "leads already" : "done"]),
    );
    assert.is(told.length, before.length);
    // It may have gone home again by now: only that it came is certain.
    for (const group of before.keys())
      await eventually(`${to} led group ${group}`, () =>
        operated.world.logged.some(
          ({ event, msg }) =>
            event === "leader" && new RegExp(`^group ${group}, term \\d+: ${to} leads$`).test(msg),
        ),
      );
  }),
);

test(
  "[C44] what cannot be handed over is told group by group, with the reason, and ends with 1",
  withOperator(async (operated) => {
    const stranger = await operated.testudo("n1", "transfer", "all", "n9");
    assert.is(stranger.code, 1);
    assert.match(
      stranger.out,
      /^group 0: NOT_A_VOTER: n9 is no voter of group 0: only a voter can lead\ngroup 1: NOT_A_VOTER/,
    );
    assert.match(stranger.err, /NOT_DONE: 2 of 2 leads did not go to n9/);
    const [leader = ""] = leaders(operated, "n1");
    const already = await operated.testudo("n3", "transfer", "0", leader ?? "");
    assert.is(already.code, 0, already.err);
    assert.match(already.out, /^group 0: (n\d leads already|from n\d)\n$/);
    const nowhere = await operated.testudo("n1", "transfer", "7", "n1");
    assert.equal(
      [nowhere.code, /GROUP_UNKNOWN: there is no group 7: they are 0 to 1/.test(nowhere.err)],
      [1, true],
    );
    for (const args of [
      ["-1", "n1"],
      ["first", "n1"],
      ["0", "n 1"],
    ]) {
      const { code, err } = await operated.testudo("n1", "transfer", ...args);
      assert.is(code, 2, err);
    }
  }),
);

test.run();
