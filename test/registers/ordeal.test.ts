// test-run: seconds=400
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ordeal } from "./ordeal.ts";
import type { Asked } from "./question.ts";
import { judge } from "./verdict.ts";

const seconds = 12;
const tormentsMin = 3;

test("[K7] real nodes, killed, frozen and cut off under load: what their clients saw is linearizable, and all answer in the end", async () => {
  const report = await ordeal({
    seconds,
    tormentsMin,
    seed: Date.now() % 1_000_000,
    nodes: 3,
    groups: 3,
    clients: 24,
    torments: [
      "kill",
      "killLeader",
      "killLeader",
      "killAll",
      "freezeLeader",
      "isolateLeader",
      "oneSided",
      "resets",
    ],
    tell: (line) => process.stdout.write(`${line}\n`),
  });
  assert.equal(report.problems, []);
  assert.ok(report.ok > 200 && report.local > 5, JSON.stringify(report));
  process.stdout.write(`${JSON.stringify(report)}\n`);
});

const asked = (client: string, beginMs: number, rest: Partial<Asked>): Asked => ({
  client,
  node: 0,
  group: 0,
  key: "k",
  input: { type: "get" },
  way: "log",
  beginMs,
  endMs: beginMs + 1,
  answer: { type: "ok", output: { value: null } },
  ...rest,
});

test("[K7] the judge tells a lost write, replicas that differ, and a register that does not answer", () => {
  const put = asked("c1", 1, { input: { type: "put", value: "v" } });
  const value = (found: string | null) => ({ type: "ok", output: { value: found } }) as const;
  const local = (node: number, found: string | null) =>
    asked("c2", 9, { node, way: "local", answer: { type: "local", index: 7, ageMs: 0, value: found } });
  assert.equal(
    judge([put, asked("c1", 5, { answer: value("v") }), local(0, "v"), local(1, "v")]).problems,
    [],
  );
  const problems = (...all: Asked[]) => judge(all).problems.join("\n");
  assert.match(problems(put, asked("c1", 5, {})), /no order explains this/);
  assert.match(
    problems(put, local(0, "v"), local(1, null)),
    /0\/k as of 7 is v on node 0, and null on node 1/,
  );
  const silent = { type: "failed", reason: "NOT_SERVING" } as const;
  assert.match(problems(put, asked("last", 5, { answer: silent })), /does not answer on node 0/);
});

test.run();
